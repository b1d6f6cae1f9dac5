"""Inequalities: a column that is above others is learnt as its distance from the greatest of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.codecs.columns.number import FAR
from synth.codecs.dates import TextDates
from synth.codecs.grid import Line
from synth.codecs.rules.quantities import (
    Mask,
    Quantity,
    as_column,
    lattice,
    quantity,
    safe,
    together,
    written,
)
from synth.constraints import Inequality
from synth.errors import ConfigError
from synth.schema import Column


@dataclass(frozen=True)
class Member:
    """One column of the order.

    below: positions of the columns that it is above, and whether strictly
    offset, step: of the lattice that its training values lie on; step 0 for floats
    """

    quantity: Quantity
    below: tuple[tuple[int, bool], ...]
    offset: int
    step: int

    def snapped(self, line: Line, up: bool | None = None) -> Line:
        """The nearest value of the column; the next one up or down where it is said."""
        if not self.step:
            return _rounded(line, self.quantity.step, up)
        extra = self.step // 2 if up is None else (self.step - 1 if up else 0)
        return (line - self.offset + extra) // self.step * self.step + self.offset


@dataclass(frozen=True)
class Order:
    """Members of one group in an order in which each comes after those that it is above."""

    members: tuple[Member, ...]

    @property
    def learnt(self) -> list[str]:
        """Columns that are learnt as a distance."""
        return [member.quantity.column.name for member in self.members if member.below]

    def forward(self, table: pa.Table) -> dict[str, pa.Array]:
        """Column -> its distances from the greatest value below it (N,), from its least where there is none."""
        read = [member.quantity.read(table.column(member.quantity.column.name)) for member in self.members]
        lines = {place: safe(line) for place, (line, _) in enumerate(read)}
        nulls = {place: null for place, (_, null) in enumerate(read)}
        gaps = {}
        for place, member in enumerate(self.members):
            if member.below:
                gap = np.where(nulls[place], 0, lines[place] - self._base(place, lines, nulls))
                gaps[member.quantity.column.name] = as_column(gap, nulls[place])
        return gaps

    def inverse(self, table: pa.Table, gaps: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """What `forward` took apart: columns whose values keep the order, their own range and their own steps.

        Where a row has no room left, a column that may be null becomes null; another one breaks the rule.
        """
        lines, nulls = {}, {}
        for place, member in enumerate(self.members):
            name = member.quantity.column.name
            if not member.below:
                lines[place], nulls[place] = member.quantity.read(table.column(name))
            else:
                lines[place], nulls[place] = _read_gap(gaps[name])
            lines[place] = safe(lines[place])
        made = {}
        tops = self._tops(nulls)
        for place, member in enumerate(self.members):
            if not member.below:
                continue
            base = self._base(place, lines, nulls)
            low = self._low(place, lines, nulls)
            value = np.minimum(np.maximum(member.snapped(base + lines[place]), low), tops[place])
            full = ~nulls[place] & (low > tops[place])
            if member.quantity.column.nullable:
                nulls[place] = nulls[place] | full
            lines[place] = np.where(full, tops[place], value)
            made[member.quantity.column.name] = member.quantity.write(lines[place], nulls[place])
        return made

    def _base(self, place: int, lines: Mapping[int, Line], nulls: Mapping[int, Mask]) -> Line:
        """The greatest of the values below a member (N,), its own least where none is there."""
        member = self.members[place]
        base = _full(len(nulls[place]), member.quantity.bound(member.quantity.column.minimum))
        empty = np.ones(len(nulls[place]), dtype=bool)
        for other, _ in member.below:
            better = ~nulls[other] & (empty | (lines[other] > base))
            base = np.where(better, lines[other], base)
            empty &= nulls[other]
        return base

    def _low(self, place: int, lines: Mapping[int, Line], nulls: Mapping[int, Mask]) -> Line:
        """The least value that a member may have (N,)."""
        member = self.members[place]
        low = _full(len(nulls[place]), member.quantity.bound(member.quantity.column.minimum))
        for other, strict in member.below:
            wanted = member.snapped(_above(lines[other]) if strict else lines[other], up=True)
            low = np.where(nulls[other], low, np.maximum(low, wanted))
        return low

    def _tops(self, nulls: Mapping[int, Mask]) -> dict[int, Line]:
        """The greatest value that each member may have (N,), so that those above it find room."""
        tops: dict[int, Line] = {}
        for place in range(len(self.members) - 1, -1, -1):
            member = self.members[place]
            top = _full(len(nulls[place]), member.quantity.bound(member.quantity.column.maximum))
            for other in range(place + 1, len(self.members)):
                for below, strict in self.members[other].below:
                    if below == place:
                        room = _beneath(tops[other]) if strict else tops[other]
                        top = np.where(nulls[other], top, np.minimum(top, member.snapped(room, up=False)))
            tops[place] = top
        return tops

    def state(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [
            {
                "column": member.quantity.column.name,
                "offset": member.offset,
                "step": member.step,
                "text": member.quantity.text
                and {"unit": member.quantity.text.unit, "padded": member.quantity.text.padded},
            }
            for member in self.members
        ]


def fit_orders(
    rules: Sequence[Inequality], table: pa.Table, columns: Mapping[str, Column], groups: Sequence[Sequence[str]]
) -> list[Order]:
    """The orders of the groups of columns that inequalities tie together, with what `table` says of their values."""
    types = {field.name: field.type for field in table.schema}
    orders = []
    for names in groups:
        texts = {name: written(columns[name], table.column(name)) for name in names}
        parts = together([quantity(columns[name], types[name], texts[name]) for name in names])
        places = []
        for one in parts:
            line, null = one.read(table.column(one.column.name))
            inside = (line >= one.bound(one.column.minimum)) & (line <= one.bound(one.column.maximum)) & ~null
            offset, step = lattice(line[inside])
            places.append((offset, step if one.floating or step % one.scale == 0 else one.scale))
        orders.append(_order(rules, names, parts, places))
    return orders


def orders_from_state(
    rules: Sequence[Inequality], state: Sequence[Any], columns: Mapping[str, Column], types: Mapping[str, pa.DataType]
) -> list[Order]:
    """What `Order.state` gave of each."""
    orders = []
    for entries in state:
        names = [entry["column"] for entry in entries]
        texts = [
            TextDates(str(columns[entry["column"]].format), **entry["text"]) if entry["text"] else None
            for entry in entries
        ]
        parts = together([quantity(columns[name], types[name], text) for name, text in zip(names, texts, strict=True)])
        orders.append(_order(rules, names, parts, [(int(e["offset"]), int(e["step"])) for e in entries]))
    return orders


def groups(rules: Sequence[Inequality], columns: Sequence[str]) -> list[list[str]]:
    """The columns in groups that inequalities tie together, each after those that it is above.

    ConfigError names a circle of columns, each above the other.
    """
    order = _sorted(rules)
    tied: dict[str, set[str]] = {}
    for rule in rules:
        present = [name for name in rule.columns if name in columns]
        whole = set().union(*(tied.get(name, {name}) for name in present)) if present else set()
        for name in whole:
            tied[name] = whole
    found: list[list[str]] = []
    for name in order:
        if name in tied and len(tied[name]) > 1 and not any(name in group for group in found):
            found.append([other for other in order if other in tied[name]])
    return found


def _order(
    rules: Sequence[Inequality], names: Sequence[str], parts: Sequence[Quantity], places: Sequence[tuple[int, int]]
) -> Order:
    position = {name: place for place, name in enumerate(names)}
    below: dict[str, dict[int, bool]] = {name: {} for name in names}
    for rule in rules:
        for low, high in _pairs(rule):
            if low in position and high in position:
                below[high][position[low]] = below[high].get(position[low], False) or rule.strict
    return Order(
        tuple(
            Member(part, tuple(sorted(below[name].items())), *place)
            for name, part, place in zip(names, parts, places, strict=True)
        )
    )


def _pairs(rule: Inequality) -> Iterator[tuple[str, str]]:
    """Every column of the chain with every later one: a null between two takes nothing from the rule."""
    for place, low in enumerate(rule.columns):
        for high in rule.columns[place + 1 :]:
            yield low, high


def _sorted(rules: Sequence[Inequality]) -> list[str]:
    """All columns of the rules, each after those that it is above, by their first appearance otherwise."""
    above: dict[str, set[str]] = {}
    for rule in rules:
        for name in rule.columns:
            above.setdefault(name, set())
        for low, high in _pairs(rule):
            above[high].add(low)
    done: list[str] = []
    while len(done) < len(above):
        free = next((name for name in above if name not in done and above[name] <= set(done)), None)
        if free is None:
            raise ConfigError(f"rules: {_circle(above, done)} contradict each other: no value is below itself")
        done.append(free)
    return done


def _circle(above: Mapping[str, set[str]], done: Sequence[str]) -> str:
    """A circle among the columns that are not done, as ``a < b < a``."""
    path = [next(name for name in above if name not in done)]
    while path.count(path[-1]) == 1:
        path.append(next(name for name in sorted(above[path[-1]]) if name not in done))
    return " < ".join(reversed(path[path.index(path[-1]) :]))


def _read_gap(array: pa.Array) -> tuple[Line, Mask]:
    null = np.asarray(array.is_null())
    if pa.types.is_decimal(array.type):
        return np.array([0 if value is None else int(value) for value in array.to_pylist()], dtype=object), null
    return np.where(null, 0, array.fill_null(0).to_numpy(zero_copy_only=False)), null


def _full(rows: int, value: float | int) -> Line:
    if isinstance(value, float):
        return np.full(rows, value)
    return np.full(rows, value, dtype=np.int64 if abs(value) < FAR // 2 else object)


def _above(line: Line) -> Line:
    """The next value of the line."""
    return np.nextafter(line, np.inf) if line.dtype == np.float64 else line + 1


def _beneath(line: Line) -> Line:
    return np.nextafter(line, -np.inf) if line.dtype == np.float64 else line - 1


def _rounded(line: NDArray[np.float64], step: float, up: bool | None) -> NDArray[np.float64]:
    """Floats at a number of decimals, to the nearest or to the next one up or down."""
    if not step:
        return line
    digits = round(-np.log10(step))
    near = np.round(line, digits)
    if up is None:
        return near
    off = near < line if up else near > line
    return np.where(off, np.round(near + (step if up else -step), digits), near)
