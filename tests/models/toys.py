"""Layouts and models made by hand, and small tables whose distribution is known."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth import models
from synth.layout import ColumnLayout, TableLayout
from synth.models.base import GenerativeModel


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


COPY_ENTROPY = np.log(2) - 0.1 * np.log(0.1) - 0.9 * np.log(0.9)  # of `coin_and_copy`, 1.018 nats


def coin_and_copy(rows: int, rng: np.random.Generator) -> NDArray:
    """(rows, 2) tokens: a fair coin and its copy, flipped in one row of ten."""
    coin = rng.integers(0, 2, rows)
    return np.stack([coin, coin ^ (rng.random(rows) < 0.1)], axis=1)


def moved(family: str, layout: TableLayout, noise: float, **config: Any) -> GenerativeModel:
    """A model whose weights are moved off their start by Gaussian noise, so that columns depend on each other."""
    kind, generator = models.family(family), torch.Generator().manual_seed(0)
    model: GenerativeModel = kind.Model(kind.Config(**config), layout, generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator)
    return model


def cells(layout: TableLayout) -> torch.Tensor:
    """(prod K, D) int64: every row of tokens that there can be."""
    return torch.tensor(list(itertools.product(*(range(K) for K in layout.cardinalities))))


def check_follows(model: GenerativeModel, expected: NDArray) -> None:
    """Samples fall into `cells` with the probabilities expected, (prod K,), by Pearson's chi-square at 5 sigma."""
    n = 100_000
    tokens = model.sample(n, torch.Generator().manual_seed(1))["tokens"].numpy()
    seen = shares(np.ravel_multi_index(tuple(tokens.T), model.layout.cardinalities), len(expected))
    usual = n * expected > 5
    assert usual.sum() > 10
    assert expected[usual].max() > 3 * expected[usual].min()
    chi_square = n * ((seen - expected)[usual] ** 2 / expected[usual]).sum()
    assert chi_square < usual.sum() + 5 * np.sqrt(2 * usual.sum())
