"""Series as vectors that follow from each series alone: level, spread, pace and memory of every column of its steps."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from synth.schema import Column

Floats = NDArray[np.float64]

NUMBERS = ("mean", "spread", "first", "last", "least", "most", "pace", "memory")
TIMES = ("start", "steps", "gap", "gap spread")
OTHERS = ("changes", "different")


def features(steps: Floats, column: Column, *, time: bool) -> dict[str, Floats]:
    """(N,) each, by what it is; NaN where a series is too short for it."""
    count = (~np.isnan(steps)).sum(1)
    last = steps[np.arange(len(steps)), np.maximum(count - 1, 0)]
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of empty slices, which are NaN
        moved = np.diff(steps, axis=1)
        if time:
            gap, spread = np.nanmean(moved, 1), np.nanstd(moved, 1)
            return dict(zip(TIMES, (steps[:, 0], count.astype(float), gap, spread), strict=True))
        if column.kind not in ("number", "boolean", "datetime"):
            changes = np.nanmean(np.where(np.isnan(moved), np.nan, moved != 0), 1)
            different = np.array([len(np.unique(row[~np.isnan(row)])) for row in steps], dtype=np.float64)
            return dict(zip(OTHERS, (changes, different), strict=True))
        centred = steps - np.nanmean(steps, 1, keepdims=True)
        memory = np.nanmean(centred[:, 1:] * centred[:, :-1], 1) / np.nanmean(centred**2, 1)
        values = (
            np.nanmean(steps, 1),
            np.nanstd(steps, 1),
            steps[:, 0],
            last,
            np.nanmin(steps, 1),
            np.nanmax(steps, 1),
            np.nanmean(np.abs(moved), 1),
            np.where(np.isfinite(memory), memory, np.nan),
        )
    return dict(zip(NUMBERS, values, strict=True))
