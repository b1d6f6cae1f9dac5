"""Rates and intervals against published values and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from synth.evaluation.attacks.rates import advantage, clopper_pearson, ranked, true_positive_rate, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.3085), (1, 10, 0.0025, 0.4450), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0)],
)
def test_clopper_and_pearson(hits, count, low, high):
    assert clopper_pearson(hits, count) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_wilson_of_newcombe_1998():
    centre, width = wilson(81, 263)  # table I of Newcombe, method 3: .2553 to .3662
    assert (centre - width, centre + width) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


def test_an_advantage_is_what_control_leaves():
    assert advantage(500, 1000, 500, 1000).value == 0
    assert advantage(750, 1000, 500, 1000).value == pytest.approx(0.5, abs=0.01)
    assert advantage(250, 1000, 500, 1000).value == pytest.approx(-0.5, abs=0.01)
    assert advantage(1000, 1000, 0, 1000).high == 1
    assert advantage(20, 20, 20, 20).low < 0 < advantage(20, 20, 20, 20).high


def test_the_interval_of_an_advantage_covers():
    rng = np.random.default_rng(0)
    p, c = 0.4, 0.25
    rates = [advantage(rng.binomial(500, p), 500, rng.binomial(300, c), 300) for _ in range(2000)]
    truth = (p - c) / (1 - c)
    assert 0.93 < np.mean([rate.low <= truth <= rate.high for rate in rates]) < 0.975


def test_ties_never_raise_the_false_positives():
    others = np.array([1.0] * 5 + [0.0] * 95)
    assert true_positive_rate(np.array([1.0, 1.0, 2.0, 0.0]), others, 0.01).value == 0.25
    assert true_positive_rate(np.ones(50), np.ones(500), 0.01) == (0.0, 0.0, pytest.approx(0.0711, abs=1e-3))


def test_a_threshold_lets_so_many_through_and_no_more():
    others = np.arange(1000.0)
    rate = true_positive_rate(others, others, 0.01)
    assert rate.value == 0.01
    assert rate.low < 0.01 < rate.high


@pytest.mark.parametrize(("rows", "proven"), [(367, False), (368, True)])
def test_few_unseen_rows_prove_nothing(rows, proven):
    rate = true_positive_rate(np.full(100, 5.0), np.zeros(rows), 0.01)
    assert rate.value == 1
    assert (rate.low > 0.9) is proven


def test_the_interval_of_a_true_positive_rate_covers():
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    truth = norm.sf(norm.isf(0.01) - 1)  # members are shifted by one deviation
    rates = [true_positive_rate(rng.normal(1, 1, 400), rng.normal(size=900), 0.01) for _ in range(400)]
    assert np.mean([rate.low <= truth <= rate.high for rate in rates]) > 0.94


def test_the_area_and_its_interval():
    assert ranked(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == (1, 1, 1)
    assert ranked(np.zeros(9), np.zeros(9)).value == 0.5
    rng = np.random.default_rng(0)
    rates = [ranked(rng.normal(size=150), rng.normal(size=100)) for _ in range(1000)]
    assert 0.93 < np.mean([rate.low <= 0.5 <= rate.high for rate in rates]) < 0.97
