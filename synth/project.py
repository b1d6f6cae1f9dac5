"""Adding a dataset and its run to `params.yaml`, comments and order kept."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from synth.config import load_params, parse_params
from synth.errors import InputError
from synth.schema import Schema
from synth.series import nesting
from synth.sources import is_sql, shown
from synth.storage import read_text, write_text
from synth.texts import Cut


def add_run(
    path: Path,
    location: str,
    *,
    schema: Schema,
    name: str | None = None,
    table: str | None = None,
    text: Cut | None = None,
    model: str,
) -> str:
    """Declare the dataset at `location` and a run of `model` on it; returns the run's name.

    The file is made where it is not there. InputError where the name is taken; the file is unchanged then.
    """
    yaml = YAML()
    yaml.width = 110
    content: Any = {"seed": 0, "datasets": {}, "models": {}, "runs": {}}
    if path.exists():
        load_params(path)
        content = yaml.load(read_text(path))
    dataset = name or dataset_name(table or location)
    run = f"{dataset}-{model}"
    for section, key in (("datasets", dataset), ("runs", run)):
        if key in content.setdefault(section, {}):
            raise InputError(f"{path}: {section} has {key!r} already; choose another name")
    content["datasets"][dataset] = _dataset(location, schema, table, text)
    content.setdefault("models", {}).setdefault(model, {})
    content["runs"][run] = {"dataset": dataset, "model": model}
    written = io.StringIO()
    yaml.dump(content, written)
    parse_params(written.getvalue(), str(path))
    write_text(path, written.getvalue())
    return run


def dataset_name(location: str) -> str:
    """A name for params.yaml out of a path, URL or table."""
    stem = re.split(r"[/\\#]", location.rstrip("/\\"))[-1].split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "data"


def _dataset(location: str, schema: Schema, table: str | None, text: Cut | None) -> dict[str, Any]:
    if re.search(r"://[^/@]*:[^/@$]+@", location):
        raise InputError(f"{shown(location)}: the URL holds a password; write it as ${{ENVIRONMENT_VARIABLE}}")
    if is_sql(location):
        source: dict[str, Any] = {"sql": location, "table": table}
    else:
        source = {"url": location} if "://" in location else {"path": location}
    source |= {} if text is None else {"text": text}
    texts = {column.name: column.kind for column in schema.columns if column.kind == "text"}
    kinds = {"kinds": texts} if schema.modality == "text" else {}
    nested = nesting(schema.arrow_schema)
    series: dict[str, Any] = {}
    if nested is not None:
        cut = {"entity": list(nested.given), "time": nested.time, "window": nested.window, "stride": nested.stride}
        series["series"] = {name: value for name, value in cut.items() if value}
    return {**({"target": schema.target} if schema.target else {}), **kinds, **series, "source": source}
