"""Declared rules as expectations, each of which is critical, and what is computed of the samples to check them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synth.codecs.rules.checks import broken, remainders
from synth.codecs.rules.formulas import Formula
from synth.codecs.rules.joint import combine, ones
from synth.codecs.text import scalar_array
from synth.constraints import Bounds, Combination, Increment, Inequality, OneHot, Ratio, Rule, Sum, Unique, parse_rules
from synth.schema import Column, Schema
from synth.views import Expectation, expectation, moments, title

EXACT = 2**53  # numbers beyond it are not told apart by the floats that Great Expectations compares

Spec = Mapping[str, Any]


def rule_expectations(schema: Schema, specs: Sequence[Spec]) -> tuple[list[Expectation], dict[str, Any]]:
    """The expectations of a schema's rules, and its views: name of what is computed -> the rule and its columns.

    The patterns of regular expressions, and single columns that the schema calls unique, are expectations already.
    """
    found: list[Expectation] = []
    views: dict[str, Any] = {}
    by_name = {spec["name"]: spec for spec in specs}
    for rule in schema.rules:
        for made in _expectations(rule, schema, by_name):
            made["meta"]["rule"] = rule.title
            found.append(made)
            if made["meta"]["view"] == "rule":
                facts = [schema[name].model_copy(update={"categories": None}) for name in rule.names]
                plain = rule.model_dump(mode="json", exclude={"known"})
                views[rule.title] = {"rule": plain, "columns": [fact.model_dump(mode="json") for fact in facts]}
    return found, views


def rule_view(view: Mapping[str, Any], columns: Sequence[pa.ChunkedArray]) -> pd.Series:
    """(N,) what a rule's expectation looks at: combinations as text, for others numbers that are 0 where it is kept.

    view: as `rule_expectations` gave it; columns: in the order of the rule's names
    """
    rule = parse_rules([view["rule"]])[0]
    table = pa.table(dict(zip(rule.names, columns, strict=True)))
    known = {column["name"]: Column.model_validate(column) for column in view["columns"]}
    if isinstance(rule, Combination):
        return pd.Series(combine(table.columns).to_pandas(), dtype="str")
    if isinstance(rule, OneHot):
        count = np.sum([ones(column) for column in table.columns], axis=0)
        return pd.Series(np.where(broken(rule, table, known) & (count <= 1), -1, count))
    if isinstance(rule, Increment):
        return pd.Series(remainders(rule, table, known))
    if isinstance(rule, Sum | Ratio):
        return pd.Series(Formula.of(rule, known, {field.name: field.type for field in table.schema}).excess(table))
    return pd.Series(broken(rule, table, known).astype(np.int64))


def _expectations(rule: Rule, schema: Schema, specs: Mapping[str, Spec]) -> Iterator[Expectation]:
    names = list(rule.names)
    if isinstance(rule, Inequality):
        yield from _inequality(rule, schema, specs)
    elif isinstance(rule, Combination):
        known = {"column": rule.title, "value_set": list(rule.known)}
        yield expectation("column_values_to_be_in_set", known, names, view="rule")
    elif isinstance(rule, Unique) and (len(names) > 1 or not schema[names[0]].unique):
        kind = "compound_columns_to_be_unique" if len(names) > 1 else "column_values_to_be_unique"
        named = {"column_list": list(map(title, names))} if len(names) > 1 else {"column": title(names[0])}
        yield expectation(kind, named, names)
    elif isinstance(rule, Bounds):
        yield _bounds(rule, schema, specs)
    elif isinstance(rule, Sum | Ratio | Increment):
        yield _zero(rule)
    elif isinstance(rule, OneHot):
        ends = {"column": rule.title, "min_value": 0 if rule.none else 1, "max_value": 1}
        yield expectation("column_values_to_be_between", ends, names, view="rule")


def _zero(rule: Rule) -> Expectation:
    """What the rule's view must be: 0 in every row."""
    kwargs = {"column": rule.title, "min_value": 0, "max_value": 0}
    return expectation("column_values_to_be_between", kwargs, list(rule.names), view="rule")


def _inequality(rule: Inequality, schema: Schema, specs: Mapping[str, Spec]) -> Iterator[Expectation]:
    there = [name for name in rule.columns if schema[name].kind != "empty"]
    views = {specs[name]["view"] for name in there}
    if len(there) < 2 or len(views) > 1 or not all(_exact(schema[name]) for name in there):
        yield _zero(rule)
        return
    for low, high in combinations(there, 2):
        kwargs = {"column_A": title(high), "column_B": title(low), "or_equal": not rule.strict}
        kwargs["ignore_row_if"] = "either_value_is_missing"
        kind = "column_pair_values_a_to_be_greater_than_b"
        yield expectation(kind, kwargs, [high, low], view=views.copy().pop())


def _exact(column: Column) -> bool:
    """Whether the view of a column tells all of its values apart and has the same unit as others."""
    if column.kind == "datetime":
        return "[ns" not in column.dtype and not column.dtype.startswith("duration") and column.dtype != "time64[ns]"
    ends = (abs(float(bound or 0)) for bound in (column.minimum, column.maximum))
    return column.decimals is None or max(ends) * 10.0**column.decimals < EXACT


def _bounds(rule: Bounds, schema: Schema, specs: Mapping[str, Spec]) -> Expectation:
    column, view = schema[rule.column], specs[rule.column]["view"]
    if column.kind == "empty" or view == "text" or not _exact(column):
        return _zero(rule)
    kwargs: dict[str, Any] = {"column": title(rule.column), "strict_min": rule.strict, "strict_max": rule.strict}
    dtype = schema.arrow_schema.field(rule.column).type
    for key, bound in (("min_value", rule.minimum), ("max_value", rule.maximum)):
        if bound is not None:
            moment = column.kind == "datetime" and view == "moment"
            kwargs[key] = moments(scalar_array(bound, dtype), column.format)[0].isoformat() if moment else bound
    return expectation("column_values_to_be_between", kwargs, [rule.column], view=view)
