"""Holes are made at random, every imputer fills the same ones, and the table says who is right."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import imputation
from benchmarks.imputation import Task, holes, pierced, score
from synth.errors import InputError


def frame(rows, seed):
    """A number, a category and a flag that follow from each other but for noise, and a whole number."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "x": x,
            "near": x + rng.normal(size=rows) / 10,
            "side": np.where(x > 0.3, "over", "under"),
            "flag": x < 0.1,
            "count": rng.integers(0, 9, rows),
        }
    )


@pytest.fixture
def task():
    truth = frame(500, 1)
    removed = holes(truth, 0.2, "flag", np.random.default_rng(0))
    return Task(frame(800, 0), pierced(truth, removed), ["x", "near", "count"], "flag", 0), truth, removed


def test_holes_come_at_random_and_spare_the_target(task):
    _, truth, removed = task
    assert removed[:, 3].sum() == 0
    assert removed[:, [0, 1, 2, 4]].mean() == pytest.approx(0.2, abs=0.03)
    known = truth.assign(side=None)
    assert holes(known, 0.9, None, np.random.default_rng(0))[:, 2].sum() == 0  # nothing to remove


def test_piercing_keeps_all_other_cells_and_the_kinds(task):
    made, truth, removed = task[0].holed, task[1], task[2]
    assert (made.isna().to_numpy() == removed).all()
    assert made["count"].dtype == "Int64"
    assert made["count"].dropna().equals(truth["count"][~removed[:, 4]].astype("Int64"))


@pytest.mark.parametrize("way", [imputation.ordinal, imputation.one_hot])
@pytest.mark.parametrize("train_holes", [False, True])
def test_an_iterative_imputer_uses_the_other_columns(task, way, train_holes):
    asked, truth, removed = task
    if train_holes:
        drilled = pierced(asked.train, holes(asked.train, 0.2, "flag", np.random.default_rng(1)))
        asked = Task(drilled, asked.holed, asked.numbers, asked.target, 0)
    filled = way(asked)
    found, simple = (score(truth, made, removed, asked) for made in (filled, imputation.simple(asked)))
    assert list(filled.columns) == list(truth.columns)
    assert not filled.isna().to_numpy().any()
    assert found["x"] < 0.6 * simple["x"]
    assert found["side"] > simple["side"] + 0.1
    assert set(filled["side"]) <= {"over", "under"}


def test_mode_and_mean_are_the_training_rows(task):
    asked, truth, removed = task
    found = score(truth, imputation.simple(asked), removed, asked)
    side = truth["side"][removed[:, 2]]
    assert found["side"] == pytest.approx((side == asked.train["side"].mode()[0]).mean())
    gap = truth["x"][removed[:, 0]] - asked.train["x"].mean()
    assert found["x"] == pytest.approx(np.sqrt((gap**2).mean()))


def test_a_family_fills_by_what_it_has_learnt(task):
    asked, truth, removed = task
    filled = imputation.ours(asked, "autoregressive", 4)
    assert (filled.isna().to_numpy() == 0).all()
    assert score(truth, filled, removed, asked)["side"] > 0.75


def test_the_table_counts_columns_that_are_won():
    scores = {
        "flow": {"a": 1.0, "b": 0.9, "c": 0.5},
        "m": {"a": 2.0, "b": 0.8, "c": 0.5},
        "n": {"a": 1.5, "b": 0.7, "c": 0},
    }
    text = imputation.markdown(scores, ["a"], "flow")
    assert "| a | RMSE ↓ | 1 | 2 | 1.5 |" in text
    assert "flow is better than every other in 2 of 3 columns; not in c." in text


def test_an_unknown_imputer_is_refused():
    with pytest.raises(InputError, match="'knn' is unknown; there are: mode/mean, iterative, ordinal"):
        imputation.main("none.csv", imputers=["knn"])
