"""Totals and ratios: columns that others fix, computed instead of learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.codecs.columns.number import FAR
from synth.codecs.grid import Line
from synth.codecs.rules.quantities import Mask, Quantity, quantity, safe, together
from synth.constraints import Ratio, Sum
from synth.schema import Column

DUST = 16  # units in the last place that a float may be off a formula, as sums in another order are


@dataclass(frozen=True)
class Formula:
    """One rule with its columns as quantities: the computed one first."""

    rule: Sum | Ratio
    quantities: tuple[Quantity, ...]

    @classmethod
    def of(cls, rule: Sum | Ratio, columns: Mapping[str, Column], types: Mapping[str, pa.DataType]) -> Formula:
        """The formula of a rule."""
        alone = [quantity(columns[name], types[name]) for name in rule.names]
        return cls(rule, together(alone) if isinstance(rule, Sum) else tuple(_float(one) for one in alone))

    @property
    def made(self) -> Quantity:
        """The computed column."""
        return self.quantities[0]

    def exact(self, table: pa.Table) -> tuple[Line, Mask]:
        """(N,) the computed column's values before they are rounded, and where nothing can be computed."""
        read = [one.read(table.column(one.column.name)) for one in self.quantities[1:]]
        null = reduce(np.logical_or, (missing for _, missing in read))
        if isinstance(self.rule, Sum):
            return reduce(np.add, (safe(line) for line, _ in read)), null
        above, below = (line for line, _ in read)
        null = null | (below == 0)
        with np.errstate(over="ignore"):
            line = self.rule.factor * above / np.where(null, 1.0, below)
        null = null | ~np.isfinite(line)
        return np.where(null, 0.0, line), null

    def compute(self, table: pa.Table, modelled: pa.ChunkedArray | None) -> pa.Array:
        """The computed column; where it was `modelled` too, its nulls and what cannot be computed are from there.

        A value outside the column's own range is put on its edge, where it breaks the rule.
        """
        line, null = self.exact(table)
        low, high = (self.made.bound(bound) for bound in (self.made.column.minimum, self.made.column.maximum))
        if not self.made.floating and max(abs(low), abs(high)) >= FAR // 2:
            line = line.astype(object)
        line = np.minimum(np.maximum(self._rounded(line), low), high)
        if modelled is None:
            return self.made.write(line, null)
        kept, absent = self.made.read(modelled)
        return self.made.write(np.where(null, kept, line), absent)

    def off(self, table: pa.Table) -> Mask:
        """(N,) where the column is not what the formula says at its number of decimals, nulls left out."""
        return self.excess(table) > 0

    def excess(self, table: pa.Table) -> NDArray[np.float64]:
        """(N,) by how much the column is off the formula beyond the tolerance, in its own unit; 0 for nulls."""
        line, null = self.exact(table)
        found, absent = self.made.read(table.column(self.made.column.name))
        beyond = np.where(null | absent, 0, abs(found - line) - self.tolerance(table, found)).astype(np.float64)
        unit = 1 if self.made.floating else self.made.scale * 10.0 ** (self.made.decimals or 0)
        return np.maximum(beyond, 0.0) / unit

    def tolerance(self, table: pa.Table, found: Line) -> Line | float:
        """By how much a value may differ: half a unit of its last decimal, and for floats their dust."""
        if not self.made.floating:
            return self.made.scale // 2
        sizes = [abs(one.read(table.column(one.column.name))[0]) for one in self.quantities[1:]]
        largest = np.maximum(reduce(np.maximum, sizes) if isinstance(self.rule, Sum) else 0.0, abs(found))
        return np.asarray(self.made.step * (0.5 + 1e-6) + DUST * self._epsilon() * largest)

    def _epsilon(self) -> float:
        widths = [one.dtype.bit_width for one in self.quantities if pa.types.is_floating(one.dtype)]
        return {16: 2.0**-10, 32: 2.0**-23}.get(min(widths, default=64), 2.0**-52)

    def _rounded(self, line: Line) -> Line:
        """To the decimals of the computed column."""
        if not self.made.floating:
            scale = self.made.scale
            return line if scale == 1 else (line + scale // 2) // scale * scale
        return line if self.made.decimals is None else np.round(line, self.made.decimals)


def _float(one: Quantity) -> Quantity:
    return Quantity(one.column, one.dtype, one.decimals, one.unit, one.text, floating=True)
