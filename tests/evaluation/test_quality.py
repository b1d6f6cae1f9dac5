"""Distances against what theory says, and the two-sample test against a generator of independent columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from synth.evaluation import quality


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_kolmogorov_smirnov_of_shifted_gaussians(rng, shift):
    found = quality.number_distance(rng.normal(size=100_000), rng.normal(shift, 1, size=80_000))
    assert found == pytest.approx(2 * norm.cdf(shift / 2) - 1, abs=0.01)


def test_kolmogorov_smirnov_equals_the_reference(rng):
    from scipy.stats import ks_2samp

    first, second = rng.integers(0, 9, 500).astype(float), rng.integers(2, 12, 300).astype(float)
    assert quality.number_distance(first, second) == pytest.approx(ks_2samp(first, second).statistic)


def test_null_rates_count(rng):
    values = rng.normal(size=1000)
    half = np.where(np.arange(1000) % 2, np.nan, values)
    assert quality.number_distance(values, half) == pytest.approx(0.5, abs=0.001)
    assert quality.number_distance(values, np.full(10, np.nan)) == 1.0
    assert quality.number_distance(np.full(4, np.nan), np.full(9, np.nan)) == 0.0


def test_total_variation_of_known_frequencies():
    first, second = np.repeat([0, 1, 2], [5, 3, 2]), np.repeat([0, 1, 3], [2, 3, 5])
    assert quality.total_variation(first, second, 4) == pytest.approx(0.5)


def test_identical_tables_have_no_error(draws, fresh, rng):
    views = draws(fresh(1500, 1)).views  # the training rows themselves
    assert set(quality.column_errors(views, rng).values()) == {0.0}
    assert max(quality.pair_errors(views, rng).values()) == pytest.approx(0, abs=1e-12)


def test_disjoint_tables_could_not_differ_more(make_tables, rng):
    train = pd.DataFrame({"n": rng.normal(size=300), "c": rng.choice(["a", "b"], 300)})
    far = pd.DataFrame({"n": rng.normal(1000, 1, size=300), "c": rng.choice(["u", "v"], 300)})
    views = make_tables(train, far).views
    assert quality.column_errors(views, rng) == {"n": 1.0, "c": 1.0}
    assert quality.pair_errors(views, rng)["n", "c"] == 1.0
    assert quality.c2st_auc(views, rng) > 0.99


def test_rank_correlation_of_a_bivariate_gaussian(make_tables, rng):
    x = rng.normal(size=20_000)
    train = pd.DataFrame({"x": x, "y": 0.8 * x + 0.6 * rng.normal(size=20_000)})
    free = pd.DataFrame({"x": rng.normal(size=20_000), "y": rng.normal(size=20_000)})
    found = quality.pair_errors(make_tables(train, free).views, rng)["x", "y"]
    assert found == pytest.approx(6 / np.pi * np.arcsin(0.8 / 2) / 2, abs=0.01)


def test_two_sample_test_of_a_gaussian_shift_reaches_the_best_possible(make_tables, rng):
    real, moved = (pd.DataFrame({"x": rng.normal(m, 1, 4000)}) for m in (0, 1))
    found = quality.c2st_auc(make_tables(real, moved).views, rng)
    assert found == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.03)


def test_two_sample_test_of_fresh_draws_is_a_coin_toss(draws, rng):
    assert quality.c2st_auc(draws().views, rng) == pytest.approx(0.5, abs=0.04)


def test_independent_columns_have_good_shapes_and_are_caught(draws, fresh, shuffle, rng):
    views = draws(shuffle(fresh(1500, 1))).views
    honest = draws().views
    assert max(quality.column_errors(views, rng).values()) < 1e-9
    figures, floor = quality.measure(views, rng), quality.measure(honest, rng)
    assert figures["trend_error"] > 3 * floor["trend_error"]
    assert figures["c2st_auc"] > 0.75
    assert figures["tstr"] < floor["tstr"] - 0.1


def test_train_on_synthetic_scores_what_theory_allows(make_tables, rng):
    def frame(rows):
        x = rng.normal(size=rows)
        return pd.DataFrame({"x": x, "z": 3 * x + rng.normal(size=rows)})

    views = make_tables(frame(1000), frame(3000), test=frame(3000), target="z").views
    assert quality.tstr(views, rng) == pytest.approx(0.9, abs=0.03)  # R squared of 9 / (9 + 1)


def test_many_pairs_are_thinned_out_the_same_way(make_tables, rng):
    frame = pd.DataFrame(rng.normal(size=(40, 90)), columns=[f"c{i}" for i in range(90)])
    views = make_tables(frame).views
    first, second = (quality.pair_errors(views, np.random.default_rng(seed)) for seed in (1, 2))
    assert list(first) == list(second)
    assert len(first) == quality.PAIRS == quality.rows(views)["pairs"] < 90 * 89 // 2


def test_many_values_stay_in_bounded_memory(make_tables, rng):
    words = pd.Series(rng.integers(0, 30_000, 30_000)).astype(str)
    frame = pd.DataFrame({"a": words, "b": words.sample(frac=1, random_state=1).to_numpy()})
    views = make_tables(frame, kinds={"a": "category", "b": "category"}).views
    assert quality.pair_errors(views, rng)["a", "b"] == pytest.approx(0)


def test_nothing_to_compare_is_undefined(make_tables, rng):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "one": [1, 1, 1]})
    views = make_tables(frame, kinds={"id": "identifier"}, target="one").views
    assert quality.measure(views, rng) == dict.fromkeys(("shape_error", "trend_error", "c2st_auc", "tstr"))
