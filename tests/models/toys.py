"""Layouts made by hand, and a small table whose distribution is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.layout import ColumnLayout, TableLayout


def nominal(name: str, frequency: list[float] | NDArray) -> ColumnLayout:
    """A column of categories."""
    K = len(frequency)
    return ColumnLayout(
        name=name,
        features=np.zeros((K, 0), dtype=np.float32),
        embedded=np.ones(K, dtype=bool),
        ordered=np.full(K, np.nan, dtype=np.float32),
        frequency=np.asarray(frequency, dtype=np.float32),
    )


def numeric(name: str, frequency: list[float] | NDArray) -> ColumnLayout:
    """A column of K - 1 ordered bins and a null, the last token."""
    K = len(frequency)
    place = np.append(np.linspace(0, 1, K - 1), np.nan).astype(np.float32)
    known = np.nan_to_num(place)
    features = np.stack([known, np.sin(np.pi * known), np.cos(np.pi * known)], axis=1)
    features[-1] = 0
    embedded = np.arange(K) == K - 1
    return ColumnLayout(name, features.astype(np.float32), embedded, place, np.asarray(frequency, dtype=np.float32))


def shares(tokens: NDArray, K: int) -> NDArray:
    """Share of each token."""
    return np.bincount(tokens, minlength=K) / max(len(tokens), 1)


def toy(rows: int, seed: int = 0) -> NDArray:
    """(rows, 4) tokens: a coin, a category that depends on it, a number that depends on both, a constant."""
    rng = np.random.default_rng(seed)
    coin = (rng.random(rows) < 0.3).astype(np.int64)
    category = (coin + (rng.random(rows) < 0.2)) % 3
    centre = 8 + 12 * category + 8 * coin
    number = np.clip(np.rint(rng.normal(centre, 3)), 0, 39).astype(np.int64)
    number[rng.random(rows) < 0.1] = 40
    return np.stack([coin, category, number, np.zeros(rows, dtype=np.int64)], axis=1)


def toy_layout(tokens: NDArray) -> TableLayout:
    """The layout of `toy`'s columns, with the frequencies of `tokens`."""
    return TableLayout(
        (
            nominal("coin", shares(tokens[:, 0], 2)),
            nominal("category", shares(tokens[:, 1], 3)),
            numeric("number", shares(tokens[:, 2], 41)),
            nominal("constant", [1.0]),
        )
    )


def joint(tokens: NDArray) -> NDArray:
    """Shares of the cells of coin x category x eight ranges of the number, and the null; sums to 1."""
    cell = (tokens[:, 0] * 3 + tokens[:, 1]) * 9 + tokens[:, 2] // 5
    return shares(cell, 54)


def distance(one: NDArray, other: NDArray) -> float:
    """Total variation between the joint cells of two samples of `toy`, 0 to 1."""
    return float(np.abs(joint(one) - joint(other)).sum() / 2)
