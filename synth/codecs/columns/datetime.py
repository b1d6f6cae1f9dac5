"""datetime: time stamps, dates, times and durations of any unit, and dates as text, as exact integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import dates
from synth.codecs.columns import ColumnCodec, Floats, Places, Tokens, flat, number
from synth.codecs.dates import TextDates
from synth.codecs.text import value_type
from synth.conditions import Asked, Between, OneOf
from synth.errors import ConfigError
from synth.layout import ColumnLayout
from synth.schema import Column


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """A number codec over the integers behind the dates; `text` where the source holds them as text."""

    inner: number.Codec
    dtype: pa.DataType
    text: TextDates | None

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Learn bins, frequent values and the common step (days, hours, ...)."""
        array = flat(array)
        text = None if column.format is None else dates.of(pc.drop_null(array), column.format)
        return cls(number.Codec.fit(to_ticks(array, text), whole(column), rng), array.type, text)

    def layout(self, name: str) -> ColumnLayout:
        """As for a number."""
        return self.inner.layout(name)

    def encode(self, array: pa.Array) -> Tokens:
        """Nearest atom or bin."""
        return self.inner.encode(to_ticks(flat(array), self.text))

    def places(self, array: pa.Array, tokens: Tokens) -> Places:
        """Rank inside the bin."""
        return self.inner.places(to_ticks(flat(array), self.text), tokens)

    def log_density(self, array: pa.Array, tokens: Tokens) -> NDArray[np.float64]:
        """The probability of each moment of the column's unit."""
        return self.inner.log_density(to_ticks(flat(array), self.text), tokens)

    def decode(
        self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator, places: Floats | None = None
    ) -> pa.Array:
        """Dates inside the training range, at its step."""
        return from_ticks(self.inner.decode(tokens, rows, rng, places), self.dtype, self.text)

    def spans(self, name: str, asked: Asked) -> Floats:
        """As for a number, of moments as ISO text or Python's own, dates that are text in the column's format."""
        try:
            if isinstance(asked, Between):
                return self.inner.spans(name, Between(self._tick(asked.low), self._tick(asked.high)))
            return self.inner.spans(name, OneOf(tuple(map(self._tick, asked.values))))
        except pa.ArrowException:
            raise ConfigError(f"where: {name!r}: {asked} is not of type {self.dtype}") from None
        except ConfigError as error:
            ends = [self._written(end) for end in self.inner.grid.ends()]
            if "no value" not in str(error):
                raise
            raise ConfigError(f"where: {name!r}: no value is {asked}; there are {ends[0]} to {ends[1]}") from None

    def _tick(self, moment: Any) -> int | None:
        if moment is None:
            return None
        array = pa.array([moment])
        if self.text is None:
            return int(to_ticks(array.cast(self.dtype), None)[0].as_py())
        tick = self.text.read(array.cast(pa.string()))[0].as_py()
        if tick is None:
            raise pa.ArrowInvalid(f"not a date: {moment}")
        return int(tick)

    def _written(self, end: Any) -> str:
        ticks = pa.array([self.inner.values_at(np.array([end]))], pa.int64())
        return str((self.text.write(ticks) if self.text else ticks.cast(integer_of(self.dtype)).cast(self.dtype))[0])

    def with_counts(self, counts: NDArray[np.int64]) -> Self:
        """Other frequencies."""
        return replace(self, inner=self.inner.with_counts(counts))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        text = self.text and {"unit": self.text.unit, "padded": self.text.padded}
        return {**self.inner.state(), "text": text}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        text = TextDates(str(column.format), **state["text"]) if state["text"] else None
        return cls(number.Codec.from_state(state, whole(column), pa.int64()), value_type(dtype), text)


def whole(column: Column) -> Column:
    """The column as the integers behind it: no decimals."""
    return column.model_copy(update={"decimals": None})


def to_ticks(array: pa.Array, text: TextDates | None) -> pa.Array:
    """The int64 behind dates: units since the epoch, null where a text is no such date."""
    return text.read(array) if text is not None else array.cast(integer_of(array.type)).cast(pa.int64())


def from_ticks(ticks: pa.Array, dtype: pa.DataType, text: TextDates | None) -> pa.Array:
    """What `to_ticks` read, as dates of a type."""
    return text.write(ticks).cast(dtype) if text is not None else ticks.cast(integer_of(dtype)).cast(dtype)


def integer_of(dtype: pa.DataType) -> pa.DataType:
    """The integer type of equal width that Arrow casts a date or time to."""
    return pa.int32() if pa.types.is_date32(dtype) or pa.types.is_time32(dtype) else pa.int64()
