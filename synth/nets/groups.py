"""A column's tokens in fewer groups, by noisy counts alone: what is too rare to be told from noise goes together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.layout import ColumnLayout


def group(column: ColumnLayout, counts: NDArray[np.float64], least: float, most: int) -> NDArray[np.int64]:
    """(K,) the group of each token, 0 .. G - 1.

    Neighbours on the number line go together until a group counts `least`; tokens without a place, the null among
    them, that count less than that go into one group of their own.

    counts: (K,) not negative; most: groups of the line at most
    """
    groups = np.zeros(column.cardinality, dtype=np.int64)
    loose = np.flatnonzero(np.isnan(column.ordered))
    line = np.flatnonzero(~np.isnan(column.ordered))
    line = line[np.argsort(column.ordered[line], kind="stable")]
    groups[line] = split(counts[line], least, most)
    start = int(groups[line].max()) + 1 if len(line) else 0
    rare = counts[loose] < least
    if rare.sum() == 1 and not len(line):  # alone it would be told anyway
        rare[:] = False
    frequent = loose[~rare]
    groups[frequent] = start + np.arange(len(frequent))
    groups[loose[rare]] = start + len(frequent)
    return groups


def split(counts: NDArray[np.float64], least: float, most: int) -> NDArray[np.int64]:
    """(K,) ascending groups of a line of counts, `most` at most.

    A token that counts as much as an equal part of the line is a group; the others share what is left evenly, no
    group below `least` but between such tokens.
    """
    if len(counts) <= most and counts.min(initial=np.inf) >= least:
        return np.arange(len(counts))
    heavy = counts >= max(counts.sum() / most, least)
    part = max(counts[~heavy].sum() / max(most - 2 * int(heavy.sum()), 1), least)
    groups = np.zeros(len(counts), dtype=np.int64)
    now, held = 0, 0.0  # the open group and its count
    for i, count in enumerate(counts):
        if i and (heavy[i] or heavy[i - 1] or held >= part):
            now, held = now + 1, 0.0
        groups[i] = now
        held += count
    return merged(counts, groups, heavy, least)


def merged(
    counts: NDArray[np.float64], groups: NDArray[np.int64], heavy: NDArray[np.bool_], least: float
) -> NDArray[np.int64]:
    """The groups with those below half of `least` joined to the group before, the first one to the one after."""
    mass = np.bincount(groups, weights=counts)
    alone = np.bincount(groups, weights=heavy) > 0
    small = (mass < least / 2) & ~alone
    kept = np.cumsum(~small) - 1
    joined = np.maximum(kept, 0)[groups]
    return np.asarray(np.unique(joined, return_inverse=True)[1], dtype=np.int64)
