"""The expectations that follow from a schema and its training rows, in Great Expectations' JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth.codecs.columns import flat
from synth.codecs.text import scalar_array
from synth.picture_views import COPIES, picture_expectations
from synth.rule_expectations import rule_expectations
from synth.rules import dependencies, orders
from synth.schema import Column, Scalar, Schema
from synth.series import flatten, long_description, nest_like, nesting
from synth.views import Expectation, column_view, expectation, label, moments, passages, texts, title, view_of

NULLS = 0.01  # by which the share of nulls may differ, beside four standard errors of the training rows' share
MOSTLY = 0.99  # share of rows that must keep a rule between columns
DISTANCE = 0.1  # KL divergence in nats that a column may have, beside what sampling alone makes
BINS, HOLDOUT = 10, 0.01  # bins of a number's distribution; weight that values outside of it are given
COMMON = 100  # categories whose distribution is checked; a column with more is told by its set alone
LONGER = 2  # times the longest training text that one may be
FEW = 64  # texts and whole numbers with as many values may fix other columns


def suite(schema: Schema, train: pa.Table | None) -> dict[str, Any]:
    """A Great Expectations suite as JSON; the same input gives the same bytes.

    train: rows to read rules between columns and distributions from; None leaves these out
    `meta.columns` holds what the samples' Arrow types must be and how each column is looked at, `meta.views` what is
    computed from several columns for the declared rules.
    """
    series = nesting(schema.arrow_schema)
    if series is not None:
        schema, train = (
            long_description(schema),
            None if train is None else flatten(nest_like(train, schema.arrow_schema)),
        )
    types = {field.name: field.type for field in schema.arrow_schema}
    kept = parquet_types(schema.arrow_schema)
    specs = [_spec(column, types[column.name], kept[column.name]) for column in schema.columns]
    found = [_table(schema), _rows()]
    for column, spec in zip(schema.columns, specs, strict=True):
        if column.kind == "image":
            found += picture_expectations(column, train)
        elif column.kind == "text":
            found += _text(column, schema.rows, train)
        else:
            found += _column(column, spec, schema.rows, types[column.name])
    declared, views = rule_expectations(schema, specs)
    found += declared
    if series is not None and series.time is not None:
        names = [*series.entity, series.time]
        alone = {"column_list": [title(name) for name in names]}
        found.append(expectation("compound_columns_to_be_unique", alone, names))
    if train is not None:
        for column, spec in zip(schema.columns, specs, strict=True):
            found += _distribution(column, spec, train)
        found += _rules(schema, specs, train)
    return {
        "name": "synth",
        "expectations": found,
        "meta": {"great_expectations_version": _version(), "columns": specs, "views": views},
        "notes": f"From the schema of {schema.rows} training rows. A critical failure stops the release.",
    }


def _version() -> str:
    try:
        return version("great-expectations")
    except PackageNotFoundError:
        return "unknown"


def parquet_types(schema: pa.Schema) -> dict[str, str]:
    """Column name -> its type as Parquet gives it back: time32[s] as time32[ms], list items as elements."""
    buffer = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), buffer)
    return {field.name: str(field.type) for field in pq.read_schema(pa.BufferReader(buffer.getvalue()))}


def _spec(column: Column, dtype: pa.DataType, kept: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": column.name, "dtype": kept, "view": view_of(column, dtype)}
    if column.kind == "number" and column.decimals is not None and pa.types.is_floating(dtype):
        spec["decimals"] = column.decimals
    if spec["view"] == "number":
        spec |= {"minimum": column.minimum, "maximum": column.maximum}
    if column.format is not None:
        spec["format"] = column.format
    return spec


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
    if "decimals" in spec:
        digits = {**kwargs, "min_value": 0, "max_value": spec["decimals"]}
        yield expectation("column_values_to_be_between", digits, name, view="decimals")
    if column.pattern is not None:
        yield expectation("column_values_to_match_regex", {**kwargs, "regex": column.pattern}, name)
    if column.unique:
        yield expectation("column_values_to_be_unique", dict(kwargs), name)


def _text(column: Column, rows: int, train: pa.Table | None) -> Iterator[Expectation]:
    """Texts are about as long as the training ones, and long ones are none of them."""
    name, kwargs = [column.name], {"column": title(column.name)}
    yield _nulls(column, kwargs, rows, "text")
    values = pa.nulls(0, pa.string()) if train is None else flat(train.column(column.name))
    ends = pc.min_max(pc.utf8_length(values)).as_py()
    if ends["max"] is None:
        return
    lengths = {**kwargs, "min_value": min(ends["min"], 1), "max_value": LONGER * ends["max"]}
    yield expectation("column_value_lengths_to_be_between", lengths, name)
    copies = {**kwargs, "value_set": sorted(set(passages(values).dropna())), "mostly": COPIES}
    if copies["value_set"]:
        yield expectation("column_values_to_not_be_in_set", copies, name, view="passage")


def _nulls(column: Column, kwargs: dict[str, Any], rows: int, view: str) -> Expectation:
    name = [column.name]
    if column.null_rate == 0:
        return expectation("column_values_to_not_be_null", dict(kwargs), name, view=view)
    if column.null_rate == 1:
        return expectation("column_values_to_be_null", dict(kwargs), name, view=view)
    wanted = {**kwargs, **_shares(column.null_rate, rows, rows)}
    kind = "column_proportion_of_non_null_values_to_be_between"
    made = expectation(kind, wanted, name, view=view, severity="warning")
    return {**made, "meta": {**made["meta"], "null_rate": column.null_rate, "rows": rows}}


def fit_to(config: Expectation, rows: int) -> Expectation:
    """The expectation with the tolerances of `rows` samples; the suite has those of as many as there were to learn."""
    kwargs, meta = config["kwargs"], config["meta"]
    if "null_rate" in meta:
        return {**config, "kwargs": {**kwargs, **_shares(meta["null_rate"], meta["rows"], rows)}}
    if "partition_object" in kwargs:
        bins = len(kwargs["partition_object"]["weights"])
        return {**config, "kwargs": {**kwargs, "threshold": _threshold(bins, meta["rows"], rows)}}
    return config


def _shares(null_rate: float, train: int, rows: int) -> dict[str, float]:
    """Bounds on the share of values: four standard errors of the difference between two samples, and a little."""
    kept = 1 - null_rate
    tolerance = NULLS + 4 * math.sqrt(kept * null_rate * (1 / train + 1 / max(1, rows)))
    return {"min_value": max(0.0, round(kept - tolerance, 6)), "max_value": min(1.0, round(kept + tolerance, 6))}


def _threshold(bins: int, train: int, rows: int) -> float:
    """Divergence that is allowed: what sampling alone makes is (bins - 1) / 2 (1/train + 1/rows) on average."""
    return round(DISTANCE + 2 * bins * (1 / max(1, train) + 1 / max(1, rows)), 6)


def _bounds(column: Column, dtype: pa.DataType) -> dict[str, Any]:
    low, high = column.minimum, column.maximum
    if column.kind == "number" or pa.types.is_duration(dtype):
        return {"min_value": _plain(low), "max_value": _plain(high)}
    ends = [moments(scalar_array(bound, dtype), column.format)[0].isoformat() for bound in (low, high)]
    return {"min_value": ends[0], "max_value": ends[1]}


def _plain(bound: Scalar | None) -> int | float:
    """A bound as a JSON number: whole ones exactly, although Great Expectations goes on with their floats."""
    return bound if isinstance(bound, int) else float(bound or 0)


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
    kwargs |= {"tail_weight_holdout": HOLDOUT, "threshold": _threshold(len(weights), rows, rows)}
    view = spec["view"]
    kind = "column_kl_divergence_to_be_less_than"
    made = expectation(kind, kwargs, [column.name], view=view, severity="warning")
    yield {**made, "meta": {**made["meta"], "rows": rows}}


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
