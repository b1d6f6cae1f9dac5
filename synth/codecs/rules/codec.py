"""A table codec that keeps declared rules: it learns a table whose every row keeps them, and turns it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs.columns import category, flat
from synth.codecs.rules import joint
from synth.codecs.rules.checks import broken
from synth.codecs.rules.declaration import check_rows, check_rules, formulas_in_order, made_by
from synth.codecs.rules.formulas import Formula
from synth.codecs.rules.keys import Key, Texts
from synth.codecs.rules.order import Order, fit_orders, groups, orders_from_state
from synth.codecs.rules.quantities import Mask
from synth.codecs.table import Arrays, Spans, TableCodec, inside, restore
from synth.codecs.text import hashable
from synth.conditions import Asked
from synth.constraints import Bounds, Combination, Increment, Inequality, OneHot, Ratio, Regex, Rule, Sum, Unique
from synth.errors import ConfigError, SynthError
from synth.layout import TableLayout
from synth.schema import Column, Kind, Schema, pack_arrow

Draw = Callable[[NDArray[np.int64], int], Arrays]

DRAWS = 50  # of rows that break a rule
NOTHING = "(nothing)"  # the one column of a modelled table whose rows are made from their numbers alone
ABOVE, JOINT, WHICH, THERE = "{} (above)", "{} (together)", "{} (which)", "{} (there)"


@dataclass(frozen=True)
class Shape:
    """What stands in a modelled table instead of the columns of the rules.

    orders: columns that are learnt as their distance from others
    formulas: columns that are computed, each after those that it is computed from; `kept` are learnt too, for the
        nulls that the formula does not explain
    joints: combinations and one-hot groups, each one category
    keys, texts: made from the row's number
    """

    schema: Schema
    orders: tuple[Order, ...]
    formulas: tuple[Formula, ...]
    kept: frozenset[str]
    joints: tuple[Combination | OneHot, ...]
    keys: tuple[Key, ...]
    texts: tuple[Texts, ...]

    @classmethod
    def fit(cls, table: pa.Table, schema: Schema, rng: np.random.Generator) -> Shape:
        """Learn what the forms need from the training rows, which keep all rules."""
        columns = {column.name: column for column in schema.columns}
        rules = [rule for rule in schema.rules if not _vacuous(rule, columns)]
        formulas = _formulas(rules, schema)
        keys = (
            Key.fit([columns[name] for name in rule.columns], table, rng)
            for rule in rules
            if isinstance(rule, Unique) and not _single(rule, columns)
        )
        texts = (Texts.fit(rule, table.column(rule.column), rng) for rule in rules if isinstance(rule, Regex))
        return cls(
            schema,
            tuple(fit_orders(_inequalities(rules), table, columns, _free_groups(rules, columns))),
            formulas,
            frozenset(one.made.column.name for one in formulas if _nulls_of_its_own(one, table)),
            _joints(rules),
            tuple(keys),
            tuple(texts),
        )

    @cached_property
    def replaced(self) -> dict[str, str | None]:
        """Column -> the modelled column that stands for it; None where none does."""
        found: dict[str, str | None] = {}
        for rule in self.joints:
            title = (JOINT if isinstance(rule, Combination) else WHICH).format(rule.columns[0])
            found |= dict.fromkeys(rule.columns, title)
        found |= {name: ABOVE.format(name) for order in self.orders for name in order.learnt}
        found |= {one.made.column.name: None for one in self.formulas if one.made.column.name not in self.kept}
        found |= {part.column.name: None for key in self.keys for part in key.parts}
        for text in self.texts:
            column = self.schema[text.rule.column]
            found[column.name] = THERE.format(column.name) if column.nullable else None
        taken = set(self.schema.names)
        return {name: title and _fresh(title, taken) for name, title in found.items()}

    @property
    def plain(self) -> list[str]:
        """Columns that are modelled as they are, so that a condition can be set on them."""
        computed = {one.made.column.name for one in self.formulas}
        return [name for name in self.schema.names if name not in self.replaced and name not in computed]

    @property
    def capacity(self) -> int | None:
        """Rows for which there are different keys; None where they never end."""
        rooms = [key.capacity for key in self.keys]
        rooms += [text.capacity for text in self.texts if text.rule.unique]
        return min(rooms, default=None)

    def forward(self, table: pa.Table) -> pa.Table:
        """The modelled table of a table with the schema's columns."""
        made: dict[str, pa.Array] = {}
        for order in self.orders:
            made |= {str(self.replaced[name]): gap for name, gap in order.forward(table).items()}
        for rule in self.joints:
            parts = [table.column(name) for name in rule.columns]
            made[str(self.replaced[rule.columns[0]])] = (
                joint.combine(parts) if isinstance(rule, Combination) else joint.hot(parts)
            )
        for text in self.texts:
            there = self.replaced[text.rule.column]
            if there is not None:
                null = np.asarray(pc.is_null(flat(table.column(text.rule.column))))
                made[there] = pa.array(np.ones(len(null), dtype=np.int64), mask=null)
        columns: dict[str, Any] = {}
        for name in table.column_names:
            title = self.replaced.get(name, name)
            if title is not None and title not in columns:
                columns[title] = made.get(title, table.column(name) if title == name else None)
        return pa.table(columns or {NOTHING: pa.nulls(table.num_rows)})

    def inverse(self, table: pa.Table, rows: range) -> pa.Table:
        """What `forward` turned, of rows with these global numbers, in the schema's exact types."""
        numbers = np.arange(rows.start, rows.stop, dtype=np.int64)
        found: dict[str, Any] = {name: table.column(name) for name in self.schema.names if name in table.column_names}
        types = {field.name: field.type for field in self.schema.arrow_schema}
        for rule in self.joints:
            codes, wanted = self._one(table, rule.columns[0]), [types[name] for name in rule.columns]
            parts = joint.take_apart(codes, wanted) if isinstance(rule, Combination) else joint.spread(codes, wanted)
            found |= dict(zip(rule.columns, parts, strict=True))
        for order in self.orders:
            found |= order.inverse(_table(found), {name: self._one(table, name) for name in order.learnt})
        for key in self.keys:
            found |= key.make(numbers)
        for text in self.texts:
            found[text.rule.column] = self._text(text, table, numbers)
        for formula in self.formulas:
            name = formula.made.column.name
            found[name] = formula.compute(_table(found), found.get(name))
        return restore(_table({name: found[name] for name in self.schema.names}), self.schema)

    def _one(self, table: pa.Table, name: str) -> pa.Array:
        return flat(table.column(str(self.replaced[name])))

    def _text(self, text: Texts, table: pa.Table, numbers: NDArray[np.int64]) -> pa.Array:
        made = text.make(numbers)
        if self.replaced[text.rule.column] is None:
            return made
        null = pc.is_null(self._one(table, text.rule.column))
        return pc.if_else(null, pa.scalar(None, made.type), made)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "orders": [order.state() for order in self.orders],
            "kept": sorted(self.kept),
            "keys": [key.state() for key in self.keys],
            "texts": [text.state() for text in self.texts],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], schema: Schema) -> Shape:
        """What `state` gave."""
        columns = {column.name: column for column in schema.columns}
        types = {field.name: field.type for field in schema.arrow_schema}
        rules = [rule for rule in schema.rules if not _vacuous(rule, columns)]
        patterns = [rule for rule in rules if isinstance(rule, Regex)]
        return cls(
            schema,
            tuple(orders_from_state(_inequalities(rules), state["orders"], columns, types)),
            _formulas(rules, schema),
            frozenset(state["kept"]),
            _joints(rules),
            tuple(Key.from_state(key, columns, types) for key in state["keys"]),
            tuple(Texts.from_state(text, rule) for text, rule in zip(state["texts"], patterns, strict=True)),
        )


@dataclass(frozen=True)
class RuledCodec:
    """A `TableCodec` of the modelled table, between tables that keep the schema's rules; it takes that one's place."""

    schema: Schema
    shape: Shape
    inner: TableCodec

    @classmethod
    def fit(cls, table: pa.Table, schema: Schema, seed: int) -> RuledCodec:
        """Fit on training rows; ConfigError or InputError where the rules and they do not agree."""
        table = restore(table, schema)
        columns = {column.name: column for column in schema.columns}
        check_rules(schema.rules, columns, {field.name: field.type for field in table.schema})
        check_rows(schema.rules, columns, table)
        rng = np.random.default_rng(np.random.SeedSequence([seed, len(schema.rules)]))
        shape = Shape.fit(table, schema, rng)
        modelled = shape.forward(table)
        return cls(schema, shape, TableCodec.fit(modelled, modelled_schema(shape, modelled), seed))

    @property
    def layout(self) -> TableLayout:
        """What a model is told."""
        return self.inner.layout

    @property
    def plain(self) -> list[str]:
        """Columns that are modelled as they are."""
        return self.shape.plain

    @property
    def capacity(self) -> int | None:
        """Rows for which there are different keys; None where they never end."""
        return self.shape.capacity

    def modelled(self, table: pa.Table) -> pa.Table:
        """The table whose columns are encoded."""
        return self.shape.forward(restore(table, self.schema))

    def check_gaps(self, table: pa.Table) -> None:
        """ConfigError for nulls that cannot be filled: in columns that a rule ties to others."""
        for rule in self.schema.rules:
            for name in () if isinstance(rule, Bounds | Increment) else rule.names:
                if flat(table.column(name)).null_count:
                    raise ConfigError(
                        f"impute: column {name!r} has nulls and is part of rule {rule.title!r}; what fills them could "
                        "break it. Fit without this rule to impute"
                    )

    def encode(self, table: pa.Table, *, places: bool = True) -> dict[str, NDArray[Any]]:
        """As `TableCodec.encode`, of the modelled table."""
        return self.inner.encode(self.modelled(table), places=places)

    def log_density(self, table: pa.Table, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """As `TableCodec.log_density`, of the modelled table; minus infinity for rows that break a rule."""
        table = restore(table, self.schema)
        density = self.inner.log_density(self.shape.forward(table), tokens)
        columns = {column.name: column for column in self.schema.columns}
        for rule in self.schema.rules:
            if not isinstance(rule, Unique):  # a matter of several rows
                density = np.where(broken(rule, table, columns), -np.inf, density)
        return density

    def place(self, name: str) -> int:
        """Which of the modelled columns holds what is asked of the column called so; ConfigError where none does."""
        if name in self.schema.names and name not in self.plain and self._combination(name) is None:
            raise ConfigError(
                f"column {name!r} is made by a rule, not learnt as it is; no condition can be put on it, but on: "
                f"{', '.join(self.plain) or 'no other'}"
            )
        combined = self._combination(name)
        return self.inner.place(name if combined is None else str(self.shape.replaced[name]))

    def spans(self, name: str, asked: Asked) -> Spans:
        """As `TableCodec.spans`; of a column in a combination the whole tokens of those that have the value."""
        rule = self._combination(name)
        if rule is None:
            return self.inner.spans(name, asked)
        place = self.place(name)
        columns = dict(zip(self.inner.schema.names, self.inner.columns, strict=True))
        combined = cast("category.Codec", columns[str(self.shape.replaced[name])])
        types = [self.schema.arrow_schema.field(part).type for part in rule.columns]
        values = joint.take_apart(combined.values, types)[rule.columns.index(name)]
        known, null = values.drop_null().unique(), values.null_count > 0
        each = category.Codec(known, np.ones(len(known) + null, dtype=np.int64), False, null).spans(name, asked)
        codes = pc.fill_null(pc.index_in(hashable(values), hashable(known)), len(known)).to_numpy(zero_copy_only=False)
        spans = np.tile([1.0, 0.0], (self.layout.columns[place].cardinality, 1))
        spans[: len(values)] = each[codes]
        return spans

    def nulls(self, d: int) -> Mask:
        """As `TableCodec.nulls`."""
        return self.inner.nulls(d)

    def valued(self, d: int) -> Mask:
        """As `TableCodec.valued`."""
        return self.inner.valued(d)

    def _combination(self, name: str) -> Combination | None:
        return next(
            (rule for rule in self.shape.joints if isinstance(rule, Combination) and name in rule.columns), None
        )

    def decode(
        self, arrays: Arrays, *, rows: range, rng: np.random.Generator, spans: Mapping[int, Spans] | None = None
    ) -> pa.Table:
        """As `TableCodec.decode`; rows that `broken` names have to be drawn anew."""
        return self.shape.inverse(self.inner.decode(arrays, rows=rows, rng=rng, spans=spans), rows)

    def keep(
        self,
        arrays: Arrays,
        draw: Draw,
        *,
        rows: range,
        seed: np.random.SeedSequence,
        spans: Mapping[int, Spans],
        finish: Callable[[pa.Table], pa.Table],
    ) -> pa.Table:
        """As `decode`, with the rows that break a rule drawn anew until none does.

        draw: (which rows of the block (M,), number of the attempt) -> their new arrays
        finish: what is done with the table before it is checked
        SynthError where DRAWS attempts leave rows that break a rule.
        """
        values, places = seed.spawn(2)
        rng = np.random.default_rng(places)
        arrays = _with_places(arrays, spans, rng)
        for attempt in range(1, DRAWS + 1):
            table = finish(self.decode(arrays, rows=rows, rng=np.random.default_rng(values)))
            wrong, title = self.broken(table, rows)
            if not wrong.any():
                return table
            chosen = np.flatnonzero(wrong)
            for name, new in _with_places(draw(chosen, attempt), spans, rng).items():
                arrays[name][chosen] = new
        raise SynthError(
            f"rule {title!r}: {len(chosen):,} of {len(rows):,} rows still break it after {DRAWS} draws; the model has "
            "learnt too little of it: train it longer, choose another family, or leave the rule out"
        )

    def broken(self, table: pa.Table, rows: range) -> tuple[Mask, str]:
        """(N,) the rows of a decoded table that break a rule or have a null that may not be, and which rule it is."""
        columns = {column.name: column for column in self.schema.columns}
        out, title = np.zeros(table.num_rows, dtype=bool), ""
        for rule in self.schema.rules:
            wrong = broken(rule, table, columns)
            if isinstance(rule, Unique | Regex) and self.capacity is not None:
                wrong = wrong & (np.arange(rows.start, rows.stop) < self.capacity)
            if wrong.any():
                out, title = out | wrong, rule.title
        for rule in self.schema.rules:
            if isinstance(rule, Sum | Ratio | Inequality):
                for name in rule.names:
                    if not columns[name].nullable and table.column(name).null_count:
                        out, title = out | np.asarray(pc.is_null(flat(table.column(name)))), rule.title
        return out, title

    def empty(self) -> pa.Table:
        """No row, in the source's Arrow schema."""
        return self.shape.inverse(self.inner.empty(), range(0))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rules": self.shape.state(),
            "modelled": self.inner.schema.model_dump(mode="json"),
            "columns": self.inner.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], schema: Schema) -> RuledCodec:
        """What `state` gave."""
        inner = Schema.model_validate(state["modelled"])
        return cls(schema, Shape.from_state(state["rules"], schema), TableCodec.from_state(state["columns"], inner))


def modelled_schema(shape: Shape, modelled: pa.Table) -> Schema:
    """The schema of the modelled table: the columns that stay as they are known, the others read off the rows."""
    from synth.detection import detect

    kinds: dict[str, Kind] = {}
    for name, title in shape.replaced.items():
        if title is not None:
            kinds[title] = "number" if any(name in order.learnt for order in shape.orders) else "category"
    new = [name for name in modelled.column_names if name not in shape.schema.names]
    rare = shape.schema.rare_values
    read = detect(modelled.select(new), kinds=kinds, rare_values=rare).columns if new else ()
    found = {column.name: column for column in read}
    target = shape.schema.target
    target = shape.replaced.get(target, target) if target is not None else None
    return Schema(
        columns=tuple(found.get(name) or shape.schema[name] for name in modelled.column_names),
        target=target if target in modelled.column_names else None,
        rows=shape.schema.rows,
        arrow=pack_arrow(modelled.schema),
    )


def _with_places(arrays: Arrays, spans: Mapping[int, Spans], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """The arrays with places inside the tokens, so that a row drawn anew lies elsewhere in the same token."""
    found = {name: np.array(array) for name, array in arrays.items()}
    if "places" not in found:
        found["places"] = rng.random(found["tokens"].shape)
        for d, span in sorted(spans.items()):
            found["places"][:, d] = inside(span, found["tokens"][:, d], rng)
    return found


def _formulas(rules: Sequence[Rule], schema: Schema) -> tuple[Formula, ...]:
    columns = {column.name: column for column in schema.columns}
    types = {field.name: field.type for field in schema.arrow_schema}
    return tuple(Formula.of(rule, columns, types) for rule in formulas_in_order(rules))


def _inequalities(rules: Iterable[Rule]) -> list[Inequality]:
    return [rule for rule in rules if isinstance(rule, Inequality)]


def _joints(rules: Iterable[Rule]) -> tuple[Combination | OneHot, ...]:
    return tuple(rule for rule in rules if isinstance(rule, Combination | OneHot))


def _free_groups(rules: Sequence[Rule], columns: Mapping[str, Column]) -> list[list[str]]:
    """Columns that inequalities tie together and that no other rule makes; the latter are checked alone."""
    made = made_by(rules, (Sum, Ratio, Combination, OneHot))
    free = [name for name, column in columns.items() if name not in made and column.kind != "empty"]
    return groups(_inequalities(rules), free)


def _single(rule: Unique, columns: Mapping[str, Column]) -> bool:
    """Whether a key is one column that its own codec makes unique."""
    return len(rule.columns) == 1 and columns[rule.columns[0]].kind == "identifier"


def _vacuous(rule: Rule, columns: Mapping[str, Column]) -> bool:
    """Whether a rule says nothing because a column that it needs is all null."""
    needed = rule.names if isinstance(rule, Sum | Ratio | Regex) else ()
    return any(columns[name].kind == "empty" for name in needed)


def _nulls_of_its_own(formula: Formula, table: pa.Table) -> bool:
    """Whether a computed column is null where the formula has a value, or the other way round."""
    _, null = formula.exact(table)
    _, absent = formula.made.read(table.column(formula.made.column.name))
    return bool((null != absent).any())


def _fresh(title: str, taken: set[str]) -> str:
    """The title, or one like it that no column has; the same for all columns that share it."""
    while title in taken:
        title += "'"
    return title


def _table(columns: Mapping[str, Any]) -> pa.Table:
    return pa.table(dict(columns))
