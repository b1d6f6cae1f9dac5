"""Which of several finite sets each row takes its next element from, by the row's number alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from synth.patterns import CYCLE, permute

Rows = NDArray[np.int64]
ENDLESS = 2**62  # elements of a set that is never used up
FAR = 2**40  # `permute` goes through so many places at most
LAST = 2**44  # rows beyond are not told apart


@dataclass(frozen=True)
class Phase:
    """Rows in which the same sets have elements left: `turns` cycles, in each of which set g comes `sizes[g]` times."""

    start: int
    turns: int
    sizes: Rows
    used: Rows

    @property
    def length(self) -> int:
        """Rows of one cycle."""
        return int(self.sizes.sum())


@dataclass(frozen=True)
class Schedule:
    """Sets with `weights` (G,) and `sizes` (G,); each comes in its share of the rows until it is used up.

    No element of a set comes twice before all sets are used up, over any blocks and shards and without a state.
    """

    weights: tuple[float, ...]
    sizes: tuple[int, ...]
    key: int

    @property
    def capacity(self) -> int:
        """Rows that have an element of their own."""
        return sum(self.sizes)

    def places(self, rows: Rows) -> tuple[Rows, Rows]:
        """(N,) the set of each row and how many rows before it had the same; beyond the capacity from the start."""
        rows = rows % min(self.capacity, LAST)
        group, place = np.zeros_like(rows), np.zeros_like(rows)
        starts = np.array([phase.start for phase in self.phases])
        number = np.searchsorted(starts, rows, side="right") - 1
        for chosen in np.unique(number).tolist():
            phase, mine = self.phases[chosen], number == chosen
            turn, step = np.divmod(rows[mine] - phase.start, phase.length)
            which = np.random.default_rng([self.key, chosen]).permutation(
                np.repeat(np.arange(len(phase.sizes)), phase.sizes)
            )
            rank = np.empty_like(which)
            rank[np.argsort(which, kind="stable")] = np.arange(len(which)) - np.repeat(
                np.cumsum(phase.sizes) - phase.sizes, phase.sizes
            )
            group[mine] = which[step]
            place[mine] = phase.used[which[step]] + turn * phase.sizes[which[step]] + rank[step]
        return group, place

    @cached_property
    def phases(self) -> list[Phase]:
        """All phases, by their first rows; each ends where a set is used up."""
        left = np.array([min(size, ENDLESS) for size in self.sizes], dtype=np.int64)
        whole, start, found = left.copy(), 0, []
        while left.any() and start < LAST:
            weights = np.array(self.weights) * (left > 0)
            weights = weights / weights.sum()
            there = weights > 0
            # No longer a cycle than the first set to be used up has elements for: until then all keep their shares.
            cycle = max(1, min(CYCLE, int((left[there] / weights[there]).min())))
            sizes = np.minimum(_shares(weights, cycle), left)
            turns = int((left[sizes > 0] // sizes[sizes > 0]).min())
            found.append(Phase(start, turns, sizes, whole - left))
            start += turns * int(sizes.sum())
            left = left - turns * sizes
        return found


def element(places: Rows, size: int, key: int) -> NDArray[np.int64]:
    """A bijection of places 0 .. size - 1 (size below 2^62) that hides their order."""
    within = min(size, FAR)
    found = permute(places % within, within, key)
    if size <= FAR:
        return found
    rest = min(size // FAR, FAR)
    return np.add(found * (size // FAR), permute(places % rest, rest, key + 1), dtype=np.int64)


def _shares(weights: NDArray[np.float64], rows: int) -> Rows:
    """The rows in proportion to the weights, which sum to 1, by largest remainders."""
    exact = weights * rows
    sizes = np.floor(exact).astype(np.int64)
    order = np.argsort(np.where(weights > 0, sizes - exact, np.inf), kind="stable")
    sizes[order[: rows - sizes.sum()]] += 1
    return np.asarray(sizes)
