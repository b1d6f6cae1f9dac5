"""Distances between rows with numbers and categories, in chunks: memory does not grow with the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import Floats, View, Views

CHUNK = 2_000_000  # distances that are held at once


@dataclass(frozen=True)
class Space:
    """Where distances are taken. A number is its mid-rank among the training rows, 0 to 1, and a null is as far
    as can be from any value; a category is the same (0) or another (1). The squared distance is the sum over columns.
    """

    order: tuple[Floats, ...]  # sorted training values of each number

    @classmethod
    def fit(cls, views: Views, rows: int, rng: np.random.Generator) -> Space:
        """Read the ranks from at most `rows` training rows."""
        train = views.train.draw(rows, rng)
        return cls(tuple(np.sort(column[~np.isnan(column)]) for column in train.numbers.T))

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
