"""category: one token for each value that the training rows have, one for all that are withheld, one for the null."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import text
from synth.codecs.columns import ColumnCodec, Floats, Tokens, flat
from synth.conditions import Asked, Between, unknown
from synth.errors import ConfigError
from synth.layout import ColumnLayout
from synth.schema import Column


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """values: those with a row of their own in training, in the schema's order.

    counts: training rows of each token: of the values, of all others where `others`, of the nulls where `nulls`
    others: whether training rows had values that the schema does not name; they come out as one of `values`
    """

    values: pa.Array
    counts: NDArray[np.int64]
    others: bool
    nulls: bool

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Count each value of the schema; those without a training row get no token."""
        known = text.from_scalars(column.categories or (), text.value_type(array.type))
        array = flat(array)
        codes = pc.index_in(text.hashable(array), text.hashable(known))
        counts = np.bincount(pc.drop_null(codes).to_numpy(), minlength=len(known)).astype(np.int64)
        seen = np.flatnonzero(counts)
        nulls = array.null_count
        others = len(array) - nulls - int(counts.sum())
        rows = np.array([*counts[seen], *[others] * bool(others), *[nulls] * bool(nulls)], dtype=np.int64)
        return cls(known.take(pa.array(seen)), rows, others > 0, nulls > 0)

    def layout(self, name: str) -> ColumnLayout:
        """Embedded tokens without an order."""
        size = len(self.counts)
        return ColumnLayout(
            name=name,
            features=np.zeros((size, 0), dtype=np.float32),
            embedded=np.ones(size, dtype=bool),
            ordered=np.full(size, np.nan, dtype=np.float32),
            frequency=(self.counts / self.counts.sum()).astype(np.float32),
        )

    def encode(self, array: pa.Array) -> Tokens:
        """Position of each value; unseen ones are among the others, or become the most frequent, as nulls do where
        there were none."""
        array = flat(array)
        fallback = int(self.counts.argmax())
        unseen = len(self.values) if self.others else fallback
        codes = pc.fill_null(pc.index_in(text.hashable(array), text.hashable(self.values)), unseen)
        tokens: Tokens = codes.to_numpy(zero_copy_only=False).astype(np.int64)
        tokens[np.asarray(pc.is_null(array))] = len(self.counts) - 1 if self.nulls else fallback
        return tokens

    def decode(
        self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator, places: Floats | None = None
    ) -> pa.Array:
        """The values of the tokens; in the place of others one of the values, by their frequencies."""
        assert tokens is not None  # noqa: S101 - a category always has tokens
        if self.others and len(self.values):
            share = self.counts[: len(self.values)] / self.counts[: len(self.values)].sum()
            tokens = np.where(tokens == len(self.values), rng.choice(len(share), len(tokens), p=share), tokens)
        indices = pa.array(tokens, mask=tokens >= len(self.values))
        return self.values.take(indices)

    def spans(self, name: str, asked: Asked) -> Floats:
        """The whole token of each value asked for; a range of categories that are numbers is the set of those in it."""
        known = text.to_scalars(self.values)
        spans = np.tile([1.0, 0.0], (len(self.counts), 1))
        if isinstance(asked, Between):
            chosen = [i for i, value in enumerate(known) if _within(name, value, asked)]
            if not chosen:
                raise unknown(name, str(asked), known)
            spans[chosen] = 0, 1
            return spans
        for value in asked.values:
            if value is None and self.nulls:
                spans[-1] = 0, 1
                continue
            place = next((i for i, found in enumerate(known) if _same(found, value)), None)
            if place is None:
                raise unknown(name, value, known)
            spans[place] = 0, 1
        return spans

    def with_counts(self, counts: NDArray[np.int64]) -> Self:
        """Other frequencies."""
        return replace(self, counts=counts)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "values": text.to_scalars(self.values),
            "counts": self.counts.tolist(),
            "others": self.others,
            "nulls": self.nulls,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        values = text.from_scalars(state["values"], text.value_type(dtype))
        return cls(values, np.array(state["counts"], dtype=np.int64), bool(state["others"]), bool(state["nulls"]))


def _same(known: Any, value: Any) -> bool:
    """Whether a value that a user wrote is a known one; numbers and truth values may be written as text."""
    return bool(known == value) or str(known) == str(value) or (isinstance(known, bool) and str(known).lower() == value)


def _within(name: str, value: Any, asked: Between) -> bool:
    try:
        return (asked.low is None or asked.low <= value) and (asked.high is None or value <= asked.high)
    except TypeError:
        raise ConfigError(f"where: {name!r}: a range {asked} cannot be told from values like {value!r}") from None
