"""datetime: time stamps, dates, times and durations of any unit, and dates as text, as exact integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import ColumnCodec, Tokens, flat, number
from synth.layout import ColumnLayout
from synth.schema import Column


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """A number codec over the integers behind the dates; `format` where the source holds them as text."""

    inner: number.Codec
    dtype: pa.DataType
    format: str | None

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Learn bins, frequent values and the common step (days, hours, ...)."""
        array = flat(array)
        ticks = to_ticks(array, column.format)
        return cls(number.Codec.fit(ticks, replace_decimals(column), rng), array.type, column.format)

    def layout(self, name: str) -> ColumnLayout:
        """As for a number."""
        return self.inner.layout(name)

    def encode(self, array: pa.Array) -> Tokens:
        """Nearest atom or bin."""
        return self.inner.encode(to_ticks(flat(array), self.format))

    def decode(self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator) -> pa.Array:
        """Dates inside the training range, at its step."""
        ticks = self.inner.decode(tokens, rows, rng)
        if self.format is not None:
            moments = ticks.cast(pa.timestamp("s"))
            return pc.strftime(moments, format=self.format).cast(self.dtype)
        return ticks.cast(integer_of(self.dtype)).cast(self.dtype)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return self.inner.state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        value_type = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
        return cls(number.Codec.from_state(state, column, pa.int64()), value_type, column.format)


def replace_decimals(column: Column) -> Column:
    """The column as the integers behind it: no decimals."""
    return column.model_copy(update={"decimals": None})


def to_ticks(array: pa.Array, format: str | None) -> pa.Array:  # noqa: A002 - strptime's own word
    """The int64 behind dates: units since the epoch, or seconds for dates as text."""
    if format is not None:
        return parse_dates(array, format).cast(pa.int64())
    return array.cast(integer_of(array.type)).cast(pa.int64())


def parse_dates(array: pa.Array, format: str) -> pa.Array:  # noqa: A002
    """Text as timestamp[s]; null where it does not follow the format."""
    return pc.strptime(array.cast(pa.string()), format=format, unit="s", error_is_null=True)


def integer_of(dtype: pa.DataType) -> pa.DataType:
    """The integer type of equal width that Arrow casts a date or time to."""
    return pa.int32() if pa.types.is_date32(dtype) or pa.types.is_time32(dtype) else pa.int64()
