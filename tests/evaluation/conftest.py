"""Tables whose figures are known from theory or by how they were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth.evaluation.tables import Tables
from synth.schema import Column, Schema, pack_arrow

Maker = Callable[..., Tables]


def schema_of(frame: pd.DataFrame, kinds: Mapping[str, str] | None = None, **facts: str | None) -> Schema:
    """A schema by hand: numeric dtypes are numbers, the rest categories, unless `kinds` says otherwise."""
    known = dict(kinds or {})
    columns = []
    for label in frame.columns:
        kind = known.get(str(label), "number" if pd.api.types.is_numeric_dtype(frame[label]) else "category")
        text = any(isinstance(value, str) for value in frame[label])
        dtype = "string" if text else str(pa.Array.from_pandas(frame[label]).type)
        form = "%Y-%m-%d" if kind == "datetime" and text else None
        columns.append(Column(name=str(label), kind=kind, dtype=dtype, format=form))
    return Schema(columns=tuple(columns), rows=len(frame), arrow=pack_arrow(pa.schema([])), **facts)


def population(rows: int, seed: int) -> pd.DataFrame:
    """Two related numbers, two related categories, and a target that depends on all of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    y = 0.8 * x + 0.6 * rng.normal(size=rows)
    group = np.where(rng.random(rows) < 1 / (1 + np.exp(-2 * x)), "high", "low")
    city = np.where(group == "high", rng.choice(["A", "B"], rows), rng.choice(["B", "C", "D"], rows))
    logit = 1.5 * x - y + (group == "high") + (city == "C")
    target = np.where(rng.random(rows) < 1 / (1 + np.exp(-2 * logit)), "yes", "no")
    return pd.DataFrame({"x": x, "y": y, "group": group, "city": city, "target": target})


def shuffled(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every column shuffled by itself."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: frame[name].to_numpy()[rng.permutation(len(frame))] for name in frame})


@pytest.fixture(scope="session")
def make_tables() -> Maker:
    """make_tables(train, synthetic, holdout=..., test=..., kinds=..., target=...) -> Tables."""

    def make(train, synthetic=None, holdout=None, test=None, kinds=None, target=None) -> Tables:
        return Tables(
            train=train,
            holdout=train if holdout is None else holdout,
            test=train if test is None else test,
            synthetic=train if synthetic is None else synthetic,
            schema=schema_of(train, kinds, target=target),
        )

    return make


@pytest.fixture(scope="session")
def draws(make_tables) -> Maker:
    """draws(synthetic=frame): a comparison of `synthetic` with fresh draws of one population."""

    def make(synthetic: pd.DataFrame | None = None, rows: int = 1500, target: str | None = "target") -> Tables:
        return make_tables(
            population(rows, 1),
            population(rows, 4) if synthetic is None else synthetic,
            population(rows, 2),
            population(rows, 3),
            target=target,
        )

    return make


@pytest.fixture(scope="session")
def fresh() -> Callable[[int, int], pd.DataFrame]:
    """fresh(rows, seed): draws of the population."""
    return population


@pytest.fixture(scope="session")
def shuffle() -> Callable[..., pd.DataFrame]:
    """shuffle(frame): every column shuffled by itself."""
    return shuffled
