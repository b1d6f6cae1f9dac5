"""number: integers, floats and decimals, as exact integers wherever they have a common number of decimals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs.columns import ColumnCodec, Floats, Places, Tokens, flat, nan_share, with_nan
from synth.codecs.grid import Grid, Line, thin
from synth.codecs.text import value_type
from synth.conditions import Asked, Between, OneOf
from synth.errors import ConfigError
from synth.layout import ColumnLayout
from synth.schema import Column

WIDE = Context(prec=80)
EXACT = 2**53  # integers below have a float of their own
FAR = 2**62  # sums and differences of int64 below half of this cannot overflow


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """A grid over value * 10^decimals, in units of `step` from `offset`; floats without decimals as they are.

    nan: share of the nulls that the source writes as NaN
    minus: share of the zeros that the source writes as -0.0
    """

    grid: Grid
    dtype: pa.DataType
    decimals: int | None
    offset: int
    step: int
    nan: float
    minus: float

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Learn bins, frequent values, step and null rate."""
        nan = nan_share(array)
        array = flat(array)
        line = thin(to_line(pc.drop_null(array), column.decimals), column.least)
        offset, step = stride(line)
        grid = Grid.fit(relative(line, offset, step), array.null_count, column.least)
        return cls(grid, array.type, column.decimals, offset, step, nan, minus_share(array))

    def layout(self, name: str) -> ColumnLayout:
        """Places on the number line, and a null."""
        return self.grid.layout(name)

    def encode(self, array: pa.Array) -> Tokens:
        """Nearest atom or bin."""
        return self.grid.encode(*self._line(array))

    def places(self, array: pa.Array, tokens: Tokens) -> Places:
        """Rank inside the bin."""
        return self.grid.places(self._line(array)[0], tokens)

    def log_density(self, array: pa.Array, tokens: Tokens) -> NDArray[np.float64]:
        """Of floats and decimals per unit; of integers the probability of each."""
        density = self.grid.log_density(self._line(array)[0], tokens)
        if self.grid.atoms.dtype == np.float64 or pa.types.is_integer(self.dtype):
            return density
        unit = math.log(self.step) - (self.decimals or 0) * math.log(10)
        return np.where(self.grid.binned(tokens), density - unit, density)

    def spans(self, name: str, asked: Asked) -> Floats:
        """The part of each bin, and each single value, inside the range."""
        pairs = (
            [(asked.low, asked.high)] if isinstance(asked, Between) else [(v, v) for v in asked.values if v is not None]
        )
        try:
            spans = self.grid.spans([self._ends(name, *pair) for pair in pairs])
        except ValueError:
            raise ConfigError(f"where: {name!r}: {asked} are too close together; ask for a range") from None
        if isinstance(asked, OneOf) and None in asked.values and self.grid.nulls:
            spans[-1] = 0, 1
        if not (spans[:, 1] >= spans[:, 0]).any():
            low, high = (self.values_at(np.array([end])) for end in self.grid.ends())
            raise ConfigError(f"where: {name!r}: no value is {asked}; the training rows go from {low} to {high}")
        return spans

    def values_at(self, line: Line) -> Any:
        """The value of one place on the line, as a user would write it."""
        wide = line if line.dtype == np.float64 else widen(line, self.offset, self.step)
        return from_line(wide, np.zeros(1, dtype=bool), self.dtype, self.decimals)[0].as_py()

    def _ends(self, name: str, low: Any, high: Any) -> tuple[Any, Any]:
        """A range of values as one of the grid's line: integers inside it, or floats as they are."""
        try:
            bounds = [None if end is None else Decimal(str(end)) for end in (low, high)]
        except ArithmeticError:
            raise ConfigError(f"where: {name!r}: {low!r} to {high!r} is no range of numbers") from None
        if self.grid.atoms.dtype == np.float64:
            return tuple(None if end is None else float(end) for end in bounds)  # type: ignore[return-value]
        scaled = [None if end is None else (end.scaleb(self.decimals or 0, WIDE) - self.offset) for end in bounds]
        return (
            None if scaled[0] is None else math.ceil(scaled[0] / self.step),
            None if scaled[1] is None else math.floor(scaled[1] / self.step),
        )

    def _line(self, array: pa.Array) -> tuple[Line, NDArray[np.bool_]]:
        """Places on the grid's line (N,), arbitrary under the nulls, and where these are."""
        array = flat(array)
        null = np.asarray(pc.is_null(array))
        values = np.zeros(len(array), dtype=self.grid.atoms.dtype)
        values[~null] = relative(to_line(pc.drop_null(array), self.decimals), self.offset, self.step)
        return values, null

    def decode(
        self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator, places: Floats | None = None
    ) -> pa.Array:
        """Values inside the training range, with its decimals."""
        assert tokens is not None  # noqa: S101 - a number always has tokens
        values, null = self.grid.decode(tokens, rng, places)
        if values.dtype != np.float64:
            values = widen(values, self.offset, self.step)
        numbers = with_minus(from_line(values, null, self.dtype, self.decimals), self.minus, rng)
        return with_nan(numbers, self.nan, rng)

    def with_counts(self, counts: NDArray[np.int64]) -> Self:
        """Other frequencies."""
        return replace(self, grid=replace(self.grid, counts=counts))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "grid": self.grid.state(),
            "decimals": self.decimals,
            "offset": self.offset,
            "step": self.step,
            "nan": self.nan,
            "minus": self.minus,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        grid = Grid.from_state(state["grid"])
        facts = (state[name] for name in ("decimals", "offset", "step", "nan", "minus"))
        return cls(grid, value_type(dtype), *facts)


def minus_share(array: pa.Array) -> float:
    """Share of -0.0 among the zeros of floats; 0 where there is none, and for other types."""
    if not pa.types.is_floating(array.type):
        return 0.0
    values = pc.drop_null(array).to_numpy(zero_copy_only=False)
    zeros = values[values == 0]
    return float(np.signbit(zeros).mean()) if len(zeros) else 0.0


def with_minus(array: pa.Array, share: float, rng: np.random.Generator) -> pa.Array:
    """The floats with -0.0 in the place of this share of the zeros."""
    if not share:
        return array
    wide = array.cast(pa.float64())
    zero = np.asarray(pc.fill_null(pc.equal(wide, 0.0), False))
    return pc.if_else(pa.array(zero & (rng.random(len(array)) < share)), -0.0, wide).cast(array.type)


def to_line(array: pa.Array, decimals: int | None) -> Line:
    """Non-null numbers as exact integers in units of 10^-decimals, or as float64 where `decimals` is None."""
    if pa.types.is_decimal(array.type):
        scale = array.type.scale
        found = _words(array)
        if found is not None:
            return found
        return narrow(np.array([int(value.scaleb(scale, WIDE)) for value in array.to_pylist()], dtype=object))
    if pa.types.is_floating(array.type):
        values: Line = array.cast(pa.float64()).to_numpy(zero_copy_only=False) + 0.0  # -0.0 + 0.0 is 0.0
        if decimals is None:
            return values
        scaled = np.clip(values * 10.0**decimals, -FAR, FAR)
        if len(scaled) and np.abs(scaled).max() >= EXACT:  # a product of floats would lose digits
            return narrow(np.array([int(Decimal(repr(v)).scaleb(decimals, WIDE)) for v in values.tolist()], object))
        return np.asarray(np.round(scaled).astype(np.int64))
    if array.type == pa.uint64():
        return narrow(np.array(array.to_pylist(), dtype=object))
    return np.asarray(array.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _words(array: pa.Array) -> Line | None:
    """The integers behind decimals of 128 bits where the lower 64 hold all of them, far from their ends; else None."""
    if not pa.types.is_decimal128(array.type) or not len(array):
        return None
    words = np.frombuffer(array.buffers()[1], dtype="<i8").reshape(-1, 2)[array.offset : array.offset + len(array)]
    low, high = words.T
    fits = (low > -FAR // 2) & (low < FAR // 2) & (high == low >> 63)
    return low.astype(np.int64) if fits.all() else None


def from_line(values: Line, null: np.ndarray, dtype: pa.DataType, decimals: int | None) -> pa.Array:
    """What `to_line` took apart, as an Arrow array of `dtype`."""
    if pa.types.is_decimal(dtype):
        exact = [None if n else Decimal(int(v)).scaleb(-dtype.scale, WIDE) for v, n in zip(values, null, strict=True)]
        return pa.array(exact, type=dtype)
    if pa.types.is_floating(dtype):
        if decimals is None:
            numbers = values
        elif len(values) and max(-values.min(), values.max()) >= EXACT:
            numbers = np.array([float(f"{int(value)}e-{decimals}") for value in values])
        else:
            numbers = values.astype(np.float64) / 10.0**decimals
        return pa.array(numbers, mask=null).cast(dtype, safe=False)
    if values.dtype == object:
        return pa.array([None if n else int(v) for v, n in zip(values, null, strict=True)], type=dtype)
    return pa.array(np.where(null, 0, values), type=dtype, mask=null)


def stride(line: Line) -> tuple[int, int]:
    """Least value and greatest common step of integers; (0, 1) for floats."""
    if line.dtype == np.float64 or not len(line):
        return 0, 1
    least, most = int(line.min()), int(line.max())
    if line.dtype != object and most - least < FAR:
        return least, int(np.gcd.reduce(line - least)) or 1
    return least, math.gcd(*(int(value) - least for value in line.tolist())) or 1


def relative(line: Line, offset: int, step: int) -> Line:
    """(line - offset) // step for integers, exactly; floats as they are."""
    if line.dtype == np.float64:
        return line
    if line.dtype != object and len(line) and max(abs(int(line.min())), abs(int(line.max())), abs(offset)) >= FAR // 2:
        line = line.astype(object)
    return narrow((line - offset) // step)


def narrow(line: Line) -> Line:
    """Integers as int64 where all of them are far from its ends, as Python integers otherwise."""
    if line.dtype == object and (not len(line) or max(abs(min(line)), abs(max(line))) < FAR // 2):
        return line.astype(np.int64)
    return line


def widen(values: Line, offset: int, step: int) -> Line:
    """offset + values * step, exactly."""
    if values.dtype != object and len(values):
        ends = [offset + int(values.min()) * step, offset + int(values.max()) * step]
        if min(ends) >= -(2**63) and max(ends) < 2**63 and max(step, abs(offset)) < 2**63:
            return values * step + offset
    return np.array([offset + int(value) * step for value in values.tolist()], dtype=object)
