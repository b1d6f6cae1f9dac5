"""Numbers of series as innovations: how far each step is from what smoothing of the earlier ones expects.

A level m, a trend b and a scale s go with every series, as in the innovations form of exponential smoothing (Hyndman et
al. 2008), both damped:

    e_t = x_t - m_t - u_t,   z_t = e_t / s_t,
    b_{t+1} = psi b_t + gamma (cut(e_t) + u_t),
    m_{t+1} = c + phi (m_t - c) + alpha (cut(e_t) + u_t) + b_{t+1},
    s_{t+1} = s_t + beta (|cut(e_t)| - s_t)

where u_t is what the moves of columns that are told before tell of this one. It cuts at three scales, so that one
outlier does not carry everything away; a level with alpha 1 is a random walk and follows without a cut. A column has
a trend where that tells it clearly better. What is left has one spread at all times and levels, whatever the series
did before, and its ranks are uniform; what others explain a good part of is told without that part. Columns that are
equal are learnt once. Those that move together are told from each other, and those that are never below or above
others from these, so that they never will be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]  # (N, L) values of a column, NaN where there are none

ALPHAS = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02)
PHIS = (1.0, 0.99, 0.97, 0.95, 0.9, 0.8)
BETAS = (0.04, 0.01, 0.02, 0.06, 0.1, 0.15)
GAMMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
PSIS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CLEARLY = 0.02  # nats of a step that a trend gains at least
CUT = 3.0  # scales from which on a value is an outlier
LEAST_SCALE = 1e-3  # of the mean scale
TRIED = 2000  # series that the parameters are chosen on
PERSISTENT = 0.5  # correlation of a step with the next one from which on a column is smoothed
VALUES, COMMON = 50, 0.2  # different values that it has at least, and share of the most frequent one at most
RANGE = 3.0  # ratio of a high to a low quantile from which on positive values are taken by their logarithm
GROWING = 0.25  # correlation of the logarithms of values and of moves from which on it is ratios that count
FIRSTS = 4  # columns of a group that are tried as the first one
TOGETHER = 2.0  # standard deviations of one step within which columns that move together stay apart
EXPLAINED = 0.1  # share of a column's innovations that are in earlier ones' from which on these are taken out
TAIL = (0.5, 1, 2, 3, 4, 6, 8, 11, 14, 18)  # knots near the ends, in rare rows
KNOTS = np.arange(0.02, 0.981, 0.004)


class State(NamedTuple):
    """What smoothing knows before a step, (N,) or (N, L): the value that it expects, how that moves, and the scale."""

    level: Floats
    trend: Floats
    scale: Floats


@dataclass(frozen=True)
class Filter:
    """The smoothing of one column. centred: whether there is a level; it is 0 otherwise."""

    centred: bool
    mean: float
    scale: float
    alpha: float = 1.0
    phi: float = 1.0
    beta: float = BETAS[0]
    gamma: float = 0.0
    psi: float = 0.0

    @classmethod
    def fit(cls, values: Floats, told: Floats, *, centred: bool) -> Self:
        """The parameters under which Laplace distributions with these levels and scales tell the values best; a trend
        where it tells them clearly better."""
        values, told = (part[:: -(-len(values) // TRIED)] for part in (values, told))
        known = values[~np.isnan(values)]
        mean = float(known.mean()) if centred else 0.0
        first = cls(centred, mean, float(np.abs(known - mean).mean()) or 1.0)
        levels = [(a, p) for a in ALPHAS for p in PHIS] if centred else [(1.0, 1.0)]
        best = cls._best([replace(first, alpha=a, phi=p) for a, p in levels], values, told)
        if centred:
            moving = cls._best([replace(best, gamma=g, psi=p) for g in GAMMAS for p in PSIS], values, told)
            moving = cls._best([replace(moving, phi=p) for p in PHIS], values, told)
            best = moving if moving.nats(values, told) < best.nats(values, told) - CLEARLY else best
        return min((replace(best, beta=b) for b in BETAS), key=lambda one: one.nats(values, told))

    @classmethod
    def _best(cls, filters: Sequence[Self], values: Floats, told: Floats) -> Self:
        return min((one._scaled(values, told) for one in filters), key=lambda one: one.nats(values, told))

    def _scaled(self, values: Floats, told: Floats) -> Self:
        """With the mean scale of the errors that it makes."""
        found, states, _ = self.run(values, told)
        errors = np.abs(found * states.scale)[:, 1:]
        return replace(self, scale=float(np.nanmean(errors)) or self.scale) if errors.size else self

    def nats(self, values: Floats, told: Floats) -> float:
        """Of a step, but for the first ones, by Laplace distributions."""
        found, states, _ = self.run(values, told)
        return float(np.nanmean((np.log(states.scale) + np.abs(found))[:, 1:])) if values.shape[1] > 1 else 0.0

    def start(self, values: Floats, told: Floats) -> State:
        """The state (N,) before the first step, as smoothing backwards in time leaves it."""
        none = np.zeros(len(values))
        level = _first(values[:, ::-1], self.mean) if self.centred else none
        state = State(level, none, np.full(len(values), self.scale))
        if self.alpha == 1:  # a step back is the next one's move, turned round
            told = -np.pad(told[:, 1:], ((0, 0), (0, 1)))
        for x, part in zip(values.T[::-1], told.T[::-1], strict=True):
            state = self.following(state, x - state.level - part, part)
        level = _first(values, self.mean) if self.centred and self.alpha == 1 else state.level - state.trend
        return State(level, -state.trend, state.scale)

    def values(self, innovations: Floats, told: Floats, state: State) -> tuple[Floats, Floats]:
        """What `run` turned into innovations (N, L), and how far each is from its level."""
        found, moves = np.empty_like(innovations), np.empty_like(innovations)
        for t, (z, part) in enumerate(zip(innovations.T, told.T, strict=True)):
            moves[:, t] = part + state.scale * z
            found[:, t] = state.level + moves[:, t]
            state = self.following(state, state.scale * z, part)
        return found, moves

    def run(self, values: Floats, told: Floats) -> tuple[Floats, State, State]:
        """Innovations (N, L) of series, the state before each step (N, L), and that after the last one (N,).

        told: (N, L) what is known of a step's distance from its level
        """
        state = self.start(values, told)
        found = np.empty_like(values)
        states = State(*(np.empty_like(values) for _ in state))
        for t, (x, part) in enumerate(zip(values.T, told.T, strict=True)):
            error = x - state.level - part
            found[:, t] = error / state.scale
            for kept, now in zip(states, state, strict=True):
                kept[:, t] = now
            state = self.following(state, error, part)
        return found, states, state

    def following(self, state: State, error: Floats, told: Floats) -> State:
        """After one more step (N,); where there is no value nothing changes."""
        level, trend, scale = state
        none = np.isnan(error)
        cut = np.clip(error, -CUT * scale, CUT * scale)
        if self.centred:
            bent = self.psi * trend + self.gamma * (cut + told)
            full = (error if self.alpha == 1 else cut) + told
            moved = self.mean + self.phi * (level - self.mean) + self.alpha * full
            level, trend = np.where(none, level, moved + bent), np.where(none, trend, bent)
        spread = np.maximum(scale + self.beta * (np.abs(cut) - scale), LEAST_SCALE * self.scale)
        return State(level, trend, np.where(none, scale, spread))


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
    """One column. relation: what it is told from; above, below: never beyond any of `bases`; beside: from the first.

    log: whether values are taken by their logarithm
    mix: how much of the moves of the earlier tracks, which are their distances from their levels, is in its own
    """

    name: str
    log: bool
    relation: Literal["own", "beside", "above", "below"]
    bases: tuple[str, ...]
    filter: Filter
    mix: tuple[float, ...]
    ranks: Ranks

    @property
    def states(self) -> tuple[str, ...]:
        """What a series begins with."""
        there = {"level": self.filter.centred, "trend": self.filter.gamma > 0, "scale": True}
        return tuple(what for what, known in there.items() if known)

    def named(self, state: State) -> dict[str, Floats]:
        """A state's parts by the names that they have among all states, the scale as a logarithm."""
        known = state._replace(scale=np.log(state.scale))._asdict()
        return {f"{self.name} {what}": known[what] for what in self.states}

    def given(self, states: Mapping[str, Floats]) -> State:
        """This column's out of all states."""
        none = np.zeros(len(states[f"{self.name} scale"]))
        known = State(*(states.get(f"{self.name} {what}", none) for what in State._fields))
        return known._replace(scale=np.exp(known.scale))

    def relative(self, values: Mapping[str, Floats]) -> Floats:
        """The column as it is smoothed, given all columns."""
        return _relative(values[self.name], self.log, self.relation, [values[name] for name in self.bases])

    def absolute(self, relative: Floats, values: Mapping[str, Floats]) -> Floats:
        """What `relative` turned into it, given the earlier columns."""
        base = _base(self.log, self.relation, [values[name] for name in self.bases], relative)
        found = base - relative if self.relation == "below" else base + relative
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
            log = float(np.mean([_growing(values[name]) for name in group])) > GROWING
            tried = [_tell(values, log, one, orders, earlier, least) for one in _inward(group, orders)]
            _, told, found = min(tried, key=lambda each: each[0])
            tracks += told
            earlier += found
        return cls(tracks, copies, orders)

    @property
    def names(self) -> list[str]:
        """Columns that are made of innovations, and of each other."""
        return [*(track.name for track in self.tracks), *self.copies]

    @property
    def states(self) -> list[str]:
        """Names of what a series begins with and goes on with: levels, trends and (as logarithms) scales."""
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
        return ranks, states, ends

    def after(self, states: Mapping[str, Floats], ranks: Mapping[str, Floats]) -> dict[str, Floats]:
        """The states (N,) after one more step of these ranks (N,), NaN where it has no value."""
        found: dict[str, Floats] = {}
        earlier: list[Floats] = []
        for track in self.tracks:
            state = track.given(states)
            error = state.scale * track.ranks.values(ranks[track.name])
            told = _sum(track.mix, earlier, error)
            earlier.append(error + told)
            found |= track.named(track.filter.following(state, error, told))
        return found

    def decode(self, ranks: Mapping[str, Floats], states: Mapping[str, Floats]) -> dict[str, Floats]:
        """Columns (N, L) of these ranks that begin at these states (N,), and the copies; orders are kept."""
        values: dict[str, Floats] = {}
        earlier: list[Floats] = []
        for track in self.tracks:
            found = track.ranks.values(ranks[track.name])
            relative, moves = track.filter.values(found, _sum(track.mix, earlier, found), track.given(states))
            earlier.append(moves)
            values[track.name] = track.absolute(relative, values)
        for low, high in self.orders:
            values[high] = np.fmax(values[high], np.where(np.isnan(values[high]), np.nan, values[low]))
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
            )
            for one in state["tracks"]
        )
        return cls(tracks, state["copies"], tuple((low, high) for low, high in state["orders"]))


def _first(values: Floats, otherwise: float) -> Floats:
    """(N,) first known value of each series."""
    known = ~np.isnan(values)
    found = values[np.arange(len(values)), known.argmax(1)] if values.shape[1] else np.full(len(values), np.nan)
    return np.where(known.any(1), found, otherwise)


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
    group: Sequence[str],
    orders: Sequence[tuple[str, str]],
    earlier: Sequence[Floats],
    least: int,
) -> tuple[float, tuple[Track, ...], list[Floats]]:
    """Columns told in this order: the nats of a step that this takes, their tracks and moves."""
    tracks: list[Track] = []
    moves: list[Floats] = []
    nats = 0.0
    for name in group:
        relation, bases = _relation(name, [track.name for track in tracks], orders)
        relative = _relative(values[name], log, relation, [values[base] for base in bases])
        known = [*earlier, *moves]
        mix, told = (0.0,) * len(known), np.zeros_like(relative)
        own = Filter.fit(relative, told, centred=relation in ("own", "beside"))
        found, states, _ = own.run(relative, told)
        if own.centred and any(mixed := _mix(found * states.scale, known)):
            mix, told = mixed, _sum(mixed, known, relative)
            own = Filter.fit(relative, told, centred=True)
            found, states, _ = own.run(relative, told)
        nats += own.nats(relative, told)
        tracks.append(Track(name, log, relation, tuple(bases), own, mix, Ranks.fit(found, least)))
        moves.append(found * states.scale + told)
    return nats, tuple(tracks), moves


def _inward(group: Sequence[str], orders: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Orders in which columns can be told: those that lie between others first, each of some of these as the first."""

    def extreme(name: str) -> int:
        above = sum(low == name and high in group for low, high in orders)
        below = sum(high == name and low in group for low, high in orders)
        return abs(above - below)

    inward = sorted(group, key=extreme)
    firsts = [name for name in inward if extreme(name) == extreme(inward[0])][:FIRSTS]
    return [[first, *(name for name in inward if name != first)] for first in firsts]


def _relation(
    name: str, before: Sequence[str], orders: Sequence[tuple[str, str]]
) -> tuple[Literal["own", "beside", "above", "below"], list[str]]:
    lower = [other for other in before if (other, name) in orders]
    upper = [other for other in before if (name, other) in orders]
    if lower:
        return "above", lower
    if upper:
        return "below", upper
    return ("beside", list(before[:1])) if before else ("own", [])


def _base(log: bool, relation: str, bases: Sequence[Floats], like: Floats) -> Floats:
    """What a column is told from, (N, L)."""
    if not bases:
        return np.zeros_like(like)
    base = np.minimum.reduce(bases) if relation == "below" else np.maximum.reduce(bases)
    return np.asarray(np.log(base) if log else base)


def _relative(values: Floats, log: bool, relation: str, bases: Sequence[Floats]) -> Floats:
    own = np.log(np.where(values > 0, values, np.nan)) if log else values
    found = own - _base(log, relation, bases, own)
    return -found if relation == "below" else found


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
