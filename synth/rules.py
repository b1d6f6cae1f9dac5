"""Rules between two columns that the training rows keep without exception: one is never above the other, one fixes
the other."""

from __future__ import annotations

from collections.abc import Mapping

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
    encoded = {name: values.dictionary_encode() for name, values in columns.items()}
    words = {name: array.dictionary for name, array in encoded.items() if 1 < len(array.dictionary) <= VALUES}
    names = list(words)
    if len(names) < 2:
        return {}
    codes = np.stack([pc.fill_null(encoded[name].indices, -1).to_numpy() for name in names], axis=1)  # (N, D)
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for place, a in enumerate(names):
        for other in np.flatnonzero(_fixed(codes[:ROWS], place)):
            b = names[other]
            if other == place or (b, a) in found or len(found) >= MOST:
                continue
            pairs = _pairs(codes[:, place], codes[:, other], len(words[a]))
            if pairs is not None:
                found[a, b] = sorted((words[a][x].as_py(), words[b][y].as_py()) for x, y in pairs)
    return found


def _fixed(codes: NDArray[np.int32], place: int) -> NDArray[np.bool_]:
    """(D,) whether each column has one value at most, null aside, for every value of the column at `place`."""
    rows = codes[codes[:, place] >= 0]
    if not len(rows):
        return np.zeros(codes.shape[1], dtype=bool)
    rows = rows[np.argsort(rows[:, place], kind="stable")]
    starts = np.flatnonzero(np.diff(rows[:, place], prepend=-1))
    highest = np.maximum.reduceat(rows, starts, axis=0)
    lowest = np.minimum.reduceat(np.where(rows < 0, VALUES, rows), starts, axis=0)
    fixed: NDArray[np.bool_] = ((highest == lowest) | (highest < 0)).all(axis=0)
    return fixed


def _pairs(first: NDArray[np.int32], second: NDArray[np.int32], size: int) -> list[tuple[int, int]] | None:
    """The pairs of codes where each first has one second and that is no accident of few rows; None otherwise."""
    both = (first >= 0) & (second >= 0)
    joined = np.unique(first[both].astype(np.int64) * VALUES + second[both])
    pairs = [divmod(int(code), VALUES) for code in joined]
    one_each = len({x for x, _ in pairs}) == len(pairs)
    return pairs if one_each and both.sum() >= PER_VALUE * size and len({y for _, y in pairs}) > 1 else None
