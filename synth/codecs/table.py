"""Tables to tokens and back: one token per modelled column, one codec per column by its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs.columns import ColumnCodec, category, codec, flat, personal
from synth.codecs.text import from_scalars, hashable
from synth.conditions import Asked
from synth.errors import ConfigError, InputError
from synth.layout import ColumnLayout, TableLayout
from synth.schema import Column, Schema
from synth.stored import AnyTable

Arrays = Mapping[str, NDArray[Any]]
Spans = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class TableCodec:
    """The columns' codecs, in the schema's order."""

    schema: Schema
    columns: tuple[ColumnCodec, ...]

    def __post_init__(self) -> None:
        """Columns of one person agree."""
        personal.bind(self.columns)

    @classmethod
    def fit(cls, table: AnyTable, schema: Schema, seed: int) -> TableCodec:
        """Fit each column's codec on the training rows, one column at a time."""
        streams = np.random.SeedSequence(seed).spawn(len(schema.columns))
        fitted = (
            codec(column.kind).fit(_whole(_restored(table, column, dtype)), column, np.random.default_rng(stream))
            for column, dtype, stream in zip(schema.columns, schema.arrow_schema.types, streams, strict=True)
        )
        return cls(schema, tuple(fitted))

    @property
    def order(self) -> list[int]:
        """Positions of the columns as a model takes them: the source's order, but for the target.

        It comes last, learnt given all others as a classifier would: Adult's train-on-synthetic score rises by .004.
        Where most of the others are continuous it comes first: they are easier to learn given the target than it is
        given them, and MAGIC's score rises by .005.
        """
        names = self.schema.names
        others = [
            found for name, found in zip(names, self._layouts, strict=True) if found and name != self.schema.target
        ]
        continuous = sum(not found.embedded.all() for found in others)
        place = -1 if 2 * continuous > len(others) else 1
        return sorted(range(len(names)), key=lambda i: place * (names[i] == self.schema.target))

    @property
    def names(self) -> list[str]:
        """Of the columns that are modelled, in the layout's order."""
        return [self.schema.names[i] for i, _ in self._modelled]

    @property
    def layout(self) -> TableLayout:
        """What a model is told; columns without tokens are left out."""
        names = self.names
        target = names.index(self.schema.target) if self.schema.target in names else None
        return TableLayout(tuple(found for _, found in self._modelled), target)

    def encode(self, table: pa.Table, *, places: bool = True) -> dict[str, NDArray[Any]]:
        """{"tokens": (N, D) int64} of a table with the schema's columns and, where wanted, their {"places": (N, D)
        float32}."""
        table = restore(table, self.schema)
        shape = (table.num_rows, len(self._modelled))
        arrays: dict[str, NDArray[Any]] = {"tokens": np.empty(shape, dtype=np.int64)}
        if places:
            arrays["places"] = np.empty(shape, dtype=np.float32)
        for d, (i, _) in enumerate(self._modelled):
            array = flat(table.column(i))
            arrays["tokens"][:, d] = self.columns[i].encode(array)
            if places:
                arrays["places"][:, d] = self.columns[i].places(array, arrays["tokens"][:, d])
        return arrays

    def modelled(self, table: pa.Table) -> pa.Table:
        """The table whose columns are encoded: the same."""
        return table

    def log_density(self, table: pa.Table, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) log density of the rows inside their tokens (N, D), summed over the columns."""
        table = restore(table, self.schema)
        each = (
            self.columns[i].log_density(flat(table.column(i)), tokens[:, d]) for d, (i, _) in enumerate(self._modelled)
        )
        return sum(each, np.zeros(table.num_rows))

    def decode(
        self, arrays: Arrays, *, rows: range, rng: np.random.Generator, spans: Mapping[int, Spans] | None = None
    ) -> pa.Table:
        """A table of the source's Arrow schema from {"tokens": (N, D)} and the rows' global numbers.

        {"places": (N, D)} says where inside the tokens the values lie; without it they are drawn uniformly.
        spans: modelled column -> (K, 2), the part of each token inside which they are drawn, see `Condition`
        """
        tokens, places = (self._columns_of(arrays.get(name)) for name in ("tokens", "places"))
        if "places" not in arrays:
            places = {
                self._modelled[d][0]: inside(span, arrays["tokens"][:, d], rng)
                for d, span in sorted((spans or {}).items())
            }
        numbers = np.arange(rows.start, rows.stop, dtype=np.int64)
        schema = self.schema.arrow_schema
        decoded = [
            column.decode(tokens.get(i), numbers, stream, places.get(i))
            for i, (column, stream) in enumerate(zip(self.columns, rng.spawn(len(self.columns)), strict=True))
        ]
        exact = [_exact(*parts) for parts in zip(decoded, self.schema.columns, schema.types, strict=True)]
        return pa.table(exact, schema=schema)

    def _columns_of(self, array: NDArray[Any] | None) -> dict[int, NDArray[Any]]:
        """The modelled columns of an array (N, D) by their positions in the schema."""
        return {} if array is None else {i: array[:, d] for d, (i, _) in enumerate(self._modelled)}

    def place(self, name: str) -> int:
        """Which of the modelled columns is the one called so; ConfigError where it is none of them."""
        if name not in self.schema.names:
            raise ConfigError(f"column {name!r} is unknown; there are: {', '.join(self.schema.names)}")
        names = self.names
        if name not in names:
            raise ConfigError(f"column {name!r} is made anew, not learnt; no condition can be put on it")
        return names.index(name)

    def spans(self, name: str, asked: Asked) -> Spans:
        """(K, 2) from where to where inside each token of a column a value is as asked."""
        return self.columns[self._modelled[self.place(name)][0]].spans(name, asked)

    def nulls(self, d: int) -> NDArray[np.bool_]:
        """(K,) which token of a modelled column is the null."""
        layout = self._modelled[d][1]
        return np.arange(layout.cardinality) >= layout.values

    def valued(self, d: int) -> NDArray[np.bool_]:
        """(K,) which tokens of a modelled category stand for one value of their own."""
        i, layout = self._modelled[d]
        found = self.columns[i]
        known = len(found.values) if isinstance(found, category.Codec) else 0
        return np.arange(layout.cardinality) < known

    def empty(self) -> pa.Table:
        """No row, in the source's Arrow schema, dictionaries with all their categories."""
        tokens = np.zeros((0, len(self._modelled)), dtype=np.int64)
        return self.decode({"tokens": tokens}, rows=range(0), rng=np.random.default_rng(0))

    def state(self) -> dict[str, Any]:
        """As JSON, by column name."""
        return {name: column.state() for name, column in zip(self.schema.names, self.columns, strict=True)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], schema: Schema) -> TableCodec:
        """What `state` gave."""
        types = schema.arrow_schema.types
        columns = (
            codec(column.kind).from_state(state[column.name], column, dtype)
            for column, dtype in zip(schema.columns, types, strict=True)
        )
        return cls(schema, tuple(columns))

    def with_counts(self, counts: Sequence[NDArray[np.int64]]) -> TableCodec:
        """The same tokens with other frequencies: of each modelled column (K,) rows."""
        columns = list(self.columns)
        for (i, _), each in zip(self._modelled, counts, strict=True):
            columns[i] = columns[i].with_counts(each)
        return TableCodec(self.schema, tuple(columns))

    @cached_property
    def _layouts(self) -> list[ColumnLayout | None]:
        """Of each column in the schema's order; None where it is not modelled."""
        pairs = zip(self.columns, self.schema.columns, strict=True)
        layouts = [(codec.layout(column.name), column.nullable) for codec, column in pairs]
        return [found and replace(found, nullable=nullable) for found, nullable in layouts]

    @cached_property
    def _modelled(self) -> list[tuple[int, ColumnLayout]]:
        return [(i, found) for i in self.order if (found := self._layouts[i]) is not None]


class Labelled:
    """A codec whose conditions are on the columns of another one's table, which stand beside what it encodes itself."""

    labels: TableCodec

    def modelled(self, table: pa.Table) -> pa.Table:
        """The table whose columns are encoded: the same."""
        return table

    def place(self, name: str) -> int:
        """As `TableCodec.place`."""
        return self.labels.place(name)

    def spans(self, name: str, asked: Asked) -> Spans:
        """As `TableCodec.spans`."""
        return self.labels.spans(name, asked)

    def nulls(self, d: int) -> NDArray[np.bool_]:
        """As `TableCodec.nulls`."""
        return self.labels.nulls(d)

    def valued(self, d: int) -> NDArray[np.bool_]:
        """As `TableCodec.valued`."""
        return self.labels.valued(d)


def inside(spans: Spans, tokens: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(N,) places drawn uniformly in the span of each token."""
    low, high = spans[tokens, 0], spans[tokens, 1]
    return np.asarray(low + (high - low) * rng.random(len(tokens)))


def restore(table: pa.Table, schema: Schema) -> pa.Table:
    """The table's columns in the schema's order and exact Arrow types, dictionaries with all categories in order.

    InputError names a column that is missing or has values of another type.
    """
    arrow = schema.arrow_schema
    columns = [_restored(table, *pair) for pair in zip(schema.columns, arrow.types, strict=True)]
    return pa.table(columns, schema=arrow)


def _restored(table: AnyTable, column: Column, dtype: pa.DataType) -> Any:
    if column.name not in table.column_names:
        raise InputError(f"column {column.name!r} is missing; there are: {', '.join(table.column_names)}")
    found = table.column(column.name)
    try:
        return found if found.type == dtype else _exact(_whole(found), column, dtype)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"column {column.name!r} is {found.type}; expected {dtype}") from None


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _exact(array: pa.Array, column: Column, dtype: pa.DataType) -> pa.Array:
    """An array of the column's values in exactly its Arrow type."""
    if array.type == dtype:
        return array
    if not pa.types.is_dictionary(dtype):
        return array.cast(dtype)
    values = flat(array).cast(dtype.value_type)
    known = from_scalars(column.categories, dtype.value_type) if column.categories is not None else values.unique()
    known = known.drop_null()
    codes = pc.index_in(hashable(values), hashable(known)).cast(dtype.index_type)
    codes = pc.if_else(pc.is_null(values), pa.scalar(None, codes.type), codes)
    return pa.DictionaryArray.from_arrays(codes, known, ordered=dtype.ordered)
