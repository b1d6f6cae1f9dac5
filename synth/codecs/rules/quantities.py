"""Numbers and moments of several columns on one line: exact integers of a common unit, floats where there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import dates
from synth.codecs.columns import flat
from synth.codecs.columns.datetime import integer_of, to_ticks
from synth.codecs.columns.number import FAR, from_line, narrow, stride, to_line, widen
from synth.codecs.dates import TextDates
from synth.codecs.grid import Line
from synth.codecs.text import is_text, scalar_array, value_type
from synth.schema import Column

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1, "day": 86_400 * 10**9}
ZONE = re.compile(r"(Z| UTC|[+-][0-9]{2}:?[0-9]{2})$")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Quantity:
    """How one column stands on the line.

    decimals: of numbers; None for floats without a common number of decimals, and for moments
    unit: nanoseconds of a moment's tick; 0 for numbers
    scale: units of the line in one unit of the column
    floating: the line is float64
    """

    column: Column
    dtype: pa.DataType
    decimals: int | None
    unit: int
    text: TextDates | None
    scale: int = 1
    floating: bool = False

    def read(self, array: pa.Array | pa.ChunkedArray) -> tuple[Line, Mask]:
        """Values (N,), 0 under the nulls, and where these are."""
        array = flat(array)
        null = np.asarray(pc.is_null(array))
        inner = pc.drop_null(array)
        if self.unit:
            ticks = to_ticks(inner, self.text)
            null[~null] = np.asarray(pc.is_null(ticks))  # texts that are no such date
            known = pc.drop_null(ticks).to_numpy(zero_copy_only=False)
        elif self.floating:
            known = inner.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        else:
            known = to_line(inner, self.decimals)
        if not self.floating:
            known = widen(safe(known), 0, self.scale)
        line = np.zeros(len(array), dtype=known.dtype)
        line[~null] = known
        return line, null

    def write(self, line: Line, null: Mask) -> pa.Array:
        """What `read` read, in the plain type of the column's values; the line is on its lattice."""
        if self.unit:
            whole = pa.array([None if n else int(v) for v, n in zip(line // self.scale, null, strict=True)], pa.int64())
            return self.text.write(whole) if self.text else whole.cast(integer_of(self.dtype)).cast(self.dtype)
        if self.floating:
            return self._write_floats(np.where(null, 0.0, line.astype(np.float64)), null)
        return from_line(narrow(np.where(null, 0, line) // self.scale), null, self.dtype, self.decimals)

    def _write_floats(self, values: NDArray[np.float64], null: Mask) -> pa.Array:
        if self.decimals is None:
            return pa.array(values, mask=null).cast(self.dtype, safe=False)
        whole = np.clip(np.rint(values * 10.0**self.decimals), -FAR, FAR).astype(np.int64)
        return from_line(whole, null, self.dtype, self.decimals)

    def bound(self, value: Any) -> Any:
        """One bound of the column, as the schema holds it, on the line."""
        found = scalar_array(value, self.dtype)
        line, null = self.read(found)
        return None if null[0] else line[0].item() if isinstance(line[0], np.generic) else line[0]

    @property
    def step(self) -> float | int:
        """The least difference between two values of the column that its format lets it have, in units of the line."""
        if not self.floating:
            return self.scale
        return 0.0 if self.decimals is None else 10.0**-self.decimals


def quantity(column: Column, dtype: pa.DataType, text: TextDates | None = None) -> Quantity:
    """A column of numbers or moments by itself; `text` says how moments are written that are text."""
    inner = value_type(dtype)
    if column.kind == "number":
        return Quantity(column, inner, column.decimals, 0, None)
    if column.format is not None and text is None:
        text = dates.of(pa.array([str(column.minimum), str(column.maximum)]), column.format)
    return Quantity(column, inner, None, _tick(inner, text), text)


def written(column: Column, array: pa.ChunkedArray) -> TextDates | None:
    """How the moments of a text column are written; None for other columns."""
    return None if column.format is None else dates.of(pc.drop_null(flat(array)), column.format)


def together(quantities: Sequence[Quantity]) -> tuple[Quantity, ...]:
    """The same with the scales of their common unit."""
    if any(one.unit for one in quantities):
        least = min(one.unit for one in quantities)
        return tuple(replace(one, scale=one.unit // least) for one in quantities)
    if any(one.decimals is None for one in quantities):
        return tuple(replace(one, floating=True) for one in quantities)
    most = max(int(one.decimals or 0) for one in quantities)
    return tuple(replace(one, scale=10 ** (most - int(one.decimals or 0))) for one in quantities)


def sort_of(column: Column, dtype: pa.DataType) -> str | None:
    """What a column's values can be compared with: those of the same sort; None for what has no order."""
    inner = value_type(dtype)
    if column.kind == "number":
        return "numbers"
    if column.kind != "datetime":
        return None
    if is_text(inner):
        zone = ZONE.search(str(column.format))
        dated = "%d" in str(column.format)
        return (f"moments at {zone[0].strip()}" if zone else "moments") if dated else "times of day"
    if pa.types.is_timestamp(inner) and inner.tz is not None:
        return "moments with a time zone"
    if pa.types.is_duration(inner):
        return "durations"
    return "times of day" if pa.types.is_time(inner) else "moments"


def safe(line: Line) -> Line:
    """Integers whose sums and differences cannot overflow: Python's own where they are near the ends of 64 bits."""
    if line.dtype == np.int64 and len(line) and max(abs(int(line.min())), abs(int(line.max()))) >= FAR // 2:
        return line.astype(object)
    return line


def lattice(line: Line) -> tuple[int, int]:
    """Offset and step of the integers of a column; (0, 0) for floats."""
    return (0, 0) if line.dtype == np.float64 else stride(line)


def as_column(line: Line, null: Mask) -> pa.Array:
    """A line as a column to learn: int64, float64, or decimals where 64 bits are too few."""
    line = narrow(line) if line.dtype == object else line
    if line.dtype != object:
        return pa.array(line, mask=null)
    return pa.array([None if n else int(v) for v, n in zip(line, null, strict=True)], pa.decimal128(38, 0))


def _tick(dtype: pa.DataType, text: TextDates | None) -> int:
    if text is not None:
        return NANOSECONDS[text.unit]
    if pa.types.is_date32(dtype):
        return NANOSECONDS["day"]
    return NANOSECONDS["ms" if pa.types.is_date64(dtype) else dtype.unit]
