"""The dataset card: README.md of a release, with the front matter that Hugging Face reads."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from synth.gate import Verdict
from synth.schema import Schema

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
SHOWN = {
    "quality.shape_error": "columns: mean distance of the distributions",
    "quality.trend_error": "pairs of columns: mean distance of the joint distributions",
    "quality.c2st_auc": "real or synthetic, told apart by gradient boosting (AUC)",
    "quality.tstr": "trained on synthetic rows, tested on real ones",
    "diversity.coverage": "real rows with a synthetic one near by",
    "privacy.dcr_share": "synthetic rows nearer to training rows than to unseen ones",
    "privacy.identical_share": "synthetic rows that equal a training row",
}


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
    """The card as Markdown; nothing in it is a row of the source."""
    expectations = validation["expectations"]
    met = sum(bool(entry["success"]) for entry in expectations)
    parts = [
        _front(info, rows),
        f"# {_line(info.title)} (synthetic)\n",
        (
            f"{rows:,} synthetic rows with {len(schema.columns)} columns. None of them describes a person or thing of the "
            f"source: each was drawn from a generative model ({provenance.get('model') or 'see provenance.json'}) that "
            f"was fitted on {schema.rows:,} rows.\n"
        ),
        "## Source\n",
        f"{_line(info.title)}. Licence of the source data: {_line(info.licence)}."
        + (f" {_line(info.citation)}" if info.citation else "")
        + "\n",
        "## Columns\n",
        _columns(schema, info.target),
        "## Measurements\n",
        (
            "Each figure stands beside the same one for real rows that the model never saw (floor), for columns drawn "
            "independently, and for a copy of the training rows.\n"
        ),
        _figures(metrics),
        f"Lift: {_line(str(lift['conclusion']))}\n" if lift and lift.get("conclusion") else "",
        "## Validation and gate\n",
        (
            f"{met} of {len(expectations)} Great Expectations expectations from the training schema are met; "
            f"{len(validation['critical_failures'])} critical ones are not. The gate asked:\n"
        ),
        "".join(f"- {check.name}: {check.bound}" + _found(check.value) + "\n" for check in verdict.checks),
        "## Privacy\n",
        (
            "The model saw the training rows only; distances and identical rows were measured against held-out rows. "
            "Identifiers were not learnt: new ones of the same format stand in their place. Categories and "
            "extreme numbers of the source may occur here as they are. These measurements are evidence and not a "
            "guarantee: no differential privacy is claimed.\n"
        ),
        "## Limits\n",
        (
            "Rare combinations may be missing or wrong. Figures computed on these rows are estimates; "
            "check what matters on real rows. Biases of the source are kept.\n"
        ),
        (
            "Check the files with `synth verify .` or `sha256sum -c SHA256SUMS`; where they come from is in "
            "`provenance.json`, every figure in `report.html`.\n"
        ),
    ]
    return "\n".join(part for part in parts if part)


def _front(info: CardInfo, rows: int) -> str:
    size = next((label for bound, label in SIZES if rows < bound), "1M<n<10M")
    content = {
        "license": info.licence.lower() if info.licence != "unknown" else "unknown",
        "pretty_name": f"{info.title} (synthetic)",
        "tags": ["synthetic", "tabular"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}],
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump(content, text)
    return f"---\n{text.getvalue()}---\n"


def _columns(schema: Schema, target: str | None) -> str:
    lines = ["| column | kind | type | nulls |", "|---|---|---|---|"]
    for column in schema.columns:
        kind = column.kind + (", target" if column.name == target else "")
        lines.append(f"| {_cell(column.name)} | {kind} | {_cell(column.dtype)} | {column.null_rate:.1%} |")
    return "\n".join(lines) + "\n"


def _figures(metrics: Mapping[str, Any]) -> str:
    lines = ["| figure | value | floor | independent | copy |", "|---|---|---|---|---|"]
    for name, words in SHOWN.items():
        area, key = name.split(".")
        entry = metrics.get(area, {}).get(key)
        if entry is None:
            continue
        cells = [_number(entry.get(part)) for part in ("value", "floor", "independent", "copy")]
        if entry.get("low") is not None and entry.get("value") is not None:
            cells[0] += f" ({_number(entry['low'])} to {_number(entry['high'])})"
        lines.append(f"| {name}: {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _found(value: float | None) -> str:
    return f" (found {_number(value)})"


def _line(text: str) -> str:
    """Text from outside on one line, without the characters that Markdown or HTML would act on."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", re.sub(r"\s+", " ", text)).strip()


def _cell(text: str) -> str:
    return _line(text) or "(empty)"
