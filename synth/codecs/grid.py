"""Tokens on a number line: exact values where there are few, quantile bins where there are many.

Numbers, dates and times all become exact integers (or floats where they have no common number of decimals)
before they come here, so nothing is rounded that the source did not round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from synth.layout import ColumnLayout

Line = NDArray[Any]  # (N,) int64, float64, or object of Python integers where 64 bits are too few

DISCRETE = 200  # up to this many distinct values are tokens of their own
FEW = 20  # so many always are; more only where each stands for two rows or more
BINS = 128
BIN_ROWS = 8  # in each bin at least, where there are as many
KNOTS = 16  # quantiles inside a bin, at most
LEAST_KNOTS = 4
MOVED = 0.05  # share of the rows that a rare value among few may move to its neighbour
FIRST = 10_000  # values that rule most columns out as discrete
ATOM_SHARE, ATOM_ROWS = 0.005, 20  # a value at least so frequent gets a token beside the bins
HAIR = 1e-9  # keeps the ends of a span on the right side of rounding
WAVES = 8  # sine and cosine pairs of the rank


@dataclass(frozen=True)
class Grid:
    """Tokens 0 .. K-1: atoms in ascending order, then bins in ascending order, then the null.

    atoms: (A,) values that come out as they are
    knots: per bin about its quantiles in ascending order, its ends included; none is a rare value, see `_apart`
    counts: (K,) training rows of each token; the last is the null's where `nulls`
    nulls: whether there is a null token
    """

    atoms: Line
    knots: tuple[Line, ...]
    counts: NDArray[np.int64]
    nulls: bool

    @classmethod
    def fit(cls, values: Line, nulls: int, least: int = 1) -> Grid:
        """Learn the tokens of the non-null `values` (at least one) and the number of nulls beside them.

        least: rows that a single value needs to be a token of its own, or a knot
        """
        distinct, counts = np.unique(values, return_counts=True)
        if _discrete(distinct, len(values)) and counts.min() >= least:
            frequent = np.ones(len(distinct), dtype=bool)
        else:
            frequent = counts >= max(ATOM_SHARE * (len(values) + nulls), ATOM_ROWS)
        rest, weights = distinct[~frequent], counts[~frequent]
        bins = _cut(rest, weights)
        shown = _apart(distinct, counts < least)[~frequent]
        knots = tuple(_quantiles(shown[a:b], weights[a:b]) for a, b in bins)
        _join(knots, [rest[a] for a, _ in bins], [weights[a] < least for a, _ in bins])
        rows = [*counts[frequent].tolist(), *(int(weights[a:b].sum()) for a, b in bins)]
        return cls(distinct[frequent], knots, np.array(rows + [nulls] * bool(nulls), dtype=np.int64), nulls > 0)

    def encode(self, values: Line, null: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Tokens (N,) of values (N,), whose entries under `null` are arbitrary."""
        count = len(self.atoms)
        tokens = np.full(len(values), int(self.counts.argmax()), dtype=np.int64)
        if self.knots:
            tops = np.array([knots[-1] for knots in self.knots], dtype=values.dtype)
            tokens = count + np.minimum(np.searchsorted(tops, values), len(tops) - 1)
        if count:
            near = _nearest(self.atoms, values)
            tokens = np.where(self.atoms[near] == values, near, tokens) if self.knots else near
        if self.nulls:
            tokens[null] = count + len(self.knots)
        elif null.any():
            tokens[null] = int(self.counts.argmax())
        return tokens.astype(np.int64)

    def binned(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N,) whether a token is a bin."""
        count = len(self.atoms)
        return np.asarray((tokens >= count) & (tokens < count + len(self.knots)))

    def places(self, values: Line, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """(N,) the rank of each value inside its bin, 0 to 1, which `decode` turns back; 0.5 outside of bins."""
        places = np.full(len(tokens), 0.5, dtype=np.float32)
        inside = np.flatnonzero(self.binned(tokens))
        rows = tokens[inside] - len(self.atoms)
        order = np.argsort(rows, kind="stable")
        for row, chosen in _groups(rows[order], inside[order]):
            places[chosen] = _place(self.knots[row], values[chosen])
        return places

    def log_density(self, values: Line, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) log density inside the bin: of floats per unit, of integers the probability of each; else 0."""
        density = np.zeros(len(tokens))
        inside = np.flatnonzero(self.binned(tokens))
        rows = tokens[inside] - len(self.atoms)
        order = np.argsort(rows, kind="stable")
        for row, chosen in _groups(rows[order], inside[order]):
            density[chosen] = np.log(_density(self.knots[row], values[chosen]))
        return density

    def decode(
        self, tokens: NDArray[np.int64], rng: np.random.Generator, places: NDArray[np.floating[Any]] | None = None
    ) -> tuple[Line, NDArray[np.bool_]]:
        """Values (N,) and where they are null; inside a bin between two neighbouring quantiles, uniformly.

        places: (N,) ranks inside the bins instead of uniform ones
        """
        kind = self.atoms.dtype
        values = np.zeros(len(tokens), dtype=kind)
        uniform, place = rng.random(len(tokens)), rng.random(len(tokens))
        count = len(self.atoms)
        if count:
            atom = tokens < count
            values[atom] = self.atoms[tokens[atom]]
        inside = np.flatnonzero(self.binned(tokens))
        if len(inside):
            table, sizes = self._table()
            row = tokens[inside] - count
            gaps = sizes[row] - 1
            if places is None:
                gap, place = (uniform[inside] * gaps).astype(np.int64), place[inside]
            else:
                along = np.clip(places[inside].astype(np.float64), 0, 1) * gaps
                gap = np.minimum(along.astype(np.int64), np.maximum(gaps - 1, 0))
                place = along - gap
            low, high = table[row, gap], table[row, np.minimum(gap + 1, gaps)]
            values[inside] = _between(low, high, place)
        null = tokens == count + len(self.knots) if self.nulls else np.zeros(len(tokens), dtype=bool)
        return values, null

    def ends(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        every = [*self.atoms.tolist(), *(end for knots in self.knots for end in (knots[0], knots[-1]))]
        return min(every), max(every)

    def spans(self, ranges: Sequence[tuple[Any, Any]]) -> NDArray[np.float64]:
        """(K, 2) from where to where inside each token the values of the ranges lie, ends included, None for open ones;
        (1, 0) where there are none, as in the null. ValueError where two ranges meet in one bin."""
        spans = np.tile([1.0, 0.0], (len(self.counts), 1))
        for low, high in ranges:
            above = np.array([low is None or value >= low for value in self.atoms.tolist()], dtype=bool)
            below = np.array([high is None or value <= high for value in self.atoms.tolist()], dtype=bool)
            spans[: len(self.atoms)][above & below] = 0, 1
            for token, knots in enumerate(self.knots, len(self.atoms)):
                found = _span(knots, low, high)
                if found is not None and spans[token, 1] >= spans[token, 0]:
                    raise ValueError("two ranges meet in one bin")
                spans[token] = spans[token] if found is None else found
        return spans

    def layout(self, name: str) -> ColumnLayout:
        """Places, features and frequencies of the tokens."""
        centres = np.array(
            [
                *map(float, self.atoms),
                *(float(k[len(k) // 2]) / 2 + float(k[(len(k) - 1) // 2]) / 2 for k in self.knots),
            ]
        )
        counts = self.counts[: len(centres)].astype(np.float64)
        order = np.argsort(centres, kind="stable")
        rank = np.empty(len(centres))
        rank[order] = (np.cumsum(counts[order]) - counts[order] / 2) / counts.sum()
        centres /= float(np.abs(centres).max()) or 1.0  # squares of the largest floats would overflow
        mean = float(np.average(centres, weights=counts))
        spread = float(np.sqrt(np.average((centres - mean) ** 2, weights=counts))) or 1.0
        waves = np.pi * rank[:, None] * np.arange(1, WAVES + 1)
        features = np.column_stack(
            [
                ndtri(np.clip(rank, 1e-4, 1 - 1e-4)),
                np.clip((centres - mean) / spread, -6, 6),
                np.sin(waves),
                np.cos(waves),
            ]
        )
        extra = int(self.nulls)
        return ColumnLayout(
            name=name,
            features=np.vstack([features, np.zeros((extra, features.shape[1]))]).astype(np.float32),
            embedded=np.array([True] * len(self.atoms) + [False] * len(self.knots) + [True] * extra),
            ordered=np.append(rank, [np.nan] * extra).astype(np.float32),
            frequency=(self.counts / self.counts.sum()).astype(np.float32),
        )

    def state(self) -> dict[str, Any]:
        """As JSON: integers and floats as they are, exactly."""
        return {
            "dtype": self.atoms.dtype.name,
            "atoms": self.atoms.tolist(),
            "knots": [knots.tolist() for knots in self.knots],
            "counts": self.counts.tolist(),
            "nulls": self.nulls,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Grid:
        """What `state` gave."""
        dtype = np.dtype(state["dtype"])
        return cls(
            np.array(state["atoms"], dtype=dtype),
            tuple(np.array(knots, dtype=dtype) for knots in state["knots"]),
            np.array(state["counts"], dtype=np.int64),
            bool(state["nulls"]),
        )

    def _table(self) -> tuple[Line, NDArray[np.int64]]:
        """Knots of all bins as one rectangle, and how many each bin has."""
        sizes = np.array([len(knots) for knots in self.knots], dtype=np.int64)
        table = np.zeros((len(sizes), sizes.max()), dtype=self.atoms.dtype)
        for row, knots in enumerate(self.knots):
            table[row, : len(knots)] = knots
        return table, sizes


def thin(values: Line, least: int) -> Line:
    """The values (N,) as they may come out where one needs `least` rows.

    What lies beyond the `least`-th value from either end is set to it. Where there are few different values, one with
    fewer rows becomes the nearest that has them, unless that moves more than MOVED of all rows: then there are no
    single values, and `Grid` cuts bins.
    """
    if least < 2 or not len(values):
        return values
    place = min(least, (len(values) + 1) // 2) - 1
    parted = np.partition(values, (place, len(values) - 1 - place))
    values = np.minimum(np.maximum(values, parted[place]), parted[len(values) - 1 - place])
    if len(np.unique(values[:FIRST])) > DISCRETE:
        return values
    distinct, counts = np.unique(values, return_counts=True)
    kept, rare = distinct[counts >= least], int(counts[counts < least].sum())
    if not _discrete(distinct, len(values)) or not len(kept) or not 0 < rare <= MOVED * len(values):
        return values
    return kept[_nearest(kept, values)]


def _discrete(distinct: Line, rows: int) -> bool:
    """Whether so many different values are all tokens of their own."""
    return len(distinct) <= FEW or (len(distinct) <= DISCRETE and 2 * len(distinct) <= rows)


def _nearest(known: Line, values: Line) -> NDArray[np.int64]:
    """(N,) places of the nearest of the ascending `known`, the greater of two that are as near."""
    right = np.minimum(np.searchsorted(known, values), len(known) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.abs(values - known[left]) < np.abs(known[right] - values)
    return np.asarray(np.where(nearer & (known[right] != values), left, right))


def _cut(values: Line, counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Ranges of distinct values that hold about equal numbers of rows, at least BIN_ROWS; at most BINS of them."""
    if not len(values):
        return []
    ends = np.cumsum(counts)
    wanted = np.linspace(0, ends[-1], int(np.clip(ends[-1] // BIN_ROWS, 1, BINS)) + 1)[1:]
    stops = np.unique(np.minimum(np.searchsorted(ends, wanted) + 1, len(values)))
    return list(zip([0, *stops[:-1].tolist()], stops.tolist(), strict=True))


def _quantiles(values: Line, counts: NDArray[np.int64]) -> Line:
    """Between LEAST_KNOTS and KNOTS values of a bin at even ranks, its ends included."""
    rows = int(counts.sum())
    wanted = np.linspace(0, rows - 1, int(np.clip(rows // 8, LEAST_KNOTS, KNOTS)))
    return values[np.searchsorted(np.cumsum(counts), np.round(wanted), side="right")]


def _apart(values: Line, rare: NDArray[np.bool_]) -> Line:
    """The ascending different values (N,), each `rare` one halfway to the next above it.

    The greatest stays, and integers that have none between them and the next.
    """
    low, high = values[:-1], values[1:]
    if values.dtype == np.float64:
        middle = low / 2 + high / 2  # the sum of two of the largest floats would overflow
        middle = np.where((middle > low) & (middle < high), middle, low)
    else:
        middle = low + (high - low) // 2
    return np.where(rare, np.append(middle, values[-1:]), values)


def _join(knots: tuple[Line, ...], firsts: list[Any], rare: list[Any]) -> None:
    """Let each bin whose first value is rare begin where the bin before it ends, so that no value is between bins."""
    for before, after, first, hidden in zip(knots, knots[1:], firsts[1:], rare[1:], strict=False):
        if hidden:
            top = before[-1]
            after[0] = min(np.nextafter(top, np.inf) if after.dtype == np.float64 else top + 1, first)


def _groups(rows: NDArray[np.int64], where: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(row, the entries of `where` beside it) for each different one of the sorted `rows`."""
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    for start, chosen in zip(starts, np.split(where, starts[1:]), strict=False):
        yield int(rows[start]), chosen


def _place(knots: Line, values: Line) -> NDArray[np.float64]:
    """(N,) rank of values among the knots of their bin, the middle where several ranks give the same value."""
    gaps = len(knots) - 1
    if not gaps:
        return np.full(len(values), 0.5)
    first, last = (np.searchsorted(knots, values, side=side) for side in ("left", "right"))
    gap = np.clip(last - 1, 0, gaps - 1)
    low, high = knots[gap], knots[gap + 1]
    if knots.dtype != np.float64:
        inside = (values - low + 0.5).astype(np.float64) / (high - low + 1).astype(np.float64)
    else:
        with np.errstate(over="ignore"):  # beyond the last of equal knots: cut to 1 below
            inside = (values - low) / np.maximum(high - low, np.finfo(np.float64).tiny)
    repeated = last - first > 1  # zero-width gaps between equal knots
    rank = np.where(repeated, (first + last - 1) / 2, gap + np.clip(inside, 0, 1))
    return np.asarray(np.clip(rank / gaps, 0, 1))


def _span(knots: Line, low: Any, high: Any) -> tuple[float, float] | None:
    """Ranks inside a bin at which `decode` gives values from low to high; None where there are none."""
    if (low is not None and knots[-1] < low) or (high is not None and knots[0] > high):
        return None
    if len(knots) == 1:
        return 0.0, 1.0
    gaps = len(knots) - 1
    whole = knots.dtype != np.float64
    start, stop = 0.0, 1.0
    if low is not None and low > knots[0]:
        gap = int(np.argmax(knots[1:] >= low))  # the first gap that reaches it
        a, b = knots[gap], knots[gap + 1]
        inside = max(float(low - a) / float(b - a + whole), 0.0) if b > a else 0.0
        start = (gap + inside) / gaps + HAIR * whole
    if high is not None and high < knots[-1]:
        gap = gaps - 1 - int(np.argmax(knots[:-1][::-1] <= high))  # the last gap that begins below it
        a, b = knots[gap], knots[gap + 1]
        inside = min(float(high - a + whole) / float(b - a + whole), 1.0) if b > a else 1.0
        stop = (gap + inside) / gaps - HAIR * whole
    return start, max(stop, start)


def _density(knots: Line, values: Line) -> NDArray[np.float64]:
    """(N,) density inside the bin: the sum over the gaps that hold the value of (1 / gaps) / width."""
    gaps = len(knots) - 1
    if not gaps:
        return np.ones(len(values))
    low, high = knots[:-1], knots[1:]
    if knots.dtype == np.float64:
        gap = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, gaps - 1)
        least = max(float(knots[-1] - knots[0]) * 1e-6, np.finfo(np.float64).tiny)
        return np.asarray(1 / gaps / np.maximum(high - low, least)[gap])
    share = 1 / gaps / (high - low + 1).astype(np.float64)
    total = np.zeros(len(values))
    for a, b, weight in zip(low, high, share, strict=True):
        total += np.where((values >= a) & (values <= b), weight, 0.0)
    return np.asarray(np.maximum(total, share.min()))


def _between(low: Line, high: Line, place: NDArray[np.float64]) -> Line:
    """low + place (high - low), for integers rounded to one of low .. high."""
    if low.dtype == np.float64:
        return np.clip(low * (1 - place) + high * place, low, high)
    if low.dtype == object:
        moved = [a + int(p * (b - a + 1)) for p, a, b in zip(place, low, high, strict=True)]
        return np.array([min(value, b) for value, b in zip(moved, high, strict=True)], dtype=object)
    step = np.floor(place * (high - low + 1).astype(np.float64)).astype(np.int64)
    return np.minimum(low + step, high)
