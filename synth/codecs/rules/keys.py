"""Columns made from the row's number alone: composite keys, and texts that match a regular expression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import flat, identifier
from synth.codecs.columns.number import widen
from synth.codecs.dates import TextDates
from synth.codecs.rules.language import language
from synth.codecs.rules.quantities import Mask, lattice, quantity, written
from synth.codecs.rules.schedule import ENDLESS, Rows, Schedule, element
from synth.codecs.text import from_scalars, hashable, to_scalars, value_type
from synth.constraints import Regex
from synth.errors import InputError
from synth.schema import Column

SETS = 1024  # different values of the leading columns whose shares are kept, at most
NESTED = 4  # with an identifier, only columns with at most as many values as it has rows on average, times this
TEXT = 2**62  # texts of one length beyond are not told apart


@dataclass(frozen=True)
class Part:
    """One column of a key and its values, numbered: those of a list, of a lattice, or made by an identifier's codec."""

    column: Column
    dtype: pa.DataType
    size: int
    values: pa.Array | None = None
    lattice: tuple[int, int] = (0, 1)
    text: TextDates | None = None
    codec: identifier.Codec | None = None

    @classmethod
    def fit(cls, column: Column, chunks: pa.ChunkedArray, rng: np.random.Generator) -> Part:
        """The values that the training rows show; of numbers and moments all between the ends, at their steps."""
        array = flat(chunks)
        if column.kind == "identifier":
            codec = identifier.Codec.fit(pc.drop_null(array).unique(), column, rng)
            return cls(column, array.type, pc.count_distinct(array, mode="only_valid").as_py(), codec=codec)
        if column.kind in ("number", "datetime"):
            text = written(column, chunks)
            line, _ = quantity(column, chunks.type, text).read(array)
            if line.dtype != np.float64:
                offset, step = lattice(line)
                size = (int(line.max()) - offset) // step + 1
                return cls(column, array.type, size, lattice=(offset, step), text=text)
        values = from_scalars(sorted(set(to_scalars(array)), key=lambda v: (str(type(v)), v)), array.type)
        return cls(column, array.type, len(values), values)

    def numbers(self, chunks: pa.ChunkedArray) -> Rows:
        """(N,) the numbers of training values; an identifier's are in the order in which it shows."""
        array = flat(chunks)
        if self.codec is not None:
            codes: Rows = array.dictionary_encode().indices.to_numpy().astype(np.int64)
            return codes
        if self.values is not None:
            found: Rows = pc.index_in(hashable(array), hashable(self.values)).to_numpy().astype(np.int64)
            return found
        line, _ = quantity(self.column, self.dtype, self.text).read(array)
        return np.asarray((line - self.lattice[0]) // self.lattice[1]).astype(np.int64)

    def make(self, numbers: Rows) -> pa.Array:
        """The values (N,) with these numbers."""
        if self.codec is not None:
            return self.codec.decode(None, numbers, np.random.default_rng(0))
        if self.values is not None:
            return self.values.take(pa.array(numbers))
        line = widen(numbers, *self.lattice)
        return quantity(self.column, self.dtype, self.text).write(line, np.zeros(len(line), dtype=bool))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "size": self.size,
            "values": None if self.values is None else to_scalars(self.values),
            "lattice": list(self.lattice),
            "text": self.text and {"unit": self.text.unit, "padded": self.text.padded},
            "codec": self.codec and self.codec.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Part:
        """What `state` gave."""
        inner = value_type(dtype)
        return cls(
            column,
            inner,
            state["size"],
            None if state["values"] is None else from_scalars(state["values"], inner),
            (state["lattice"][0], state["lattice"][1]),
            TextDates(str(column.format), **state["text"]) if state["text"] else None,
            identifier.Codec.from_state(state["codec"], column, dtype) if state["codec"] else None,
        )


@dataclass(frozen=True)
class Key:
    """A composite key: leading columns in the shares of the training rows, the others in turn for each of them.

    leading: positions of the parts whose joint shares are kept; sets: (G, L) numbers of their values
    each: rows that one value of an identifier has on average; the key has none where it is 0
    """

    parts: tuple[Part, ...]
    leading: tuple[int, ...]
    sets: tuple[tuple[int, ...], ...]
    schedule: Schedule
    each: int

    @classmethod
    def fit(cls, columns: Sequence[Column], table: pa.Table, rng: np.random.Generator) -> Key:
        """Learn the values and shares of the training rows."""
        may = reproduced(columns, table)
        table = table.filter(pa.array(may)) if may.any() else table
        parts = tuple(Part.fit(column, table.column(column.name), rng) for column in columns)
        numbers = [part.numbers(table.column(part.column.name)) for part in parts]
        main = next((place for place, part in enumerate(parts) if part.codec is not None), None)
        each = 0 if main is None else max(1, round(table.num_rows / parts[main].size))
        leading, sets, counts = _leading(parts, numbers, main, each)
        rest = prod(part.size for place, part in enumerate(parts) if place not in leading and place != main)
        room = rest if main is None else ENDLESS
        weights = counts / counts.sum()
        schedule = Schedule(tuple(weights.tolist()), (room,) * len(sets), int(rng.integers(0, 2**31)))
        return cls(parts, leading, tuple(map(tuple, sets.tolist())), schedule, each)

    @property
    def capacity(self) -> int:
        """Rows that have a key of their own."""
        return self.schedule.capacity

    def make(self, rows: Rows) -> dict[str, pa.Array]:
        """Column -> values (N,) for global row numbers (N,)."""
        group, place = self.schedule.places(rows)
        numbers = dict(zip(self.leading, np.array(self.sets, dtype=np.int64)[group].T, strict=True))
        numbers |= self._turn(place, group)
        return {part.column.name: part.make(numbers[i]) for i, part in enumerate(self.parts)}

    def _turn(self, place: Rows, group: Rows) -> dict[int, Rows]:
        """The numbers of the parts that do not lead, another one for each place in a set."""
        main = next((i for i, part in enumerate(self.parts) if part.codec is not None), None) if self.each else None
        others = [i for i in range(len(self.parts)) if i not in self.leading and i != main]
        size = prod(self.parts[i].size for i in others)
        found: dict[int, Rows] = {}
        if main is None:
            index = element(place, size, self.schedule.key)
        else:
            each = min(self.each, size) if others else 1
            found[main] = place // each
            index = element(place % each + found[main] * 7919, size, self.schedule.key)
        for i in others:
            found[i] = index % self.parts[i].size
            index = index // self.parts[i].size
        return found

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "columns": [part.column.name for part in self.parts],
            "parts": [part.state() for part in self.parts],
            "leading": list(self.leading),
            "sets": [list(numbers) for numbers in self.sets],
            "weights": list(self.schedule.weights),
            "sizes": list(self.schedule.sizes),
            "key": self.schedule.key,
            "each": self.each,
        }

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], columns: Mapping[str, Column], types: Mapping[str, pa.DataType]
    ) -> Key:
        """What `state` gave."""
        parts = tuple(
            Part.from_state(part, columns[name], types[name])
            for name, part in zip(state["columns"], state["parts"], strict=True)
        )
        schedule = Schedule(tuple(state["weights"]), tuple(state["sizes"]), state["key"])
        return cls(parts, tuple(state["leading"]), tuple(map(tuple, state["sets"])), schedule, state["each"])


def reproduced(columns: Sequence[Column], table: pa.Table) -> Mask:
    """(N,) rows whose values in these columns may all come out, see `Column.least`."""
    may = np.ones(table.num_rows, dtype=bool)
    for column in columns:
        chunks = table.column(column.name)
        if column.least < 2 or column.kind == "identifier":
            continue
        if column.categories is not None:
            array = flat(chunks)
            known = from_scalars(column.categories, array.type)
            may &= np.asarray(pc.is_in(hashable(array), hashable(known)))
        elif column.minimum is not None:
            one = quantity(column, chunks.type, written(column, chunks))
            line, null = one.read(chunks)
            may &= null | ((line >= one.bound(column.minimum)) & (line <= one.bound(column.maximum)))
    return may


@dataclass(frozen=True)
class Texts:
    """Texts of a regular expression, the lengths in the shares of the training rows."""

    rule: Regex
    lengths: tuple[int, ...]
    schedule: Schedule

    @classmethod
    def fit(cls, rule: Regex, chunks: pa.ChunkedArray, rng: np.random.Generator) -> Texts:
        """Learn how often each length comes; no text is kept. InputError where no text could be made."""
        lengths = pc.value_counts(pc.utf8_length(pc.drop_null(flat(chunks)).cast(pa.large_string()))).to_pylist()
        found = sorted((entry["values"], entry["counts"]) for entry in lengths)
        words = language(rule.pattern)
        known = [(length, count) for length, count in found if words.count(length)]
        if not known:
            raise InputError(f"rule {rule.title!r}: it matches no text of printable ASCII; write one that does")
        total = sum(count for _, count in known)
        sizes = tuple(min(words.count(length), TEXT) for length, _ in known)
        weights = tuple(count / total for _, count in known)
        schedule = Schedule(weights, sizes, int(rng.integers(0, 2**31)))
        return cls(rule, tuple(length for length, _ in known), schedule)

    @property
    def capacity(self) -> int:
        """Rows that have a text of their own."""
        return self.schedule.capacity

    def make(self, rows: Rows) -> pa.Array:
        """A text (N,) for each global row number (N,)."""
        words = language(self.rule.pattern)
        group, place = self.schedule.places(rows)
        made = np.empty(len(rows), dtype=object)
        for chosen in np.unique(group).tolist():
            mine, length = group == chosen, self.lengths[chosen]
            count = words.count(length)
            numbers = element(place[mine], min(count, TEXT), self.schedule.key + chosen)
            if count > TEXT:
                numbers = numbers.astype(object) * (count // TEXT)
            made[mine] = words.texts(numbers, length)
        return pa.array(made.tolist(), pa.large_string())

    def state(self) -> dict[str, Any]:
        """As JSON."""
        schedule = {
            "weights": list(self.schedule.weights),
            "sizes": list(self.schedule.sizes),
            "key": self.schedule.key,
        }
        return {"lengths": list(self.lengths), **schedule}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], rule: Regex) -> Texts:
        """What `state` gave."""
        schedule = Schedule(tuple(state["weights"]), tuple(state["sizes"]), state["key"])
        return cls(rule, tuple(state["lengths"]), schedule)


def _leading(
    parts: Sequence[Part], numbers: Sequence[Rows], main: int | None, each: int
) -> tuple[tuple[int, ...], Rows, Rows]:
    """The parts whose joint shares are kept, the sets (G, L) of their numbers that occur, and the rows of each.

    The smallest parts first, as long as the sets are few; the largest part (the identifier) never leads.
    """
    order = sorted((i for i in range(len(parts)) if i != main), key=lambda i: parts[i].size)
    free = order if main is not None else order[:-1]
    most = SETS if main is None else min(SETS, max(NESTED, ceil(NESTED * each)))
    chosen: tuple[int, ...] = ()
    sets, counts = np.zeros((1, 0), dtype=np.int64), np.ones(1, dtype=np.int64)
    for place in free:
        tried = (*chosen, place)
        found, rows = np.unique(np.column_stack([numbers[i] for i in tried]), axis=0, return_counts=True)
        if parts[place].codec is not None or len(found) > most:
            break
        chosen, sets, counts = tried, found, rows
    return chosen, sets, counts
