"""The dataset card: README.md of a release, with the front matter that Hugging Face reads."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from synth.evaluation.measurements import METRICS
from synth.gate import Verdict
from synth.schema import Schema

SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")  # 10^3 and on
# The names that Hugging Face knows of the licences that data have; every other is called "other".
LICENCES = """
afl-3.0 apache-2.0 bsd bsd-2-clause bsd-3-clause c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0
cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0
etalab-2.0 gfdl gpl gpl-2.0 gpl-3.0 isc lgpl-3.0 mit mpl-2.0 odbl odc-by openrail pddl unknown unlicense
"""
ALIASES = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "c-uda-1.0": "c-uda"}
COLUMNS, WARNINGS = 200, 10  # that a card lists at most

BESIDE = """Each figure stands beside the same one for unseen real rows (floor: what a perfect generator would have),
for columns drawn independently of each other, and for a copy of the training rows. In brackets: 95 % intervals."""
LIMITS = """Rare combinations may be missing or wrong. What is computed on these rows estimates what the source would
give; check on real rows what matters. Biases of the source are kept."""
FILES = """`synth verify .` or `sha256sum -c SHA256SUMS` checks the files; `provenance.json` says where they come from,
`schema.json` what the columns are, `croissant.json` both for machines."""
LEARNT = "The model saw the training rows only."
TOLD = "Categories and bounds of columns were declared, or told by noisy counts that the guarantee covers."
KEPT = "Categories, and the greatest and least numbers, are those of the source: no threshold withholds rare ones."
WITHHELD = """A category, or a number or date at the ends of its column, that fewer than {least} training rows have is
not reproduced{asked}: in all {values:,} different values, in the table of columns with the training rows that have
them. Columns whose type declares its values keep all of them."""
LOWERED = " (`rare_values` asks for {rare}; one row in a hundred is enough in a small table)"
MADE = "Identifiers and personal data ({names}) were not learnt: made-up ones of the same format stand in their place"
BANNED = """, none of them a value of the source. To keep these out, the model file has a bitmap of hashes in which
every real value is banned, and so are three quarters of all others: that a given value is banned makes it at most 4/3
times as likely to be real."""
UNSEEN = ". They are made without a look at the source, and one may equal a real value by chance."
NO_GUARANTEE = """These are measurements, not a guarantee: no differential privacy is claimed. The whole statement is
[PRIVACY.md](PRIVACY.md)."""
GUARANTEE = """The model is ({epsilon:.4g}, {delta:.4g})-differentially private; [PRIVACY.md](PRIVACY.md) says what that
covers and what not."""
ROWS_EXPOSED = "This dataset is not private: {reason}."
EXPOSED = "Not so protected, and possibly with values of the source: {names}."


@dataclass(frozen=True)
class CardInfo:
    """What a card says of the source: a name, a title, an SPDX licence, how to cite it, what to predict."""

    name: str
    title: str
    licence: str = "unknown"
    citation: str | None = None
    target: str | None = None


def card(
    info: CardInfo,
    schema: Schema,
    rows: int,
    metrics: Mapping[str, Any],
    lift: Mapping[str, Any] | None,
    validation: Mapping[str, Any],
    verdict: Verdict,
    provenance: Mapping[str, Any],
) -> str:
    """The card as Markdown. No row of the source is in it, and text from outside is escaped."""
    name = escaped(info.title)
    what = f"{rows:,} synthetic rows with {len(schema.columns):,} columns, made in the image of {name}."
    exposed = provenance.get("exposed")
    drawn = "Each was drawn from a generative model; none is a record of a person or thing of the source."
    parts = [
        _front(info, schema, rows),
        f"# {name} (synthetic)",
        f"{what} {ROWS_EXPOSED.format(reason=escaped(exposed)) if exposed else drawn}",
        "## Source",
        "\n".join(_source(info, provenance)),
        "## How it was made",
        "\n".join(_making(schema, provenance)),
        "## Columns",
        _columns(schema, info.target),
        *_rules(schema),
        "## Measurements",
        BESIDE,
        _figures(metrics),
        f"Lift: {escaped(str(lift['conclusion']))}" if lift and lift.get("conclusion") else "Lift was not measured.",
        "## Validation and gate",
        "\n".join(_validation(validation)),
        "The gate let it pass, asking for:",
        "\n".join(f"- {check.name}: {check.bound} (found {number(check.value)})" for check in verdict.checks),
        "## Privacy",
        _privacy(schema, metrics, provenance.get("privacy")),
        "## Limits",
        LIMITS,
        FILES,
    ]
    return "\n\n".join(parts) + "\n"


def _front(info: CardInfo, schema: Schema, rows: int) -> str:
    licence = ALIASES.get(info.licence.lower(), info.licence.lower())
    known = licence in LICENCES.split()
    content: dict[str, Any] = {
        "license": licence if known else "other",
        **({} if known else {"license_name": plain(info.licence)}),
        "pretty_name": f"{plain(info.title)} (synthetic)",
        **({"citation": plain(info.citation)} if info.citation else {}),
        "tags": ["synthetic", "tabular"],
        **_task(schema, info.target),
        "size_categories": [_size(rows)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}],
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump(content, text)
    return f"---\n{text.getvalue()}---"


def _task(schema: Schema, target: str | None) -> dict[str, list[str]]:
    if target not in schema.names:
        return {}
    classes = schema[str(target)].kind in ("category", "boolean")
    return {"task_categories": [f"tabular-{'classification' if classes else 'regression'}"]}


def _size(rows: int) -> str:
    """Hugging Face's class of a number of rows."""
    place = next((place for place in range(len(SIZES)) if rows < 10 ** (place + 3)), len(SIZES))
    if place == len(SIZES):
        return f"n>{SIZES[-1]}"
    return f"{SIZES[place - 1]}<n<{SIZES[place]}" if place else f"n<{SIZES[0]}"


def _source(info: CardInfo, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield f"- Source: {escaped(info.title)}"
    yield f"- Licence of the source: {escaped(info.licence)}"
    yield f"- Citation: {escaped(info.citation) if info.citation else 'none was given'}"
    for name, digest in (provenance.get("sources") or {}).items():
        yield f"- File {escaped(name)}: sha256 `{digest}`"


def _making(schema: Schema, provenance: Mapping[str, Any]) -> Iterator[str]:
    if provenance.get("model"):
        yield f"- Model: {escaped(str(provenance['model']))}"
    there = provenance.get("source_rows") or schema.rows
    part = "" if schema.rows == there else f" of {there:,}, drawn at random"
    yield f"- Fitted on {schema.rows:,} training rows{part}; other real rows were kept from it to measure with"
    if provenance.get("seed") is not None:
        yield f"- Seed: {provenance['seed']}"
    versions = provenance.get("versions") or {}
    if "synth" in versions:
        yield f"- Made with synth {versions['synth']}; all versions stand in `provenance.json`"
    revision = provenance.get("git")
    if revision:
        yield f"- Git revision `{revision['revision']}`{' with local changes' if revision.get('dirty') else ''}"


def _columns(schema: Schema, target: str | None) -> str:
    lines = ["| column | kind | type | nulls | values withheld (rows) |", "|---|---|---|---|---|"]
    for column in schema.columns[:COLUMNS]:
        kind = column.kind + (f" ({column.personal.what})" if column.personal else "")
        kind += ", target" if column.name == target else ""
        gone = f"{column.withheld:,} ({column.withheld_rows:,})" if column.withheld else ""
        cells = [escaped(column.name) or "(empty)", kind, escaped(column.dtype), f"{column.null_rate:.1%}", gone]
        lines.append(f"| {' | '.join(cells)} |")
    more = len(schema.columns) - COLUMNS
    return "\n".join(lines) + (f"\n\nand {more:,} more, see `schema.json`." if more > 0 else "")


def _rules(schema: Schema) -> Iterator[str]:
    """The rules that were declared: every row of the release keeps them."""
    if schema.rules:
        yield "## Rules"
        yield "Every row keeps these rules, of which each is an expectation that may not fail:"
        yield "\n".join(f"- {escaped(rule.title)}" for rule in schema.rules)


def _figures(metrics: Mapping[str, Any]) -> str:
    lines = ["| figure | meaning | best | value | floor | independent | copy |", "|---|---|---|---|---|---|---|"]
    for area, known in METRICS.items():
        for metric in known:
            entry = (metrics.get(area) or {}).get(metric.name)
            if entry is None:
                continue
            cells = [number(entry.get(part)) for part in ("value", "floor", "independent", "copy")]
            if entry.get("low") is not None and entry.get("value") is not None:
                cells[0] += f" ({number(entry['low'])} to {number(entry['high'])})"
            target = "the floor" if metric.target is None else number(metric.target)
            best = target if metric.better == "target" else metric.better
            lines.append(f"| {area}.{metric.name} | {metric.title} | {best} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _validation(validation: Mapping[str, Any]) -> Iterator[str]:
    checks, warned = validation["expectations"], validation["warnings"]
    met = sum(bool(check["success"]) for check in checks)
    critical = sum(check["severity"] == "critical" for check in checks)
    yield (
        f"Great Expectations checked {len(checks)} expectations from the training schema; {met} are met. {critical} "
        "are critical, and none of these may fail." + (" Not met, as warnings:\n" if warned else "")
    )
    yield from (f"- {escaped(line)}" for line in warned[:WARNINGS])
    if len(warned) > WARNINGS:
        yield f"- and {len(warned) - WARNINGS} more"


def listed(names: list[str]) -> str:
    more = [f"{len(names) - COLUMNS:,} more"] if len(names) > COLUMNS else []
    return ", ".join([*map(escaped, names[:COLUMNS]), *more])


def _privacy(schema: Schema, metrics: Mapping[str, Any], guarantee: Mapping[str, Any] | None) -> str:
    figures = metrics.get("privacy") or {}
    made = [column.name for column in schema.columns if column.made_up]
    said = [LEARNT, TOLD if guarantee else _rare(schema)]
    said += [MADE.format(names=listed(made)) + (UNSEEN if guarantee else BANNED)] if made else []
    exposed = [f"{column.name} ({column.exposed})" for column in schema.columns if column.exposed]
    said += [EXPOSED.format(names=listed(exposed))] if exposed else []
    near, same = figures.get("dcr_share") or {}, figures.get("identical_share") or {}
    if near.get("value") is not None:
        said.append(
            f"{near['value']:.1%} of the synthetic rows lie nearer to a training row than to an unseen real one (50 % "
            "where nothing was memorised)."
        )
    if same.get("value") is not None:
        floor = f"; of unseen real rows {same['floor']:.2%} do" if same.get("floor") is not None else ""
        said.append(f"{same['value']:.2%} of them equal a training row{floor}.")
    said.append(GUARANTEE.format(**guarantee) if guarantee else NO_GUARANTEE)
    return " ".join(said)


def _rare(schema: Schema) -> str:
    """What became of rare values."""
    if schema.least < 2:
        return KEPT
    asked = "" if schema.least == schema.rare_values else LOWERED.format(rare=schema.rare_values)
    return WITHHELD.format(least=schema.least, asked=asked, values=sum(column.withheld for column in schema.columns))


def number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def plain(text: str) -> str:
    """Text from outside on one line, without control characters."""
    kept = "".join(" " if unicodedata.category(sign) in ("Cc", "Zl", "Zp") else sign for sign in text)
    return re.sub(r"\s+", " ", kept).strip()


def escaped(text: str) -> str:
    """The same, with the characters escaped that Markdown or HTML would act on."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", plain(text))
