"""Rules held against a table before anything is fitted: what cannot be is refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import flat
from synth.codecs.columns.identifier import TextFormat
from synth.codecs.rules.checks import broken
from synth.codecs.rules.joint import combine
from synth.codecs.rules.language import language
from synth.codecs.rules.order import groups
from synth.codecs.rules.quantities import quantity, sort_of
from synth.codecs.text import is_text, value_type
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
from synth.errors import ConfigError, InputError
from synth.schema import Column, Kind

Columns = Mapping[str, Column]
Types = Mapping[str, pa.DataType]
MAKERS = (
    Sum,
    Ratio,
    Regex,
    Unique,
    Combination,
    OneHot,
)  # rules that make columns; the others are kept by what they are


def rule_kinds(rules: Sequence[Rule], table: pa.Table, kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """The kinds that rules ask of columns: of a regular expression and of a single key an identifier.

    ConfigError, before any column is read, for a rule that contradicts another one or names no column.
    """
    _check_declared(rules, table.column_names)
    found: dict[str, Kind] = dict(kinds)
    for rule in rules:
        dtype = value_type(table.schema.field(rule.names[0]).type)
        whole = is_text(dtype) or pa.types.is_integer(dtype)
        if isinstance(rule, Regex) or (isinstance(rule, Unique) and len(rule.columns) == 1 and whole):
            if isinstance(rule, Regex) and not is_text(dtype):
                raise ConfigError(f"rule {rule.title!r}: column {rule.column!r} is {dtype}; only text has a pattern")
            if found.setdefault(rule.names[0], "identifier") != "identifier":
                raise ConfigError(f"rule {rule.title!r}: kinds says that {rule.names[0]!r} is no identifier")
    return found


def declare(
    rules: Sequence[Rule], columns: Sequence[Column], table: pa.Table, least: int
) -> tuple[tuple[Rule, ...], tuple[Column, ...]]:
    """The rules with the combinations of `table`, and the columns with what the rules say of their formats.

    least: rows that a combination needs

    ConfigError names a rule that cannot be kept, InputError one that rows of `table` break.
    """
    known = {column.name: column for column in columns}
    check_rules(rules, known, {field.name: field.type for field in table.schema})
    complete = tuple(
        _with_combinations(rule, table, least) if isinstance(rule, Combination) else rule for rule in rules
    )
    check_rows(complete, known, table)
    return complete, tuple(_described(column, rules, table) for column in columns)


def check_rules(rules: Sequence[Rule], columns: Columns, types: Types) -> None:
    """ConfigError for the first rule that contradicts another one or the columns."""
    _check_declared(rules, list(columns))
    for rule in rules:
        _check_sorts(rule, columns, types)
    _check_bounds(rules, columns, types)
    row_made = {name: rule for rule in rules if isinstance(rule, Unique | Regex) for name in rule.names}
    computed = made_by(rules, (Sum, Ratio))
    for rule in rules:
        if isinstance(rule, Inequality):
            for name in rule.columns:
                if name in row_made:
                    raise ConfigError(_both(rule, row_made[name], name, "makes it from the row's number"))
        if isinstance(rule, Increment) and rule.column in computed:
            raise ConfigError(_both(rule, computed[rule.column], rule.column, "computes it; give its parts increments"))


def check_rows(rules: Sequence[Rule], columns: Columns, table: pa.Table) -> None:
    """InputError for the first rule that rows of `table` break, with their number and the first of them.

    Rows with a combination that is not known are no error: it is withheld, and another stands in its place.
    """
    for rule in rules:
        if isinstance(rule, Combination):
            continue
        missing = _null_where_none_may_be(rule, columns, table)
        wrong = broken(rule, table, columns)
        if missing:
            raise InputError(f"rule {rule.title!r}: column {missing!r} has nulls; fill them or drop their rows")
        if wrong.any():
            raise InputError(
                f"rule {rule.title!r}: {int(wrong.sum()):,} of {table.num_rows:,} rows break it, the first is row "
                f"{int(np.argmax(wrong)):,} (counted from 0); correct or drop them, or leave the rule out"
            )


def made_by(rules: Sequence[Rule], kinds: tuple[type, ...]) -> dict[str, Rule]:
    """Column -> the rule of one of these kinds that makes it."""
    return {name: rule for rule in rules if isinstance(rule, kinds) for name in _made(rule)}


def formulas_in_order(rules: Sequence[Rule]) -> list[Sum | Ratio]:
    """Totals and ratios, each after those that it is computed from; ConfigError names a circle."""
    left = [rule for rule in rules if isinstance(rule, Sum | Ratio)]
    found: list[Sum | Ratio] = []
    while left:
        waiting = {rule.names[0] for rule in left}
        ready = next((rule for rule in left if not waiting & set(rule.names[1:])), None)
        if ready is None:
            titles = " and ".join(repr(rule.title) for rule in left)
            raise ConfigError(f"rules {titles}: each is computed from the other; leave one out")
        left.remove(ready)
        found.append(ready)
    return found


def _made(rule: Rule) -> tuple[str, ...]:
    return rule.names[:1] if isinstance(rule, Sum | Ratio) else rule.names


def _check_declared(rules: Sequence[Rule], names: Sequence[str]) -> None:
    """ConfigError for what is wrong whatever the columns hold: one that is not there, one that two rules make, a
    circle."""
    for rule in rules:
        for name in rule.names:
            if name not in names:
                raise ConfigError(f"rule {rule.title!r}: {name!r} is not a column; there are: {', '.join(names)}")
    _check_makers(rules)
    groups([rule for rule in rules if isinstance(rule, Inequality)], [])
    formulas_in_order(rules)


def _check_sorts(rule: Rule, columns: Columns, types: Types) -> None:
    """ConfigError where a column has values of another sort than the rule speaks of."""
    for name, wanted in _wanted(rule):
        column, dtype = columns[name], value_type(types[name])
        if (column.kind != "empty" or isinstance(rule, Unique)) and not _fits(wanted, column, dtype):
            raise ConfigError(f"rule {rule.title!r}: column {name!r} is {_what(column, dtype)}; expected {wanted}")
    if isinstance(rule, Inequality):
        sorts = {name: sort_of(columns[name], types[name]) for name in rule.columns if columns[name].kind != "empty"}
        if len(set(sorts.values())) > 1:
            found = ", ".join(f"{name!r} holds {sort}" for name, sort in sorts.items())
            raise ConfigError(f"rule {rule.title!r}: {found}; only values of one sort can be compared")
    if isinstance(rule, Regex):
        language(rule.pattern)
    if isinstance(rule, Increment):
        column = columns[rule.column]
        least = Decimal(10) ** -int(column.decimals or 0)
        if column.decimals is not None and Decimal(str(rule.step)) % least and Decimal(str(rule.step)) < least:
            raise ConfigError(f"rule {rule.title!r}: column {rule.column!r} has {column.decimals} decimals, too few")


def _wanted(rule: Rule) -> Iterator[tuple[str, str]]:
    numbers = {Sum: "numbers", Ratio: "numbers", Increment: "numbers", Bounds: "numbers or moments"}
    wanted = {**numbers, Inequality: "numbers or moments", OneHot: "booleans or numbers 0 and 1"}.get(type(rule))
    if isinstance(rule, Combination):
        wanted = "values that are learnt"
    if isinstance(rule, Unique):
        wanted = "categories, whole numbers, moments or identifiers"
    return ((name, wanted) for name in rule.names if wanted)


def _fits(wanted: str, column: Column, dtype: pa.DataType) -> bool:
    number = column.kind == "number"
    if wanted == "numbers":
        return number
    if wanted == "numbers or moments":
        return number or column.kind == "datetime"
    if wanted == "booleans or numbers 0 and 1":
        return bool(pa.types.is_boolean(dtype) or pa.types.is_integer(dtype) or pa.types.is_floating(dtype))
    if wanted == "values that are learnt":
        return column.kind in ("category", "boolean", "number", "datetime")
    return column.kind in ("category", "boolean", "datetime", "identifier") or column.decimals is not None


def _what(column: Column, dtype: pa.DataType) -> str:
    return f"of kind {column.kind} ({dtype})"


def _check_makers(rules: Sequence[Rule]) -> None:
    """ConfigError for a column that two rules make."""
    makers: dict[str, Rule] = {}
    for rule in rules:
        for name in _made(rule) if isinstance(rule, MAKERS) else ():
            if name in makers:
                raise ConfigError(_both(rule, makers[name], name, "makes it too; a column can be made by one rule"))
            makers[name] = rule


def _both(rule: Rule, other: Rule, name: str, why: str) -> str:
    return f"rule {rule.title!r}: column {name!r}: rule {other.title!r} {why}"


def _check_bounds(rules: Sequence[Rule], columns: Columns, types: Types) -> None:
    """ConfigError for a bound that is no value, and for bounds that leave nothing between them."""
    ends: dict[str, list[tuple[object, bool, bool, Rule]]] = {}
    for rule in rules:
        if not isinstance(rule, Bounds) or columns[rule.column].kind == "empty":
            continue
        for bound, least in ((rule.minimum, True), (rule.maximum, False)):
            if bound is not None:
                exact = _exact(rule, bound, columns[rule.column], types[rule.column])
                ends.setdefault(rule.column, []).append((exact, least, rule.strict, rule))
    for name, found in ends.items():
        for low, low_strict, rule in ((value, strict, rule) for value, least, strict, rule in found if least):
            for high, high_strict in ((value, strict) for value, least, strict, _ in found if not least):
                if low > high or (low == high and (low_strict or high_strict)):  # type: ignore[operator]
                    raise ConfigError(f"rule {rule.title!r}: column {name!r}: no value is above {low} and below {high}")


def _exact(rule: Bounds, bound: int | float | str, column: Column, dtype: pa.DataType) -> object:
    """A declared bound as a value that can be compared."""
    if column.kind == "number":
        if isinstance(bound, str):
            raise ConfigError(f"rule {rule.title!r}: bound {bound!r} is no number")
        return Decimal(str(bound))
    try:
        exact = quantity(column, dtype).bound(bound)
    except (pa.ArrowException, ValueError, TypeError):
        exact = None
    if exact is None:
        raise ConfigError(f"rule {rule.title!r}: bound {bound!r} is no {column.format or value_type(dtype)}")
    return exact


def _null_where_none_may_be(rule: Rule, columns: Columns, table: pa.Table) -> str | None:
    """A column of the rule that has nulls though a key or a one-hot group may have none."""
    if not isinstance(rule, OneHot | Unique) or _counted(rule, columns):
        return None
    return next((name for name in rule.names if flat(table.column(name)).null_count), None)


def _counted(rule: Rule, columns: Columns) -> bool:
    """Whether a rule asks for one unique column that its own codec makes, nulls and all."""
    return isinstance(rule, Unique) and len(rule.columns) == 1 and columns[rule.columns[0]].kind == "identifier"


def _with_combinations(rule: Combination, table: pa.Table, least: int) -> Combination:
    each = pc.value_counts(combine([table.column(name) for name in rule.columns]))
    often = pc.greater_equal(pc.struct_field(each, "counts"), least)
    return rule.model_copy(update={"known": tuple(sorted(pc.struct_field(each, "values").filter(often).to_pylist()))})


def _described(column: Column, rules: Sequence[Rule], table: pa.Table) -> Column:
    """The column with the pattern of a rule, or that of the different values of an identifier in a key."""
    for rule in rules:
        if isinstance(rule, Regex) and rule.column == column.name:
            return column.model_copy(update={"pattern": f"^(?:{rule.pattern})$", "unique": rule.unique})
        several = isinstance(rule, Unique) and len(rule.columns) > 1 and column.name in rule.columns
        if several and column.kind == "identifier" and column.pattern is not None:
            values = pc.drop_null(flat(table.column(column.name))).unique()
            return column.model_copy(update={"pattern": TextFormat.of(values).pattern})
    return column
