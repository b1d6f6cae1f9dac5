"""The expectations that follow from a schema and its training rows, in Great Expectations' JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synth.codecs.columns import flat
from synth.rules import dependencies, orders
from synth.schema import Column, Schema
from synth.views import column_view, label, moments, scalar_array, texts, view_of

Expectation = dict[str, Any]

NULLS = 0.01  # by which the share of nulls may differ, beside four standard errors of the training rows' share
MOSTLY = 0.99  # share of rows that must keep a rule between columns
DISTANCE = 0.1  # KL divergence in nats that a column may have, beside what sampling alone makes
BINS, HOLDOUT = 10, 0.01  # bins of a number's distribution; weight that values outside of it are given
COMMON = 100  # categories whose distribution is checked; a column with more is told by its set alone
FEW = 64  # texts and whole numbers with as many values may fix other columns


def suite(schema: Schema, train: pa.Table | None) -> dict[str, Any]:
    """A Great Expectations suite as JSON; the same input gives the same bytes.

    train: rows to read rules between columns and distributions from; None leaves these out
    `meta.columns` holds what the samples' Arrow types must be and how each column is looked at.
    """
    types = {field.name: field.type for field in schema.arrow_schema}
    specs = [_spec(column, types[column.name]) for column in schema.columns]
    found = [_table(schema), _rows()]
    for column, spec in zip(schema.columns, specs, strict=True):
        found += _column(column, spec, schema.rows, types[column.name])
    if train is not None:
        for column, spec in zip(schema.columns, specs, strict=True):
            found += _distribution(column, spec, train)
        found += _rules(schema, specs, train)
    return {
        "name": "synth",
        "expectations": found,
        "meta": {"great_expectations_version": _version(), "columns": specs},
        "notes": f"From the schema of {schema.rows} training rows. A critical failure stops the release.",
    }


def _version() -> str:
    try:
        return version("great-expectations")
    except PackageNotFoundError:
        return "unknown"


def _spec(column: Column, dtype: pa.DataType) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": column.name, "dtype": column.dtype, "view": view_of(column, dtype)}
    if spec["view"] == "number":
        spec |= {"minimum": column.minimum, "maximum": column.maximum}
    if column.format is not None:
        spec["format"] = column.format
    return spec


def expectation(
    kind: str, kwargs: dict[str, Any], columns: list[str], *, view: str = "text", severity: str = "critical"
) -> Expectation:
    """One expectation; `columns` and `view` say what it looks at, see `synth.views`."""
    meta = {"columns": columns, "view": view}
    return {"type": f"expect_{kind}", "kwargs": kwargs, "meta": meta, "severity": severity}


def title(name: str) -> str:
    """The name of a column for Great Expectations, which knows no empty one."""
    return name or "(no name)"


def _table(schema: Schema) -> Expectation:
    names = [title(name) for name in schema.names]
    return expectation("table_columns_to_match_ordered_list", {"column_list": names}, [], view="names")


def _rows() -> Expectation:
    return expectation("table_row_count_to_be_between", {"min_value": 1}, [], view="rows")


def _column(column: Column, spec: dict[str, Any], rows: int, dtype: pa.DataType) -> Iterator[Expectation]:
    name, kwargs = [column.name], {"column": title(column.name)}
    yield _nulls(column, kwargs, rows, "text" if column.format else spec["view"])
    if column.kind == "empty":
        return
    if column.kind in ("category", "boolean"):
        values = [label(value) for value in column.categories or ()]
        yield expectation("column_values_to_be_in_set", {**kwargs, "value_set": values}, name)
    if column.format is not None:
        wanted = {**kwargs, "strftime_format": column.format}
        yield expectation("column_values_to_match_strftime_format", wanted, name)
    if spec["view"] != "text" and column.minimum is not None:
        yield expectation("column_values_to_be_between", {**kwargs, **_bounds(column, dtype)}, name, view=spec["view"])
    if column.pattern is not None:
        yield expectation("column_values_to_match_regex", {**kwargs, "regex": _pattern(column)}, name)
    if column.unique:
        yield expectation("column_values_to_be_unique", dict(kwargs), name)


def _pattern(column: Column) -> str:
    """The format; of a key also with the counter that tells keys apart where the format has no room for more."""
    pattern = str(column.pattern)
    return pattern.removesuffix("$") + "(-[0-9]+)?$" if column.unique and pattern.endswith("$") else pattern


def _nulls(column: Column, kwargs: dict[str, Any], rows: int, view: str) -> Expectation:
    name = [column.name]
    if column.null_rate == 0:
        return expectation("column_values_to_not_be_null", dict(kwargs), name, view=view)
    if column.null_rate == 1:
        return expectation("column_values_to_be_null", dict(kwargs), name, view=view)
    kept = 1 - column.null_rate
    tolerance = NULLS + 4 * math.sqrt(kept * column.null_rate / rows)
    low, high = max(0.0, round(kept - tolerance, 6)), min(1.0, round(kept + tolerance, 6))
    wanted = {**kwargs, "min_value": low, "max_value": high}
    kind = "column_proportion_of_non_null_values_to_be_between"
    return expectation(kind, wanted, name, view=view, severity="warning")


def _bounds(column: Column, dtype: pa.DataType) -> dict[str, Any]:
    low, high = column.minimum, column.maximum
    if column.kind == "number" or pa.types.is_duration(dtype):
        return {"min_value": float(low or 0), "max_value": float(high or 0)}
    ends = [moments(scalar_array(bound, dtype), column.format)[0].isoformat() for bound in (low, high)]
    return {"min_value": ends[0], "max_value": ends[1]}


def _distribution(column: Column, spec: dict[str, Any], train: pa.Table) -> Iterator[Expectation]:
    """KL divergence from the training rows: over categories, or over bins of equal weight."""
    kwargs: dict[str, Any] = {"column": title(column.name)}
    values = train.column(column.name)
    if column.kind in ("category", "boolean"):
        counts = pd.Series(texts(flat(values)).to_pandas(), dtype="str").value_counts().sort_index()
        if not 2 <= len(counts) <= COMMON:
            return
        weights = (counts / counts.sum()).tolist()
        kwargs["partition_object"] = {"values": counts.index.tolist(), "weights": weights}
    elif column.kind == "number":
        numbers = column_view(values, "number", spec).dropna().to_numpy()
        bins = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1))) if len(numbers) else np.empty(0)
        if len(bins) < 3 or not np.isfinite(bins).all():
            return
        weights = (np.histogram(numbers, bins)[0] / len(numbers)).tolist()
        kwargs |= {"partition_object": {"bins": bins.tolist(), "weights": weights}, "internal_weight_holdout": HOLDOUT}
    else:
        return
    rows = len(values) - values.null_count
    kwargs |= {"tail_weight_holdout": HOLDOUT, "threshold": round(DISTANCE + 2 * len(weights) / rows, 6)}
    view = spec["view"]
    yield expectation("column_kl_divergence_to_be_less_than", kwargs, [column.name], view=view, severity="warning")


def _rules(schema: Schema, specs: list[dict[str, Any]], train: pa.Table) -> Iterator[Expectation]:
    rng = np.random.default_rng(0)
    for view in ("number", "moment"):
        kinds = {spec["dtype"] if view == "moment" else "" for spec in specs if spec["view"] == view}
        for kind in sorted(kinds):
            alike = [spec for spec in specs if spec["view"] == view and kind in ("", spec["dtype"])]
            frames = {spec["name"]: column_view(train.column(spec["name"]), view, spec) for spec in alike}
            for low, high in orders(frames, rng):
                kwargs = {"column_A": title(high), "column_B": title(low), "or_equal": True, "mostly": MOSTLY}
                kwargs["ignore_row_if"] = "either_value_is_missing"
                kind_of = "column_pair_values_a_to_be_greater_than_b"
                yield expectation(kind_of, kwargs, [high, low], view=view, severity="warning")
    few = {
        column.name: texts(flat(train.column(column.name)))
        for column in schema.columns
        if column.kind in ("category", "boolean") or (column.kind == "number" and _span(column) <= FEW)
    }
    for (first, second), pairs in dependencies(few).items():
        wanted = {"column": f"{first} → {second}", "value_set": [f"{a} → {b}" for a, b in pairs], "mostly": MOSTLY}
        yield expectation("column_values_to_be_in_set", wanted, [first, second], view="pair", severity="warning")


def _span(column: Column) -> float:
    """How many values a whole number can have between its bounds; infinite for others."""
    if column.decimals != 0 or column.minimum is None or column.maximum is None:
        return math.inf
    return float(column.maximum) - float(column.minimum) + 1
