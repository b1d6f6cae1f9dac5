"""Rules between two columns that the training rows keep without exception: one is never above the other, one fixes
the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

ROWS = 2000  # rows on which most pairs of columns are ruled out
LEAST = 30  # rows without null that a rule must be seen on
BY_CHANCE = 0.05  # share of shuffled pairs that must break an order for it to say something
VALUES = 64  # a column that fixes another has at most as many different values
PER_VALUE = 5  # and at least as many rows for each
MOST = 50  # rules of each sort that are kept


def orders(views: Mapping[str, pd.Series], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Pairs (a, b) with a <= b in every row where neither is null, though the ranges of both overlap.

    views: columns of one sort (numbers, or moments) that can be compared
    """
    names = list(views)
    if len(names) < 2:
        return []
    rows = len(views[names[0]])
    chosen = np.sort(rng.choice(rows, min(rows, ROWS), replace=False))
    few = np.stack([_floats(views[name].iloc[chosen]) for name in names], axis=1)  # (R, D), NaN where null
    found = []
    for place, name in enumerate(names):
        with np.errstate(invalid="ignore"):
            broken = (few[:, place : place + 1] > few).any(axis=0)  # (D,)
        found += [
            (name, names[other])
            for other in np.flatnonzero(~broken)
            if other != place and _says_something(few[:, place], few[:, other], rng)
        ]
    kept = [(a, b) for a, b in found if not (views[a] > views[b]).any()]
    return kept[:MOST]


def _floats(values: pd.Series) -> NDArray[np.float64]:
    if values.dtype.kind != "M":
        return values.to_numpy(np.float64)
    ticks = values.to_numpy().astype(np.int64).astype(np.float64)
    ticks[values.isna().to_numpy()] = np.nan
    return ticks


def _says_something(low: NDArray[np.float64], high: NDArray[np.float64], rng: np.random.Generator) -> bool:
    both = ~(np.isnan(low) | np.isnan(high))
    if both.sum() < LEAST:
        return False
    return bool(np.mean(low[both] > rng.permutation(high[both])) >= BY_CHANCE)


def dependencies(columns: Mapping[str, pa.Array]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Pairs (a, b) of columns in which the value of a fixes that of b, with every pair of values that occurs.

    columns: name -> texts (N,). A pair that holds in both directions is listed once. A constant b is no rule.
    """
    coded = {}
    for name, values in columns.items():
        encoded = values.dictionary_encode()
        size = len(encoded.dictionary)
        if 1 < size <= VALUES:
            coded[name] = (pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), encoded.dictionary)
    names = list(coded)
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for a in names:
        for b in names:
            if a == b or (b, a) in found or len(found) >= MOST:
                continue
            pairs = _pairs(coded[a][0], coded[b][0], len(coded[a][1]))
            if pairs is not None:
                found[a, b] = sorted((coded[a][1][x].as_py(), coded[b][1][y].as_py()) for x, y in pairs)
    return found


def _pairs(first: NDArray[np.int32], second: NDArray[np.int32], size: int) -> Sequence[tuple[int, int]] | None:
    """The pairs of codes where each first has one second and that is no accident of few rows; None otherwise."""
    for rows in (slice(ROWS), slice(None)):
        a, b = first[rows], second[rows]
        both = (a >= 0) & (b >= 0)
        if not both.any():
            return None
        pairs, counts = np.unique(np.stack([a[both], b[both]]), axis=1, return_counts=True)
        if len(np.unique(pairs[0])) < pairs.shape[1]:
            return None
    if counts.sum() < PER_VALUE * size or len(np.unique(pairs[1])) < 2:
        return None
    return [(int(x), int(y)) for x, y in pairs.T]
