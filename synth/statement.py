"""The privacy statement of a release: PRIVACY.md, one page for a data-protection officer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from synth.card import CardInfo, escaped, listed, number
from synth.evaluation.measurements import METRICS
from synth.evaluation.metric import Metric
from synth.schema import Schema

AREAS = ("privacy", "attacks")

EXPOSED = "**This dataset is not private: {reason}.**"
LEARNT = (
    "{rows:,} synthetic rows. Each was drawn from a generative model{model} that saw {learnt:,} rows of the source{of}."
)
RARE = """**Rare values.** A value of a single column that fewer than {least} training rows have is not reproduced:
{values:,} different values, in {columns:,} of {all:,} columns. Columns whose type declares its values keep all of
them."""
NOT_RARE = (
    "**Rare values.** No threshold withholds them: categories, and the ends of numbers and dates, are the source's."
)
TOLD = "**Categories and bounds.** They were declared, or told by noisy counts that the guarantee covers."
PERSONAL = "**Personal data.** Not learnt; made-up values stand in the place of: {names}."
IDENTIFIERS = "**Identifiers.** Not learnt; made anew in the same format: {names}."
ANEW = "None of what is made up is a value of the source."
UNSEEN = "All that is made up was made without a look at the source, and may equal a real value by chance."
UNPROTECTED = "**Not so protected**, and possibly with values of the source: {names}."
NONE_FOUND = "**Personal data and identifiers.** No column was found or declared to hold any."
MEASURED = """Measured on this release, beside the same figure for unseen real rows (*floor*: what data have that
tell nothing of the training rows) and for a copy of the training rows (what a leak has)."""
BEST = {"lower": "Less is better.", "higher": "More is better."}
NO_GUARANTEE = """There is **no differential privacy guarantee**: no proof bounds how much the row of one
person can have changed this release."""
GUARANTEE = """The model is ({epsilon}, {delta})-differentially private: epsilon {epsilon}, delta {delta}. A record is
{record}; neighbouring tables: {adjacency}. Accountant: {accountant}; engine: {engine}."""
BEYOND = """
Combinations of values that are each common: a row can equal one of the source, by chance or because it was learnt.
Several rows of one person in the source: rare values are counted by rows, not by persons.
Other releases from the same source: what they tell adds up.
What a receiver knows from elsewhere.
Personal data in columns that were neither recognised nor declared to hold any.
"""
MAY = "The rows estimate the distributions of the source, as well as the figures of the card say."
NO_RECORD = "A row is not the record of a person whom it resembles."
MAY_NOT = """
That nobody can be singled out, linked or inferred about: distances and failed attacks do not prove privacy.
That the data are anonymous in the sense of a law: this page states facts for that assessment, not its result.
That a person whom a row resembles is in the source, or is not; nor anything else about a single person.
"""
MORE = """The [card](README.md) says more of the data, `provenance.json` of how they were made. `SHA256SUMS` lists
this page and every other file."""


def statement(
    info: CardInfo, schema: Schema, rows: int, metrics: Mapping[str, Any], provenance: Mapping[str, Any]
) -> str:
    """The statement as Markdown. Text from outside is escaped.

    provenance: as of `synth.release.provenance`; its `privacy` is the model's guarantee, None where there is none
    """
    parts = [
        f"# Privacy statement: {escaped(info.title)} (synthetic)",
        *([EXPOSED.format(reason=escaped(str(provenance["exposed"])))] if provenance.get("exposed") else []),
        "## The source",
        _bullets(_source(info, schema, provenance)),
        "## What was done",
        _made(schema, rows, provenance),
        *_done(schema, bool(provenance.get("privacy"))),
        "## What was measured",
        MEASURED,
        _bullets(_measured(metrics)),
        "## Guarantee",
        *_guarantee(provenance.get("privacy")),
        "## What is not covered",
        _bullets(BEYOND.strip().splitlines()),
        "## What a receiver may conclude",
        _bullets([MAY, *([] if provenance.get("exposed") else [NO_RECORD])]),
        "## What a receiver may not conclude",
        _bullets(MAY_NOT.strip().splitlines()),
        MORE,
    ]
    return "\n\n".join(parts) + "\n"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _source(info: CardInfo, schema: Schema, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield f"Name: {escaped(info.title)}"
    yield f"Licence: {escaped(info.licence)}"
    yield f"Rows learnt from: {schema.rows:,}" + (" (told with noise)" if provenance.get("privacy") else "")
    for name, digest in (provenance.get("sources") or {}).items():
        yield f"File {escaped(name)}: sha256 `{digest}`; it is not part of the release"


def _made(schema: Schema, rows: int, provenance: Mapping[str, Any]) -> str:
    model = f" ({escaped(str(provenance['model']))})" if provenance.get("model") else ""
    there = provenance.get("source_rows") or schema.rows
    of = "" if there == schema.rows else f", drawn at random from {there:,}"
    return LEARNT.format(rows=rows, model=model, learnt=schema.rows, of=of)


def _done(schema: Schema, private: bool) -> Iterator[str]:
    columns = schema.columns
    withheld = [column.withheld for column in columns if column.withheld]
    if private:
        yield TOLD
    elif schema.least > 1:
        yield RARE.format(least=schema.least, values=sum(withheld), columns=len(withheld), all=len(columns))
    else:
        yield NOT_RARE
    kept = [column for column in columns if not column.exposed]
    personal = [f"{column.name} ({column.personal.what})" for column in kept if column.personal]
    identifiers = [column.name for column in kept if column.kind == "identifier" and not column.personal]
    exposed = [f"{column.name} ({column.exposed})" for column in columns if column.exposed]
    for words, names in ((PERSONAL, personal), (IDENTIFIERS, identifiers), (UNPROTECTED, exposed)):
        if names:
            yield words.format(names=listed(names))
    if personal or identifiers:
        yield UNSEEN if private else ANEW
    elif not exposed:
        yield NONE_FOUND


def _measured(metrics: Mapping[str, Any]) -> Iterator[str]:
    found = False
    for area in AREAS:
        known = {metric.name: metric for metric in METRICS.get(area, ())}
        for name, entry in (metrics.get(area) or {}).items():
            found = True
            yield _figure(f"{area}.{name}", entry, known.get(name))
    if not found:
        yield "Nothing was measured."


def _figure(name: str, entry: Mapping[str, Any], metric: Metric | None) -> str:
    """One figure in a sentence, and what it means."""
    title = f"**{metric.title}** (`{name}`)" if metric else f"`{name}`"
    meaning = f" {metric.meaning}" if metric else ""
    value = entry.get("value")
    if value is None:
        return f"{title}: undefined, {escaped(str(entry.get('reason') or 'no reason was given'))}.{meaning}"
    within = "" if entry.get("low") is None else f" ({number(entry['low'])} to {number(entry['high'])})"
    beside = "; ".join(f"{part} {number(entry.get(part))}" for part in ("floor", "copy"))
    return f"{title}: {number(value)}{within}; {beside}.{meaning}{_best(metric)}"


def _best(metric: Metric | None) -> str:
    if metric is None:
        return ""
    to_meet = "the floor" if metric.target is None else number(metric.target)
    return " " + BEST.get(metric.better, f"Best is {to_meet}.")


def _guarantee(privacy: Mapping[str, Any] | None) -> Iterator[str]:
    if not privacy:
        yield NO_GUARANTEE
        return
    words = {key: escaped(str(privacy.get(key, "not said"))) for key in ("record", "adjacency", "accountant", "engine")}
    yield GUARANTEE.format(epsilon=number(privacy.get("epsilon")), delta=number(privacy.get("delta")), **words)
    for title, key in (("It covers", "covered"), ("It does not cover", "not_covered")):
        if privacy.get(key):
            yield f"{title}:\n\n" + "\n".join(f"- {escaped(str(line))}" for line in privacy[key])
