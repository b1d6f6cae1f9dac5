"""Lost modes, lost values and repeated rows show in the figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth.evaluation import diversity


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_fresh_draws_reach_everywhere(draws, rng):
    figures = diversity.measure(draws().views, rng)
    assert figures["coverage"] > 0.93
    assert figures["density"] == pytest.approx(1, abs=0.1)
    assert figures["precision"] > 0.85
    assert figures["recall"] > 0.85


def test_the_same_rows_are_perfect(draws, fresh, rng):
    figures = diversity.measure(draws(fresh(1500, 2)).views, rng)  # the holdout itself
    assert figures["precision"] == figures["recall"] == figures["coverage"] == 1.0
    assert figures["density"] > 1


def test_rows_from_elsewhere_reach_nothing(make_tables, rng):
    train = pd.DataFrame({"a": rng.normal(size=400), "c": "x", "d": rng.choice(["u", "v"], 400)})
    far = train.assign(a=rng.normal(1000, 1, size=400), d="w")
    figures = diversity.measure(make_tables(train, far).views, rng)
    assert figures["precision"] == figures["recall"] == figures["density"] == figures["coverage"] == 0.0
    assert figures["category_coverage"] == 0.0


def test_a_lost_mode_halves_recall_and_coverage_but_not_precision(make_tables, rng):
    def frame(rows, modes):
        mode = rng.choice(modes, rows)
        return pd.DataFrame(
            {"x": 100.0 * mode + rng.normal(size=rows), "y": rng.normal(size=rows), "m": mode.astype(str)}
        )

    views = make_tables(frame(1000, [0, 1]), frame(1000, [0]), holdout=frame(1000, [0, 1])).views
    figures = diversity.measure(views, rng)
    assert figures["precision"] > 0.9
    assert figures["recall"] == pytest.approx(0.5, abs=0.08)
    assert figures["coverage"] == pytest.approx(0.5, abs=0.08)
    assert figures["category_coverage"] == 0.5


def test_category_coverage_counts_train_values_only(make_tables):
    train = pd.DataFrame({"c": ["a", "b", "c", "d"], "e": ["u", "u", "v", "v"]})
    synthetic = pd.DataFrame({"c": ["a", "z", "y", "a"], "e": ["u", "v", "u", "v"]})
    views = make_tables(train, synthetic).views
    assert diversity.category_coverage(views) == pytest.approx((1 / 4 + 1) / 2)


def test_repeated_rows_are_counted_on_as_many_rows_as_the_holdout(make_tables, rng):
    train = pd.DataFrame({"a": np.arange(100.0)})
    repeated = pd.DataFrame({"a": np.repeat(np.arange(25.0), 4)})
    assert diversity.duplicate_share(make_tables(train, repeated).views, rng) == 0.75
    assert diversity.duplicate_share(make_tables(train, train).views, rng) == 0.0


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_too_few_rows_are_undefined(make_tables, rng, rows):
    train = pd.DataFrame({"a": np.arange(30.0)})
    figures = diversity.neighbourhoods(make_tables(train, train.head(rows)).views, rng)
    assert figures == dict.fromkeys(("precision", "recall", "density", "coverage"))
