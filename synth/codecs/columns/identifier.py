"""identifier: keys and free text, never learnt; new ones of the same format are made from the row number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs.columns import ColumnCodec, Floats, Tokens, flat
from synth.codecs.text import value_type
from synth.deniable import Deniable
from synth.layout import ColumnLayout
from synth.patterns import Counter, Maker, Template, learn, needs_filter, regex, running
from synth.schema import Column


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """Text counts on or follows templates; integers count on from `start`, down where 64 bits leave no room above.

    unique: whether no value stands twice in the source
    counts: training rows with a value and with a null
    """

    templates: tuple[Template, ...]
    counter: Counter | None
    start: int
    step: int
    key: int
    unique: bool
    counts: tuple[int, int]
    dtype: pa.DataType
    filter: Deniable | None = None

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Learn the format and the null rate; no value is kept."""
        counts = (len(array) - array.null_count, array.null_count)
        values = pc.drop_null(flat(array))
        key = int(rng.integers(0, 2**31))
        if not pa.types.is_integer(values.type):
            form = TextFormat.of(values)
            return cls(form.templates, form.counter, 0, 0, key, form.unique, counts, array.type, form.filter)
        unique = pc.count_distinct(values).as_py() == len(values)
        low, high = pc.min(values).as_py(), pc.max(values).as_py()
        top = 2 ** (values.type.bit_width - (0 if pa.types.is_unsigned_integer(values.type) else 1))
        start, step = (high + 1, 1) if high + 2**31 < top or high < top // 2 else (low - 1, -1)
        return cls((), None, start, step, key, unique, counts, array.type)

    def layout(self, name: str) -> ColumnLayout | None:
        """Whether there is a value, where there may be none; else nothing."""
        return presence(name, self.counts)

    def encode(self, array: pa.Array) -> Tokens:
        """1 for a null, 0 for a value."""
        return np.asarray(pc.is_null(flat(array))).astype(np.int64)

    def decode(
        self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator, places: Floats | None = None
    ) -> pa.Array:
        """An identifier of its own for each row number."""
        null = np.zeros(len(rows), dtype=bool) if tokens is None else tokens == 1
        inner = value_type(self.dtype)
        if self.step:
            return pa.array(count_on(self.start, self.step * rows, inner), mask=null)
        made = self.counter.generate(rows) if self.counter else self._maker.texts(rows)
        return pa.array(made, type=pa.string(), mask=null).cast(inner)

    @cached_property
    def _maker(self) -> Maker:
        return Maker(self.templates, self.key, self.unique, self.filter)

    def with_counts(self, counts: NDArray[np.int64]) -> Self:
        """Another share of nulls."""
        return replace(self, counts=(int(counts[0]), int(counts[1])))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "templates": [asdict(template) for template in self.templates],
            "counter": self.counter and asdict(self.counter),
            "start": self.start,
            "step": self.step,
            "key": self.key,
            "unique": self.unique,
            "counts": list(self.counts),
            "filter": self.filter and self.filter.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        templates = tuple(Template(**template) for template in state["templates"])
        counter = Counter(**state["counter"]) if state["counter"] else None
        counts = (int(state["counts"][0]), int(state["counts"][1]))
        start, step, key, unique = (state[name] for name in ("start", "step", "key", "unique"))
        banned = Deniable.from_state(state["filter"])
        return cls(templates, counter, start, step, key, unique, counts, dtype, banned)


def presence(name: str, counts: tuple[int, int]) -> ColumnLayout | None:
    """Two tokens, for a value and for a null, of which there are so many rows; None where there is no null."""
    if not counts[1]:
        return None
    frequency = np.array(counts) / sum(counts)
    nominal = np.full(2, np.nan, dtype=np.float32)
    return ColumnLayout(
        name, np.zeros((2, 0), np.float32), np.ones(2, dtype=bool), nominal, frequency.astype(np.float32)
    )


@dataclass(frozen=True)
class TextFormat:
    """What is kept of texts: a counter or templates, whether none stands twice, and what must not come out again."""

    templates: tuple[Template, ...]
    counter: Counter | None
    unique: bool
    filter: Deniable | None

    @classmethod
    def of(cls, values: pa.Array) -> Self:
        """The format of non-null texts."""
        values = values.cast(pa.string())
        distinct = pc.count_distinct(values).as_py()
        unique = distinct == len(values)
        counter = running(values) if unique else None
        templates = () if counter else learn(values)
        banned = Deniable.fit(values) if templates and needs_filter(templates, distinct) else None
        return cls(templates, counter, unique, banned)

    @property
    def pattern(self) -> str:
        """The regular expression that all generated texts match."""
        return self.counter.regex if self.counter else regex(self.templates, self.unique)

    @property
    def exposed(self) -> bool:
        """Whether the format has so few texts that real ones come out."""
        return bool(self.templates) and Maker(self.templates, 0, self.unique, self.filter).exposed


def count_on(start: int, steps: Tokens, dtype: pa.DataType) -> np.ndarray[Any, Any]:
    """start + steps, (N,) of the integer type, modulo its width: a narrow type starts anew when it is used up."""
    wide = steps.astype(np.uint64) + np.uint64(start % 2**64)
    return wide.astype(dtype.to_pandas_dtype())
