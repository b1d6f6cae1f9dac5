"""Which rows of a table break a rule: of the training rows before a fit, of every block after its formatting."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import flat
from synth.codecs.rules.formulas import DUST, Formula
from synth.codecs.rules.joint import combine, ones
from synth.codecs.rules.quantities import Mask, quantity, safe, together
from synth.codecs.text import hashable
from synth.constraints import (
    Bounds,
    Combination,
    Increment,
    Inequality,
    OneHot,
    Ratio,
    Regex,
    Rule,
    Sum,
    Unique,
)
from synth.schema import Column

Columns = Mapping[str, Column]


def broken(rule: Rule, table: pa.Table, columns: Columns) -> Mask:
    """(N,) bool, where the rows of `table` break `rule`."""
    plain = PLAIN.get(type(rule))
    wrong = plain(rule, table) if plain else MEASURED[type(rule)](rule, table, columns)
    return np.asarray(wrong, dtype=bool)


def _combination(rule: Combination, table: pa.Table) -> Mask:
    found = combine([table.column(name) for name in rule.columns])
    return np.asarray(pc.invert(pc.is_in(found, pa.array(rule.known, pa.large_string()))))


def _inequality(rule: Inequality, table: pa.Table, columns: Columns) -> Mask:
    there = [name for name in rule.columns if columns[name].kind != "empty"]
    parts = together([quantity(columns[name], table.schema.field(name).type) for name in there])
    read = [one.read(table.column(name)) for name, one in zip(there, parts, strict=True)]
    out = np.zeros(table.num_rows, dtype=bool)
    for (low, low_null), (high, high_null) in combinations(read, 2):
        wrong = (low >= high) if rule.strict else (low > high)
        out |= np.asarray(wrong, dtype=bool) & ~low_null & ~high_null
    return out


def _one_hot(rule: OneHot, table: pa.Table) -> Mask:
    hot = np.sum([ones(table.column(name)) for name in rule.columns], axis=0)
    cold = np.sum([_zeros(table.column(name)) for name in rule.columns], axis=0)
    wrong = (hot > 1) if rule.none else (hot != 1)
    return np.asarray(wrong | (hot + cold != len(rule.columns)))


def _formula(rule: Sum | Ratio, table: pa.Table, columns: Columns) -> Mask:
    types = {field.name: field.type for field in table.schema}
    return Formula.of(rule, columns, types).off(table)


def _unique(rule: Unique, table: pa.Table) -> Mask:
    """All rows but the first of each key; of several columns a null counts as a value."""
    arrays = [hashable(flat(table.column(name))) for name in rule.columns]
    rows = pa.table([*arrays, pa.array(np.arange(table.num_rows))], names=[*map(str, range(len(arrays))), "row"])
    first = rows.group_by([str(i) for i in range(len(arrays))]).aggregate([("row", "min")]).column("row_min")
    again = np.ones(table.num_rows, dtype=bool)
    again[first.to_numpy()] = False
    return again & ~np.asarray(pc.is_null(arrays[0])) if len(arrays) == 1 else again


def _regex(rule: Regex, table: pa.Table) -> Mask:
    array = flat(table.column(rule.column))
    encoded = array.dictionary_encode()
    match = re.compile(rule.pattern).fullmatch
    fits = pa.array([match(text) is not None for text in encoded.dictionary.to_pylist()], pa.bool_())
    wrong = ~np.asarray(pc.fill_null(fits.take(encoded.indices), True))
    return wrong | _unique(Unique(columns=(rule.column,)), table) if rule.unique else wrong


def _bounds(rule: Bounds, table: pa.Table, columns: Columns) -> Mask:
    if columns[rule.column].kind == "empty":
        return np.zeros(table.num_rows, dtype=bool)
    one = quantity(columns[rule.column], table.schema.field(rule.column).type)
    if not one.unit:
        return _number_bounds(rule, table)
    line, null = one.read(table.column(rule.column))
    out = np.zeros(table.num_rows, dtype=bool)
    if rule.minimum is not None:
        out |= (line <= one.bound(rule.minimum)) if rule.strict else (line < one.bound(rule.minimum))
    if rule.maximum is not None:
        out |= (line >= one.bound(rule.maximum)) if rule.strict else (line > one.bound(rule.maximum))
    return out & ~null


def _number_bounds(rule: Bounds, table: pa.Table) -> Mask:
    """Numbers against bounds that need not be values of the column: 0.5 for integers."""
    array = flat(table.column(rule.column))
    out = np.zeros(table.num_rows, dtype=bool)
    for bound, compare in (
        (rule.minimum, pc.less_equal if rule.strict else pc.less),
        (rule.maximum, pc.greater_equal if rule.strict else pc.greater),
    ):
        if bound is not None:
            exact = pa.scalar(Decimal(str(bound))) if pa.types.is_decimal(array.type) else pa.scalar(bound)
            out |= np.asarray(pc.fill_null(compare(array, exact), False))
    return out


def _increment(rule: Increment, table: pa.Table, columns: Columns) -> Mask:
    return remainders(rule, table, columns) > 0


def remainders(rule: Increment, table: pa.Table, columns: Columns) -> np.ndarray[Any, Any]:
    """(N,) float64, how far each value is from a multiple of the step, in steps: 0 where it is one, and for nulls."""
    if columns[rule.column].kind == "empty":
        return np.zeros(table.num_rows)
    one = quantity(columns[rule.column], table.schema.field(rule.column).type)
    line, null = one.read(table.column(rule.column))
    step, origin = (Decimal(str(value)) * 10 ** (one.decimals or 0) for value in (rule.step, rule.origin))
    if line.dtype == np.float64:
        times = (line - rule.origin) / rule.step
        off = abs(times - np.round(times))
        off = np.where(off <= DUST * 2.0**-52 * np.maximum(abs(times), 1), 0.0, off)
    else:
        unit = max(0, -int(step.normalize().as_tuple().exponent), -int(origin.normalize().as_tuple().exponent))
        whole, start = int(step * 10**unit), int(origin * 10**unit)
        rest = (safe(line).astype(object) * 10**unit - start) % whole if unit else (safe(line) - start) % whole
        off = np.minimum(rest, whole - rest).astype(np.float64) / whole
    return np.asarray(np.where(null, 0.0, off))


def _zeros(column: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(pc.equal(flat(column).cast(pa.float64()), 0.0), False))


PLAIN: dict[type, Callable[[Any, pa.Table], Mask]] = {
    Combination: _combination,
    OneHot: _one_hot,
    Unique: _unique,
    Regex: _regex,
}
MEASURED: dict[type, Callable[[Any, pa.Table, Columns], Mask]] = {
    Inequality: _inequality,
    Sum: _formula,
    Ratio: _formula,
    Bounds: _bounds,
    Increment: _increment,
}
