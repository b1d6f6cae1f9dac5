"""Distances between rows with numbers and categories, in chunks: memory does not grow with the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import Floats, Rows, View

CHUNK = 2_000_000  # distances that are held at once
RANK_ROWS = 100_000
FREQUENT, BUCKETS = 24, 8  # values of a category that a search tells apart; the rarer ones share so many places
GRAIN = 2.0**20  # steps of a rank in a search


@dataclass(frozen=True)
class Space:
    """Where distances are taken. A number is its mid-rank among the rows of one table, 0 to 1, and a null is as far
    as can be from any value; a category is the same (0) or another (1). The squared distance is the sum over columns.
    """

    order: tuple[Floats, ...]  # sorted values of each number

    @classmethod
    def fit(cls, view: View, rng: np.random.Generator) -> Space:
        """Read the ranks from at most RANK_ROWS rows of a table."""
        drawn = view.draw(RANK_ROWS, rng)
        return cls(tuple(np.sort(column[~np.isnan(column)]) for column in drawn.numbers.T))

    def select(self, numbers: Sequence[int]) -> Space:
        """The space of these numbers and any categories."""
        return Space(tuple(self.order[place] for place in numbers))

    def points(self, view: View) -> tuple[Floats, Floats]:
        """Numbers (n, 2 Dn): rank and null flag. Categories (n, Dc) as float64."""
        ranks = np.zeros((len(view), 2 * len(self.order)))
        for place, order in enumerate(self.order):
            column = view.numbers[:, place]
            below = np.searchsorted(order, column, "left") + np.searchsorted(order, column, "right")
            missing = np.isnan(column)
            ranks[:, 2 * place] = np.where(missing, 0.5, below / max(2 * len(order), 1))
            ranks[:, 2 * place + 1] = missing
        return ranks, view.codes.astype(np.float64)


def distances(space: Space, rows: View, others: View) -> Iterator[tuple[slice, Floats]]:
    """Squared distances of `rows` to all `others`, a chunk of rows at a time: (slice, (chunk, m) float64).

    Equal pairs of rows have equal distances to the last bit, and identical rows have distance 0.
    """
    from scipy.spatial.distance import cdist

    ranks, codes = space.points(rows)
    other_ranks, other_codes = space.points(others)
    step = max(1, CHUNK // max(1, len(others)))
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        found = np.zeros((part.stop - start, len(others)))
        if ranks.shape[1]:
            found += cdist(ranks[part], other_ranks, "sqeuclidean")
        if codes.shape[1]:
            found += np.rint(cdist(codes[part], other_codes, "hamming") * codes.shape[1])
        yield part, found


def two_nearest(space: Space, rows: View, others: View) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Squared distance to the nearest and second nearest of `others` (inf where there is none), (n,) each.

    The third array counts the others at exactly the nearest distance.
    """
    first, second = np.full(len(rows), np.inf), np.full(len(rows), np.inf)
    ties = np.zeros(len(rows), dtype=np.int64)
    if not len(others):
        return first, second, ties
    for part, found in distances(space, rows, others):
        smallest = np.partition(found, min(1, found.shape[1] - 1), axis=1)
        first[part] = smallest[:, 0]
        if found.shape[1] > 1:
            second[part] = smallest[:, 1]
        ties[part] = (found == smallest[:, [0]]).sum(axis=1)
    return first, second, ties


def radii(space: Space, view: View, k: int) -> Floats:
    """Squared distance of each row to its k-th nearest other row of the same table, (n,)."""
    out = np.empty(len(view))
    for part, found in distances(space, view, view):
        out[part] = np.partition(found, k, axis=1)[:, k]  # place 0 is the row itself
    return out


def nearest(space: Space, rows: View, others: View, k: int = 1) -> tuple[Rows, Floats]:
    """Places in `others` of the k nearest of each row, in no order, and their squared distances: (n, k) each.

    Many times faster than `distances`: the search is one matrix product, where categories are one-hot, and only what it
    finds is measured exactly. It may take a row for the nearest that is 1e-6 farther, or one that differs in a rare
    value alone. All products and sums are of integers below 2^53, so the same rows are found in whatever order and by
    however many threads they are added. `others` must have at least k rows.
    """
    vectors, other_vectors = _vectors(space, rows, others)
    found = np.empty((len(rows), k), dtype=np.int64)
    step = max(1, CHUNK // len(others))
    for start in range(0, len(rows), step):
        part = vectors[start : start + step] @ other_vectors  # (chunk, m)
        if k == 1:
            found[start : start + step, 0] = part.argmin(axis=1)
        else:
            found[start : start + step] = np.argpartition(part, k - 1, axis=1)[:, :k]
    return found, np.stack([paired(space, rows, others.take(place)) for place in found.T], axis=1)


def paired(space: Space, rows: View, others: View) -> Floats:
    """Squared distance of each row to the other row at the same place, (n,)."""
    (ranks, codes), (other_ranks, other_codes) = space.points(rows), space.points(others)
    apart: Floats = np.square(ranks - other_ranks).sum(axis=1) + (codes != other_codes).sum(axis=1)
    return apart


def _vectors(space: Space, rows: View, others: View) -> tuple[Floats, Floats]:
    """(n, P) and (P, m) whole numbers whose product is GRAIN^2 times the squared distances, rare values aside, less a
    number of the row's own.

    What no other row has, and so is as far from all of them, is left out of both.
    """
    ranks, other_ranks = (np.rint(space.points(view)[0] * GRAIN) for view in (rows, others))
    one = [-2 * ranks, np.ones((len(ranks), 1))]
    other = [other_ranks, np.square(other_ranks).sum(axis=1, keepdims=True)]
    for codes, other_codes in zip(rows.codes.T, others.codes.T, strict=True):
        place, other_place = (np.where(c < FREQUENT, c, FREQUENT + c % BUCKETS)[:, None] for c in (codes, other_codes))
        used = np.unique(other_place)
        one.append(np.where(place == used, -1.0, 0.0))
        other.append(np.where(other_place == used, GRAIN**2, 0.0))
    return np.hstack(one), np.hstack(other).T
