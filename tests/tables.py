"""A made table that several rooms' tests share."""

from __future__ import annotations

import numpy as np
import pandas as pd


def people(rows: int, seed: int = 0) -> pd.DataFrame:
    """A table with every common kind of column, relations between them, and a target that can be learnt."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    city = rng.choice(["Oslo", "Rome", "Lima"], rows, p=[0.5, 0.3, 0.2])
    income = np.round(np.exp(rng.normal(9 + age / 60, 0.4)) + 5000 * (city == "Oslo"), 2)
    churned = rng.random(rows) < 1 / (1 + np.exp(-(income - 20000) / 6000))
    joined = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 1500, rows), unit="D")
    return pd.DataFrame(
        {
            "id": np.arange(1000, 1000 + rows),
            "age": age,
            "city": city,
            "income": income,
            "score": pd.array(np.where(rng.random(rows) < 0.1, None, rng.integers(0, 10, rows)), dtype="Int64"),
            "joined": joined,
            "churned": np.where(churned, "yes", "no"),
        }
    )
