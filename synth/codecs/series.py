"""Series to tokens and back: what each has once as a row of a table, and every step as another.

Numbers that go on from step to step become ranks of innovations (`synth.codecs.innovations`), the states that these
begin at columns of the series; all else is taken as a table's columns are. Where steps are equally far apart, of the
time there is only the first moment to learn, and where that is in a day, a week and a year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import dates
from synth.codecs.columns import ColumnCodec, flat
from synth.codecs.columns.datetime import from_ticks
from synth.codecs.columns.number import WIDE, from_line
from synth.codecs.innovations import Innovations
from synth.codecs.rules.quantities import NANOSECONDS
from synth.codecs.smoothing import Floats
from synth.codecs.table import Labelled, Spans, TableCodec, restore
from synth.codecs.text import is_text, scalar_array, value_type
from synth.errors import InputError
from synth.layout import Cycle, SeriesLayout
from synth.nest import times
from synth.schema import Column, Schema, pack_arrow
from synth.series import lengths, long_schema, nesting

Arrays = Mapping[str, NDArray[Any]]

USUAL = 0.9  # share of the gaps that are equal where steps come at nearly regular times
LONGEST = 4096  # steps of a series
MADE = "\x1f"  # begins the names of columns that are not the source's
STEPS, START, GAP = f"{MADE}steps", f"{MADE}start", f"{MADE}gap"
RANK = f"{MADE}rank of "
CLOCK, WEEKDAY, SEASON = f"{MADE}time of day", f"{MADE}weekday", f"{MADE}time of year"
YEAR = 365.25  # days
TURNS = 2  # of a cycle that the times cover before it is told
FAR = 2**62


@dataclass(frozen=True)
class Clock:
    """The times of the steps.

    every: units from a step to the next, where that is nearly always the same
    regular: whether it always is
    day: units of a day, 0 where times are plain numbers
    lasted: units from the first of all times to the last
    """

    every: int | float | None
    regular: bool
    day: int
    lasted: int | float

    @property
    def cycles(self) -> dict[str, float]:
        """Column of the calendar -> what of it a step takes; a cycle that came once is no cycle yet."""
        if self.every is None or not self.day:
            return {}
        days = self.every / self.day
        whole = {CLOCK: 1, WEEKDAY: 7, SEASON: YEAR}
        moves = {CLOCK: days % 1 != 0, WEEKDAY: days % 7 != 0, SEASON: True}
        turns = {name: self.lasted / self.day / cycle for name, cycle in whole.items()}
        return {name: days / whole[name] for name in whole if moves[name] and turns[name] >= TURNS}

    def columns(self, first: NDArray[Any]) -> dict[str, pa.Array]:
        """Of each series what says when it begins, from its first time (N,)."""
        if not self.cycles:
            return {START: pa.array(first)}
        day = first // self.day
        found = {
            START: day * self.day if CLOCK in self.cycles else first,
            CLOCK: first % self.day,
            WEEKDAY: (day + 3) % 7,
            SEASON: np.round(day % YEAR / YEAR, 4),
        }
        return {name: pa.array(values) for name, values in found.items() if name == START or name in self.cycles}

    def first(self, columns: pa.Table) -> NDArray[Any]:
        """(N,) first times out of these columns: on the nearest such day of the week."""
        start = columns.column(START).to_numpy()
        if WEEKDAY in self.cycles:
            wanted = columns.column(WEEKDAY).to_numpy()
            start = start + ((wanted - (start // self.day + 3) % 7 + 3) % 7 - 3) * self.day
        return np.asarray(start + columns.column(CLOCK).to_numpy() if CLOCK in self.cycles else start)

    def phases(self, name: str, values: NDArray[Any]) -> NDArray[np.float32]:
        """Where in its cycle each value of a column of the calendar is, 0 to 1."""
        whole = {CLOCK: self.day, WEEKDAY: 7, SEASON: 1}[name]
        return np.asarray(values / whole, dtype=np.float32)


@dataclass(frozen=True)
class SeriesCodec(Labelled):
    """Of the nested table `schema`. labels: what a series has once; each: what a step has; clock: None without times;
    usual: mean and deviation of each state of the innovations."""

    schema: Schema
    labels: TableCodec
    each: TableCodec
    innovations: Innovations
    clock: Clock | None
    usual: Mapping[str, tuple[float, float]]

    @classmethod
    def fit(cls, table: pa.Table, schema: Schema, seed: int) -> Self:
        """Learn from nested training rows; InputError where a series is longer than LONGEST."""
        table = restore(table, schema)
        longest = int(lengths(table).max())
        if longest > LONGEST:
            raise InputError(f"a series has {longest:,} steps; {LONGEST:,} are learnt at most: cut it into windows")
        found = nesting(table.schema)
        if found is None:
            raise InputError("the table is not one of series; nest it")
        numbers = {
            column.name: padded(table, column.name)
            for column in schema.columns
            if column.name in found.steps and column.name != found.time and column.kind == "number"
        }
        innovations = Innovations.fit(numbers, schema.least)
        clock = _clock(table, found.time) if found.time is not None else None
        own, steps, states = _parts(table, schema, innovations, clock)
        there = np.arange(longest) < lengths(table)[:, None]
        usual = {name: (float(s[there].mean()), float(s[there].std()) or 1.0) for name, s in states.items()}
        once_schema, each_schema = _described(own, schema), _described(steps, schema)
        once, each = TableCodec.fit(own, once_schema, seed), TableCodec.fit(steps, each_schema, seed + 1)
        return cls(schema, once, each, innovations, clock, usual)

    @cached_property
    def layout(self) -> SeriesLayout:
        """What a model is told."""
        told, names = self.labels.layout, self.labels.names
        place = names.index(STEPS)
        tokens = np.arange(told.columns[place].cardinality)
        cycles = () if self.clock is None else tuple(self._cycle(*each) for each in self.clock.cycles.items())
        most = self._own(STEPS, tokens, np.ones(len(tokens)))
        lengths_of, count = most.astype(np.int64), len(self.innovations.states)
        return SeriesLayout(
            told.columns,
            told.target,
            self.each.layout,
            place,
            lengths_of,
            known=tuple(d for d, name in enumerate(names) if not name.startswith(MADE)),
            cycles=cycles,
            observer=self if count else None,
            states=count,
        )

    def _cycle(self, name: str, advance: float) -> Cycle:
        place = self.labels.place(name)
        tokens = np.arange(self.labels.layout.columns[place].cardinality)
        values = self._own(name, tokens, np.full(len(tokens), 0.5))
        assert self.clock is not None  # noqa: S101 - it named the cycle
        return Cycle(place, self.clock.phases(name, values), advance)

    def _own(self, name: str, tokens: NDArray[np.int64], places: NDArray[Any]) -> NDArray[Any]:
        """Values of tokens of one of a series' own columns."""
        codec = self.labels.columns[self.labels.schema.names.index(name)]
        values = codec.decode(tokens, np.arange(len(tokens)), np.random.default_rng(0), places)
        return np.asarray(pc.fill_null(values, 0).to_numpy(zero_copy_only=False))

    def encode(self, table: pa.Table, *, places: bool = False) -> dict[str, NDArray[Any]]:
        """{"tokens": (N, S), "steps": (N, L, D) int64, "length": (N,) int64} of a nested table, 0 behind the last step,
        and where wanted {"places": (N, S), "step_places": (N, L, D) float32}; where numbers are smoothed also
        {"states": (N, L, F) float32}, see `seen`, before each step. L is the layout's `longest`."""
        table = restore(table, self.schema)
        own, steps, states = _parts(table, self.schema, self.innovations, self.clock)
        once, each = self.labels.encode(own, places=places), self.each.encode(steps, places=places)
        counts = lengths(table)
        there = np.arange(self.layout.longest) < counts[:, None]
        kept = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts) < self.layout.longest
        arrays: dict[str, NDArray[Any]] = {**once, "length": there.sum(1).astype(np.int64)}
        for name, wanted in (("tokens", "steps"), ("places", "step_places")):
            if name in each:
                arrays[wanted] = np.zeros((*there.shape, each[name].shape[1]), dtype=each[name].dtype)
                arrays[wanted][there] = each[name][kept]
        if states:
            wide = self.seen(states)[:, : there.shape[1]]
            arrays["states"] = np.zeros((*there.shape, wide.shape[2]), dtype=np.float32)
            arrays["states"][:, : wide.shape[1]] = wide
            arrays["states"][~there] = 0
        return arrays

    def begin(self, tokens: NDArray[np.int64], places: NDArray[np.float32]) -> dict[str, Floats]:
        """States (B,) of series with these own columns (B, S)."""
        own = self.labels.decode(
            {"tokens": tokens, "places": places}, rows=range(len(tokens)), rng=np.random.default_rng(0)
        )
        return {name: own.column(MADE + name).to_numpy() for name in self.innovations.states}

    def seen(self, states: Mapping[str, Floats]) -> NDArray[np.float32]:
        """(..., F) of states (...): how far each is from its mean, in deviations."""
        return np.stack([(states[n] - mean) / spread for n, (mean, spread) in self.usual.items()], -1).astype(
            np.float32
        )

    def after(
        self, states: Mapping[str, Floats], tokens: NDArray[np.int64], places: NDArray[np.float32]
    ) -> dict[str, Floats]:
        """States after one more step (B, D)."""
        ranks = {}
        for name, (d, codec) in self._tracked.items():
            rows, rng = np.arange(len(tokens)), np.random.default_rng(0)
            found = codec.decode(tokens[:, d], rows, rng, places[:, d])
            ranks[name] = found.to_numpy(zero_copy_only=False)
        return self.innovations.step(states, ranks)[1]

    @cached_property
    def _tracked(self) -> dict[str, tuple[int, ColumnCodec]]:
        """Column of innovations -> its place among a step's, and its codec."""
        codecs = dict(zip(self.each.schema.names, self.each.columns, strict=True))
        names = [track.name for track in self.innovations.tracks]
        return {name: (self.each.place(RANK + name), codecs[RANK + name]) for name in names}

    def decode(
        self, arrays: Arrays, *, rows: range, rng: np.random.Generator, spans: Mapping[int, Spans] | None = None
    ) -> pa.Table:
        """A nested table from what `encode` gives, and the rows' global numbers; the length is that of the tokens."""
        first, second = rng.spawn(2)
        once = {name: arrays[name] for name in ("tokens", "places") if name in arrays}
        own = self.labels.decode(once, rows=rows, rng=first, spans=spans)
        longest = arrays["steps"].shape[1]
        counts = np.clip(own.column(STEPS).to_numpy(), 1, max(longest, 1)).astype(np.int64)
        there = np.arange(longest) < counts[:, None]
        pairs = (("tokens", "steps"), ("places", "step_places"))
        part = {name: arrays[given][there] for name, given in pairs if given in arrays}
        numbers = range(rows.start * self.layout.longest, rows.start * self.layout.longest + int(there.sum()))
        steps = self.each.decode(part, rows=numbers, rng=second)
        states = {name: own.column(MADE + name).to_numpy() for name in self.innovations.states}
        return self._joined(own, steps, there, states, None if self.clock is None else self.clock.first(own))

    def _joined(
        self,
        own: pa.Table,
        steps: pa.Table,
        there: NDArray[np.bool_],
        states: Mapping[str, Floats],
        first: NDArray[Any] | None,
        *,
        after: bool = False,
    ) -> pa.Table:
        """The nested table of what series have once and what their steps have, the first at (after) these times."""
        found = nesting(self.schema.arrow_schema)
        assert found is not None  # noqa: S101 - a schema of series has one
        ranks = {track.name: _spread(steps.column(RANK + track.name), there) for track in self.innovations.tracks}
        types = {field.name: field.type for field in long_schema(self.schema.arrow_schema)}
        digits = {name: decimals(self.schema[name], types[name]) for name in ranks}
        values = self.innovations.decode(ranks, states, digits)
        offsets = pa.array(np.append(0, there.sum(1).cumsum()).astype(np.int32))
        columns = []
        for column in self.schema.columns:
            if column.name not in found.steps:
                columns.append(own.column(column.name))
                continue
            if column.name == found.time and first is not None:
                ticks = first[:, None] + self._passed(steps, there, after).astype(first.dtype)
                ticks = ticks if after else self._earlier(ticks, there, column, types[column.name])
                array = _moments(ticks[there], types[column.name], self._text)
            elif column.name in values:
                array = exact(values[column.name][there], column, types[column.name])
            else:
                array = steps.column(column.name).combine_chunks()
            columns.append(pa.ListArray.from_arrays(offsets, array))
        return pa.table(columns, schema=self.schema.arrow_schema)

    def _earlier(
        self, ticks: NDArray[Any], there: NDArray[np.bool_], column: Column, dtype: pa.DataType
    ) -> NDArray[Any]:
        """Times (N, L) of which none is after all of the training rows', by whole weeks or days where these count."""
        assert self.clock is not None  # noqa: S101 - there is a column of times
        if column.maximum is None or not ticks.size:
            return ticks
        latest = times(pa.chunked_array([scalar_array(column.maximum, dtype)]), column.name)[0]
        over = np.maximum(np.where(there, ticks, latest).max(1) - latest, 0)
        cycles = self.clock.cycles
        unit = self.clock.day * 7 if WEEKDAY in cycles else self.clock.day if CLOCK in cycles else 1
        return np.asarray(ticks - (np.ceil(over / unit) * unit).astype(ticks.dtype)[:, None])

    def _passed(self, steps: pa.Table, there: NDArray[np.bool_], after: bool) -> Floats:
        """(N, L) units to each step from the first one, or from the one before that."""
        assert self.clock is not None  # noqa: S101 - there is a column of times
        if self.clock.regular:
            gaps = np.full(there.shape, float(self.clock.every or 1))
        else:
            gaps = _spread(steps.column(GAP), there)
            known = gaps[gaps > 0]
            gaps = np.where(gaps > 0, gaps, float(np.median(known)) if len(known) else 1.0)
        return gaps.cumsum(1) - (0 if after else gaps[:, :1])

    def ends(self, table: pa.Table) -> dict[str, Floats]:
        """States (N,) after the last step of nested series."""
        return self.innovations.ends({name: padded(table, name) for name in self.innovations.names})

    def following(
        self, table: pa.Table, arrays: Arrays, states: Mapping[str, Floats], rng: np.random.Generator
    ) -> pa.Table:
        """Nested series of the {"steps": (N, H, D), "step_places"} that follow those of a nested table (N,), which end
        at these states."""
        found = nesting(self.schema.arrow_schema)
        assert found is not None  # noqa: S101 - a schema of series has one
        there = np.ones(arrays["steps"].shape[:2], dtype=bool)
        part = {"tokens": arrays["steps"][there], "places": arrays["step_places"][there]}
        made = self.each.decode(part, rows=range(int(there.sum())), rng=rng)
        last = None if self.clock is None else _ticks(table, str(found.time))[lengths(table).cumsum() - 1]
        return self._joined(table, made, there, states, last, after=True)

    @property
    def _text(self) -> dates.TextDates | None:
        found = nesting(self.schema.arrow_schema)
        column = None if found is None or found.time is None else self.schema[found.time]
        if column is None or column.format is None:
            return None
        return dates.of(pa.array([str(column.minimum), str(column.maximum)]), column.format)

    def log_density(self, table: pa.Table, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) zeros: the likelihood of series is that of their tokens."""
        return np.zeros(table.num_rows)

    def empty(self) -> pa.Table:
        """No series, in the source's nested Arrow schema."""
        once, each = len(self.layout.columns), len(self.layout.steps.columns)
        arrays = {"tokens": np.zeros((0, once), dtype=np.int64), "steps": np.zeros((0, 1, each), dtype=np.int64)}
        return self.decode(arrays, rows=range(0), rng=np.random.default_rng(0))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "innovations": self.innovations.state(),
            "clock": None if self.clock is None else asdict(self.clock),
            "usual": dict(self.usual),
            **{
                name: {"schema": codec.schema.model_dump_json(), "columns": codec.state()}
                for name, codec in (("once", self.labels), ("each", self.each))
            },
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], schema: Schema) -> Self:
        """What `state` gave."""
        once, each = (
            TableCodec.from_state(state[name]["columns"], Schema.parse(state[name]["schema"], "codec"))
            for name in ("once", "each")
        )
        clock = None if state["clock"] is None else Clock(**state["clock"])
        usual = {name: (mean, spread) for name, (mean, spread) in state["usual"].items()}
        return cls(schema, once, each, Innovations.from_state(state["innovations"]), clock, usual)


def padded(table: pa.Table, name: str) -> Floats:
    """(N, L) numbers of a column of steps, NaN where null and behind the last step."""
    counts = lengths(table)
    there = np.arange(max(int(counts.max(initial=0)), 1)) < counts[:, None]
    return _spread(pc.list_flatten(table.column(name).combine_chunks()), there)


def exact(values: Floats, column: Column, dtype: pa.DataType) -> pa.Array:
    """Numbers (M,) inside the column's bounds and with its decimals, NaN as null, in their Arrow type."""
    null = np.isnan(values)
    values = np.where(null, 0.0, values)
    if column.minimum is not None and column.maximum is not None:
        values = np.clip(values, float(column.minimum), float(column.maximum))
    inner, places = value_type(dtype), decimals(column, dtype)
    if places is None:
        return from_line(values, null, inner, None)
    line = np.round(values * 10.0**places)
    if np.abs(line).max(initial=0) < FAR:
        return from_line(line.astype(np.int64), null, inner, places)
    low, high = -FAR, FAR
    if column.minimum is not None and column.maximum is not None:
        low, high = (int(Decimal(str(end)).scaleb(places, WIDE)) for end in (column.minimum, column.maximum))
    wide = [int(min(max(value, low), high)) for value in line.tolist()]
    return from_line(np.array(wide, dtype=object), null, inner, places)


def decimals(column: Column, dtype: pa.DataType) -> int | None:
    """How many a column of this Arrow type has, None where there is no common number."""
    inner = value_type(dtype)
    if pa.types.is_decimal(inner):
        return int(inner.scale)
    return column.decimals if pa.types.is_floating(inner) else 0


def _clock(table: pa.Table, name: str) -> Clock:
    ticks, counts = _ticks(table, name), lengths(table)
    inner = value_type(long_schema(table.schema).field(name).type)
    day = 0
    if pa.types.is_date32(inner):
        day = 1
    elif pa.types.is_timestamp(inner) or pa.types.is_date64(inner):
        day = NANOSECONDS["day"] // NANOSECONDS[inner.unit if pa.types.is_timestamp(inner) else "ms"]
    elif is_text(inner):
        text = dates.find(flat(pc.list_flatten(table.column(name).combine_chunks())))
        day = NANOSECONDS["day"] // NANOSECONDS[text.unit] if text is not None else 0
    inside = np.ones(max(len(ticks) - 1, 0), dtype=bool)
    inside[counts.cumsum()[:-1] - 1] = False
    gaps = np.diff(ticks)[inside]
    values, counts = np.unique(gaps, return_counts=True)
    lasted = (ticks.max() - ticks.min()).item() if len(ticks) else 0
    if not len(gaps) or counts.max() < USUAL * len(gaps):
        return Clock(None, False, day, lasted)
    return Clock(values[counts.argmax()].item(), len(values) == 1, day, lasted)


def _ticks(table: pa.Table, name: str) -> NDArray[Any]:
    """Times of all steps, one series after the other."""
    return times(pa.chunked_array([pc.list_flatten(table.column(name).combine_chunks())]), name)


def _parts(
    table: pa.Table, schema: Schema, innovations: Innovations, clock: Clock | None
) -> tuple[pa.Table, pa.Table, dict[str, Floats]]:
    """What series have once; what their steps have, one series after the other; the states (N, L) before each."""
    found = nesting(schema.arrow_schema)
    assert found is not None  # noqa: S101 - a schema of series has one
    counts = lengths(table)
    there = np.arange(max(int(counts.max(initial=0)), 1)) < counts[:, None]
    values = {name: padded(table, name) for name in innovations.names}
    ranks, states = innovations.encode(values)
    own = {name: table.column(name) for name in table.column_names if name not in found.steps}
    own[STEPS] = pa.array(counts)
    steps: dict[str, Any] = {}
    if clock is not None and found.time is not None:
        ticks = _ticks(table, found.time)
        starts = counts.cumsum() - counts
        own |= clock.columns(ticks[starts])
        if not clock.regular:
            gaps = np.diff(ticks, prepend=ticks[:1])
            first = np.zeros(len(gaps), dtype=bool)
            first[starts] = True
            steps[GAP] = pa.array(gaps, mask=first)
    own |= {MADE + name: pa.array(array[:, 0]) for name, array in states.items()}
    for name in found.steps:
        if name in ranks:
            cells = ranks[name][there]
            steps[RANK + name] = pa.array(cells, mask=np.isnan(cells))
        elif name not in (found.time, *innovations.copies):
            steps[name] = pc.list_flatten(table.column(name).combine_chunks())
    return pa.table(own), pa.table(steps), states


def _described(part: pa.Table, schema: Schema) -> Schema:
    """The schema of a part: columns of the source as they are described, and numbers that were made."""
    columns = tuple(
        _number(name, part.column(name), schema.least) if name.startswith(MADE) else schema[name]
        for name in part.column_names
    )
    target = schema.target if schema.target in part.column_names else None
    return Schema(columns=columns, target=target, rows=part.num_rows, arrow=pack_arrow(part.schema))


def _number(name: str, values: pa.ChunkedArray, least: int) -> Column:
    """What is known of a column of numbers that was made: no end of it, which one series alone may have."""
    share = values.null_count / max(len(values), 1)
    return Column(
        name=name, kind="empty" if share == 1 else "number", dtype=str(values.type), null_rate=share, least=least
    )


def _spread(flat_values: pa.Array | pa.ChunkedArray, there: NDArray[np.bool_]) -> Floats:
    """(N, L) numbers, one series after the other, at the places that are there; NaN elsewhere and where null."""
    found = np.full(there.shape, np.nan)
    found[there] = flat(flat_values).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def _moments(ticks: NDArray[Any], dtype: pa.DataType, text: dates.TextDates | None) -> pa.Array:
    """Numbers as the times that they stand for."""
    if text is None and not pa.types.is_temporal(dtype):
        return pa.array(ticks).cast(dtype, safe=False)
    return from_ticks(pa.array(ticks).cast(pa.int64()), dtype, text)
