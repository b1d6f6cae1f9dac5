"""Numbers of series as innovations: how far each step is from what smoothing of the earlier ones expects.

What the smoothing of a column (`synth.codecs.smoothing`) leaves has one spread at all times and levels, whatever the
series did before, and its ranks are uniform; what others explain a good part of is told without that part. Columns that
are equal are learnt once. Those that move together are told from each other: where one begins at what another had come
to (as a market opens near its last close), from that; and those that are never below or above others from these, so
that they never will be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import permutations
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np

from synth.codecs.smoothing import CUT, Filter, Floats, State, first_known, nats

Relation = Literal["own", "after", "beside", "above", "below"]

PERSISTENT = 0.5  # correlation of a step with the next one from which on a column is smoothed
VALUES, COMMON = 50, 0.2  # different values that it has at least, and share of the most frequent one at most
RANGE = 3.0  # ratio of a high to a low quantile from which on positive values are taken by their logarithm
GROWING = 0.25  # correlation of the logarithms of values and of moves from which on it is ratios that count
FIRSTS = 4  # columns of a group that are tried as the first one
TOGETHER = 2.0  # standard deviations of one step within which columns that move together stay apart
EXACT = 1e-6  # of a column's moves: scale of one that is always what is expected
EXPLAINED = 0.1  # share of a column's innovations that are in earlier ones' from which on these are taken out
TAIL = (0.5, 1, 2, 3, 4, 6, 8, 11, 14, 18)  # knots near the ends, in rare rows
KNOTS = np.arange(0.02, 0.981, 0.004)


@dataclass(frozen=True)
class Ranks:
    """Values to their ranks, 0 to 1, and back: straight between knots (p, x), which are denser near the ends."""

    p: tuple[float, ...]
    x: tuple[float, ...]

    @classmethod
    def fit(cls, values: Floats, least: int) -> Self:
        """No knot is nearer to an end than half of `least` rows."""
        known = values[~np.isnan(values)]
        ends = np.array(TAIL) * max(least, 5) / max(len(known), 1)
        ends = ends[ends < KNOTS[0]]  # none in short tables
        p = np.concatenate([ends, KNOTS, 1 - ends[::-1]])
        return cls(tuple(p.tolist()), tuple(np.quantile(known, p).tolist()))

    def of(self, values: Floats) -> Floats:
        """Ranks; in the middle where several have one value."""
        x, first, count = np.unique(self.x, return_index=True, return_counts=True)
        p = np.array(self.p)
        return np.asarray(np.interp(values, x, (p[first] + p[first + count - 1]) / 2))

    def values(self, ranks: Floats) -> Floats:
        """What `of` turned into them."""
        return np.interp(ranks, self.p, self.x)


@dataclass(frozen=True)
class Track:
    """One column. relation: what it is told from; above, below: never beyond any of `bases`; beside: from the first;
    after: from where the first, a later track, was one step before.

    log: whether values are taken by their logarithm
    mix: how much of the moves of the earlier tracks, which are their distances from their levels, is in its own
    reach: lowest and highest error; none goes further, however large the scale has become
    """

    name: str
    log: bool
    relation: Relation
    bases: tuple[str, ...]
    filter: Filter
    mix: tuple[float, ...]
    ranks: Ranks
    reach: tuple[float, float]

    @property
    def states(self) -> tuple[str, ...]:
        """What a series begins with."""
        after, trend = self.relation == "after", self.filter.gamma > 0
        there = {"before": after, "level": self.filter.centred, "trend": trend, "scale": True}
        return tuple(what for what, known in there.items() if known)

    def named(self, state: State) -> dict[str, Floats]:
        """A state's parts by the names that they have among all states, the scale as a logarithm."""
        known = state._replace(scale=np.log(state.scale))._asdict()
        return {f"{self.name} {what}": known[what] for what in self.states if what in known}

    def given(self, states: Mapping[str, Floats]) -> State:
        """This column's out of all states."""
        none = np.zeros(len(states[f"{self.name} scale"]))
        known = State(*(states.get(f"{self.name} {what}", none) for what in State._fields))
        return known._replace(scale=np.exp(known.scale))

    def relative(self, values: Mapping[str, Floats]) -> Floats:
        """The column as it is smoothed, given all columns."""
        bases = [values[name] for name in self.bases]
        return _relative(values[self.name], self.log, self.relation, bases, self.filter.mean)

    def before(self, values: Mapping[str, Floats]) -> Floats:
        """(N, L + 1) what is known before each step, and after the last one, of the column that it is told after."""
        own, base = (_line(values[name], self.log) for name in (self.name, self.bases[0]))
        return _before(own, base, self.filter.mean)

    def value(self, relative: Floats, states: Mapping[str, Floats], values: Mapping[str, Floats]) -> Floats:
        """It (N,) in a step, from how it is smoothed, the states before and the columns that are told before."""
        after, below = self.relation == "after", self.relation == "below"
        bases = [] if after else [_line(values[name], self.log) for name in self.bases]
        base = states[f"{self.name} before"] if after else _base(bases, relative, below=below)
        found = base - relative if below else base + relative
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(found) if self.log else found)


@dataclass(frozen=True)
class Innovations:
    """The columns of numbers that are smoothed.

    tracks: in the order in which they are told from each other; copies: column -> the one that it equals
    orders: pairs of columns (low, high) that no step has the other way round
    """

    tracks: tuple[Track, ...]
    copies: Mapping[str, str]
    orders: tuple[tuple[str, str], ...]

    @classmethod
    def fit(cls, values: Mapping[str, Floats], least: int) -> Self:
        """Choose among columns, each (N, L), those that go on from step to step; the others are left out.

        least: rows that a value needs to be reproduced
        """
        copies: dict[str, str] = {}
        for first, second in permutations(values, 2):
            if first not in copies and second not in copies and _same(values[first], values[second]):
                copies[second] = first
        smooth = [name for name in values if name not in copies and _smooth(values[name])]
        copies = {name: other for name, other in copies.items() if other in smooth}
        orders = tuple(pair for pair in permutations(smooth, 2) if _ordered(values[pair[0]], values[pair[1]]))
        tracks: tuple[Track, ...] = ()
        earlier: list[Floats] = []
        for group in _groups(values, smooth):
            positive = all(np.nanmin(values[name]) > 0 for name in group)
            log = positive and float(np.mean([_growing(values[name]) for name in group])) > GROWING
            tell = partial(_tell, values, log, orders, earlier, least, {})
            order, after = min(_inward(values, log, group, orders), key=lambda one: tell(*one, settled=False)[0])
            _, told, found = tell(order, after, settled=True)
            tracks += told
            earlier += found
        return cls(tracks, copies, orders)

    @property
    def names(self) -> list[str]:
        """Columns that are made of innovations, and of each other."""
        return [*(track.name for track in self.tracks), *self.copies]

    @property
    def states(self) -> list[str]:
        """Names of what a series begins with and goes on with: lines, the scales as logarithms."""
        return [f"{track.name} {what}" for track in self.tracks for what in track.states]

    def encode(self, values: Mapping[str, Floats]) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Ranks of the innovations (N, L) by column, and by their names the states before each step (N, L)."""
        ranks, states, _ = self._run(values)
        return ranks, states

    def ends(self, values: Mapping[str, Floats]) -> dict[str, Floats]:
        """The states (N,) after the last step, by the names that `encode` has."""
        return self._run(values)[2]

    def _run(self, values: Mapping[str, Floats]) -> tuple[dict[str, Floats], dict[str, Floats], dict[str, Floats]]:
        """Ranks, states before each step and after the last one."""
        ranks: dict[str, Floats] = {}
        states: dict[str, Floats] = {}
        ends: dict[str, Floats] = {}
        earlier: list[Floats] = []
        for track in self.tracks:
            relative = track.relative(values)
            told = _sum(track.mix, earlier, relative)
            found, state, end = track.filter.run(relative, told)
            ranks[track.name] = track.ranks.of(found)
            ranks[track.name][np.isnan(found)] = np.nan
            earlier.append(found * state.scale + told)
            states |= track.named(state)
            ends |= track.named(end)
            if track.relation == "after":
                before = track.before(values)
                states[f"{track.name} before"], ends[f"{track.name} before"] = before[:, :-1], before[:, -1]
        return ranks, states, ends

    def step(
        self, states: Mapping[str, Floats], ranks: Mapping[str, Floats]
    ) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Columns (N,) of one more step of these ranks (N,), NaN where it has no value, and the states after it."""
        values: dict[str, Floats] = {}
        following: dict[str, Floats] = {}
        earlier: list[Floats] = []
        for track in self.tracks:
            state = track.given(states)
            error = np.clip(state.scale * track.ranks.values(ranks[track.name]), *track.reach)
            told = _sum(track.mix, earlier, error)
            values[track.name] = track.value(state.level + error + told, states, values)
            error = np.where(np.isnan(values[track.name]), np.nan, error)
            earlier.append(error + told)
            following |= track.named(track.filter.following(state, error, told))
        for track in self.tracks:
            if track.relation == "after":
                name, latest = f"{track.name} before", _line(values[track.bases[0]], track.log)
                following[name] = np.where(np.isnan(latest), states[name], latest)
        return values, following

    def decode(
        self,
        ranks: Mapping[str, Floats],
        states: Mapping[str, Floats],
        decimals: Mapping[str, int | None] = MappingProxyType({}),
    ) -> dict[str, Floats]:
        """Columns (N, L) of these ranks that begin at these states (N,), and the copies, with as many decimals as each
        has; orders are kept."""
        values = {track.name: np.empty_like(ranks[track.name]) for track in self.tracks}
        for t in range(max((part.shape[1] for part in values.values()), default=0)):
            now, states = self.step(states, {name: ranks[name][:, t] for name in values})
            for name, part in now.items():
                values[name][:, t] = part
        values = {name: _rounded(part, decimals.get(name)) for name, part in values.items()}
        below = Counter(high for _, high in self.orders)
        for low, high in sorted(self.orders, key=lambda pair: below[pair[0]]):
            least = _rounded(values[low], decimals.get(high), up=True)
            values[high] = np.fmax(values[high], np.where(np.isnan(values[high]), np.nan, least))
        return values | {name: values[other] for name, other in self.copies.items()}

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"tracks": [asdict(track) for track in self.tracks], "copies": dict(self.copies), "orders": self.orders}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What `state` gave."""
        tracks = tuple(
            Track(
                one["name"],
                one["log"],
                one["relation"],
                tuple(one["bases"]),
                Filter(**one["filter"]),
                tuple(one["mix"]),
                Ranks(tuple(one["ranks"]["p"]), tuple(one["ranks"]["x"])),
                tuple(one["reach"]),
            )
            for one in state["tracks"]
        )
        return cls(tracks, state["copies"], tuple((low, high) for low, high in state["orders"]))


def _smooth(values: Floats) -> bool:
    """Whether steps follow from the ones before, and are numbers of many different values."""
    known = values[~np.isnan(values)]
    if len(known) < VALUES:
        return False
    distinct, counts = np.unique(known, return_counts=True)
    moved = np.diff(values, axis=1)
    moved = moved[~np.isnan(moved)]
    if len(distinct) < VALUES or counts.max() > COMMON * len(known) or len(moved) < VALUES:
        return False
    return bool(1 - moved.var() / (2 * known.var()) > PERSISTENT)


def _growing(values: Floats) -> float:
    """How much larger moves are where values are: a correlation of logarithms, -1 where these say nothing."""
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, [0.01, 0.99])
    if known.min() <= 0 or high <= RANGE * low:
        return -1.0
    level, size = values[:, :-1].ravel(), np.abs(np.diff(values, axis=1)).ravel()
    moved = size > 0
    return float(np.corrcoef(np.log(level[moved]), np.log(size[moved]))[0, 1])


def _same(first: Floats, second: Floats) -> bool:
    return bool((~np.isnan(first)).any() and np.array_equal(first, second, equal_nan=True))


def _ordered(low: Floats, high: Floats) -> bool:
    """Whether no step has `low` above `high`, although both have values in common ranges."""
    known = ~np.isnan(low) & ~np.isnan(high)
    return bool(known.any() and (low[known] <= high[known]).all() and low[known].max() > high[known].min())


def _groups(values: Mapping[str, Floats], names: Sequence[str]) -> list[list[str]]:
    """Columns that stay near each other."""
    groups: list[list[str]] = []
    for name in names:
        near = [group for group in groups if any(_together(values[name], values[other]) for other in group)]
        groups = [group for group in groups if group not in near] + [[*(n for g in near for n in g), name]]
    return groups


def _together(first: Floats, second: Floats) -> bool:
    if not np.array_equal(np.isnan(first), np.isnan(second)):
        return False
    step = min(float(np.nanstd(np.diff(part, axis=1))) for part in (first, second))
    return bool(np.nanstd(first - second) < TOGETHER * step and abs(np.nanmean(first - second)) < TOGETHER * step)


def _tell(
    values: Mapping[str, Floats],
    log: bool,
    orders: Sequence[tuple[str, str]],
    earlier: Sequence[Floats],
    least: int,
    fits: dict[tuple[str, Relation, frozenset[str]], Filter],
    group: Sequence[str],
    after: str | None,
    *,
    settled: bool,
) -> tuple[float, tuple[Track, ...], list[Floats]]:
    """Columns told in this order, the first one after that other: the nats of a step that this takes, their tracks and
    moves.

    fits: what smooths a column where no others' moves are in it
    settled: whether it is chosen anew where there are
    """
    tracks: list[Track] = []
    moves: list[Floats] = []
    total = 0.0
    for name in group:
        relation, bases = _relation(name, [track.name for track in tracks], after, orders)
        line = _line(values[name], log)
        mean, step = float(np.nanmean(line)), float(np.nanmean(np.abs(np.diff(line, axis=1))))
        relative = _relative(values[name], log, relation, [values[base] for base in bases], mean)
        fit = partial(Filter.fit, relative, centred=relation in ("own", "beside"), least=EXACT * step)
        known = [*earlier, *moves]
        mix, told = (0.0,) * len(known), np.zeros_like(relative)
        key = (name, relation, frozenset(bases))
        if key not in fits:
            fits[key] = replace(fit(told), mean=mean) if relation == "after" else fit(told)
        own = fits[key]
        found, states, _ = own.run(relative, told)
        if relation not in ("above", "below") and any(mixed := _mix(found * states.scale, known)):
            mix, told = mixed, _sum(mixed, known, relative)
            own = replace(fit(told), mean=own.mean) if settled else own
            found, states, _ = own.run(relative, told)
        total += nats(found, states)
        errors = found * states.scale
        ranks, ends = Ranks.fit(found, least), Ranks.fit(errors, least).x
        tracks.append(Track(name, log, relation, tuple(bases), own, mix, ranks, (ends[0], ends[-1])))
        moves.append(errors + told)
    return total, tuple(tracks), moves


def _inward(
    values: Mapping[str, Floats], log: bool, group: Sequence[str], orders: Sequence[tuple[str, str]]
) -> list[tuple[list[str], str | None]]:
    """Orders in which columns can be told, and after which one the first: those that lie between others before these,
    each of some of them as the first, on its own or after one that it is nearer to, one step later, than to itself."""

    def extreme(name: str) -> int:
        above = sum(low == name and high in group for low, high in orders)
        below = sum(high == name and low in group for low, high in orders)
        return abs(above - below)

    def far(name: str, before: str) -> float:
        return float(np.nanmean(np.abs(_relative(values[name], log, "after", [values[before]], 0.0))))

    inward = sorted(group, key=extreme)
    firsts = [name for name in inward if extreme(name) == extreme(inward[0])][:FIRSTS]
    return [
        ([first, *(name for name in inward if name != first)], after)
        for first in firsts
        for after in (None, *(name for name in firsts if far(first, name) < far(first, first)))
    ]


def _relation(
    name: str, before: Sequence[str], after: str | None, orders: Sequence[tuple[str, str]]
) -> tuple[Relation, list[str]]:
    lower = [other for other in before if (other, name) in orders]
    upper = [other for other in before if (name, other) in orders]
    if lower:
        return "above", lower
    if upper:
        return "below", upper
    if before:
        return "beside", list(before[:1])
    return ("after", [after]) if after else ("own", [])


def _line(values: Floats, log: bool) -> Floats:
    """Values as they are smoothed; none where there is no logarithm."""
    return np.log(np.where(values > 0, values, np.nan)) if log else values


def _base(bases: Sequence[Floats], like: Floats, *, below: bool) -> Floats:
    """What a column is told from, in the shape of `like`."""
    if not bases:
        return np.zeros_like(like)
    return np.asarray(np.minimum.reduce(bases) if below else np.maximum.reduce(bases))


def _before(own: Floats, base: Floats, mean: float) -> Floats:
    """(N, L + 1) the last value of `base` before each step and after the last one, at first the first of `own`."""
    known = np.concatenate([first_known(own, mean)[:, None], base], 1)
    places = np.where(np.isnan(known), 0, np.arange(known.shape[1]))
    return np.take_along_axis(known, np.maximum.accumulate(places, 1), 1)


def _rounded(values: Floats, decimals: int | None, *, up: bool = False) -> Floats:
    if decimals is None:
        return values
    return np.ceil(np.round(values * 10.0**decimals, 6)) / 10.0**decimals if up else np.round(values, decimals)


def _relative(values: Floats, log: bool, relation: Relation, bases: Sequence[Floats], mean: float) -> Floats:
    own, lines = _line(values, log), [_line(base, log) for base in bases]
    below = relation == "below"
    base = _before(own, lines[0], mean)[:, :-1] if relation == "after" else _base(lines, own, below=below)
    return base - own if below else own - base


def _mix(moves: Floats, earlier: Sequence[Floats]) -> tuple[float, ...]:
    """How much of each of the earlier tracks' moves is in these (least squares); nothing where that explains little."""
    known = ~np.isnan(moves).ravel()
    columns = np.stack([_cut(one).ravel() for one in earlier], 1)[known] if earlier else np.zeros((known.sum(), 0))
    own = _cut(moves).ravel()[known]
    weights, *_ = np.linalg.lstsq(columns, own, rcond=None)
    left, all_of_it = np.square(own - columns @ weights).sum(), np.square(own).sum()
    return tuple(weights.tolist() if left <= (1 - EXPLAINED) * all_of_it else (0.0,) * len(earlier))


def _cut(moves: Floats) -> Floats:
    """Without outliers, 0 where there is no value."""
    most = CUT * float(np.nanmean(np.abs(moves)))
    return np.clip(np.nan_to_num(moves), -most, most)


def _sum(mix: Sequence[float], earlier: Sequence[Floats], like: Floats) -> Floats:
    """What the earlier tracks' moves tell of one more, in the shape of `like`."""
    parts = (weight * np.nan_to_num(one) for weight, one in zip(mix, earlier, strict=True) if weight)
    return sum(parts, np.zeros_like(like))
