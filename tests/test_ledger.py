"""The account of a privacy budget against what theory and papers say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from opacus.accountants.analysis.rdp import compute_rdp
from scipy.optimize import brentq
from scipy.special import ndtr

from synth.errors import ConfigError
from synth.privacy import Ledger, Privacy, Spent, account, accountant, simplex, zcdp, zcdp_epsilon

PROMISE = Privacy(epsilon=1.0, delta=1e-6)


def gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """Exact, of one Gaussian mechanism (Balle & Wang 2018, theorem 8)."""

    def gap(epsilon: float) -> float:
        half, far = 1 / (2 * noise_multiplier), epsilon * noise_multiplier
        return float(ndtr(half - far) - math.exp(epsilon) * ndtr(-half - far)) - delta

    return float(brentq(gap, 1e-6, 100))


@pytest.mark.parametrize("noise_multiplier", [2.0, 5.0, 20.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6])
def test_a_gaussian_mechanism_costs_what_its_exact_curve_says(noise_multiplier, delta):
    exact = gaussian_epsilon(noise_multiplier, delta)
    found = account([Spent("x", noise_multiplier)], delta)
    assert exact <= found <= exact + 0.02
    assert exact <= zcdp_epsilon(1 / (2 * noise_multiplier**2), delta) <= 1.25 * exact


def test_dp_sgd_costs_what_the_moments_accountant_published():
    """Abadi et al. 2016, section 3.2: q = .01, sigma = 4, 10,000 steps and delta 1e-5 cost 1.26.

    Their conversion from the moments is a looser one; the tighter ones of today stay below.
    """
    orders = list(range(2, 65))
    moments = np.array(compute_rdp(q=0.01, noise_multiplier=4.0, steps=10_000, orders=orders))
    assert np.min(moments + math.log(1e5) / (np.array(orders) - 1)) == pytest.approx(1.26, abs=0.01)
    tight, tighter = (account([Spent("sgd", 4.0, 0.01, 10_000, gaussian)], 1e-5) for gaussian in (False, True))
    assert 0.8 < tighter < tight < 1.26


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0])
def test_the_budget_in_zcdp_is_the_largest_that_keeps_the_promise(epsilon):
    rho = zcdp(epsilon, 1e-6)
    assert zcdp_epsilon(rho, 1e-6) <= epsilon < zcdp_epsilon(1.01 * rho, 1e-6)
    assert zcdp_epsilon(rho, 1e-6) <= rho + 2 * math.sqrt(rho * math.log(1e6))  # Bun & Steinke 2016, proposition 1.3


def test_a_ledger_adds_the_noise_that_it_accounts_for():
    ledger = Ledger(PROMISE, np.random.default_rng(0))
    noisy = ledger.gaussian(np.zeros(100_000), ledger.rho / 4, "zeros", sensitivity=3.0)
    assert noisy.std() == pytest.approx(ledger.deviation(ledger.rho / 4, 3.0), rel=0.02)
    assert noisy.std() == pytest.approx(3 * ledger.spent[0].noise_multiplier, rel=0.02)
    assert ledger.left == pytest.approx(0.75 * ledger.rho)


def test_all_that_is_paid_keeps_the_promise_and_more_is_refused():
    ledger = Ledger(PROMISE, np.random.default_rng(0))
    for _ in range(4):
        ledger.gaussian([1.0], ledger.rho / 8, "a count")
    ledger.choose([1.0, 2.0], ledger.rho / 4, "a choice")
    ledger.gaussian([1.0], ledger.left, "the rest")
    assert accountant(ledger.spent) == "RDP"
    assert 0.9 < ledger.epsilon() <= PROMISE.epsilon + 1e-3
    with pytest.raises(ConfigError, match="one too many asks for more"):
        ledger.gaussian([1.0], ledger.rho / 100, "one too many")


def test_steps_take_all_that_is_left_and_no_more():
    ledger = Ledger(PROMISE, np.random.default_rng(0))
    ledger.gaussian([1.0], ledger.rho / 10, "a count")
    noise_multiplier = ledger.plan_steps("steps", 0.05, 100)
    assert 0.98 < ledger.epsilon() <= PROMISE.epsilon
    assert ledger.epsilon([ledger.spent[0], Spent("steps", 0.95 * noise_multiplier, 0.05, 100)]) > PROMISE.epsilon


def test_a_choice_follows_the_exponential_mechanism():
    ledger = Ledger(Privacy(epsilon=5.0, delta=1e-6), np.random.default_rng(0))
    rho, scores = ledger.rho / 20_000, np.array([0.0, 100.0])
    share = np.mean([ledger.choose(scores, rho, "which") for _ in range(10_000)])
    odds = math.exp(math.sqrt(8 * rho) * 100 / 2)
    assert share == pytest.approx(odds / (1 + odds), abs=0.02)


def test_a_value_of_one_row_is_told_with_the_chance_that_is_paid():
    rho = PROMISE.epsilon and Ledger(PROMISE).rho / 2
    told = 0
    for seed in range(20):
        ledger = Ledger(PROMISE, np.random.default_rng(seed))
        noisy, least = ledger.frequent(np.ones(20_000), rho, 1e-3, "values")
        told += int((noisy >= least).sum())
    assert ledger.delta_spent == 1e-3
    assert told / 400_000 == pytest.approx(1e-3, rel=0.2)


def test_without_a_promise_everything_is_exact_and_nothing_is_stated():
    ledger = Ledger(None)
    assert ledger.gaussian([3.0], math.inf, "exact").tolist() == [3.0]
    assert ledger.choose([1.0, 5.0, 2.0], math.inf, "best") == 1
    assert ledger.statement("any") is None
    assert ledger.spent == []


def test_noise_is_a_secret_of_each_ledger():
    first, second = (Ledger(PROMISE).gaussian(np.zeros(3), 1e-3, "x") for _ in range(2))
    assert not np.array_equal(first, second)


def test_the_statement_says_what_was_promised_spent_and_left_out():
    ledger = Ledger(PROMISE, np.random.default_rng(0))
    ledger.gaussian([1.0], ledger.rho / 2, "number of rows")
    said = ledger.statement("DP-SGD")
    assert said is not None
    assert (said["epsilon"], said["delta"], said["accountant"]) == (1.0, 1e-6, "PRV")
    assert said["covered"] == ["number of rows"]
    assert said["adjacency"] == "add or remove one row"
    assert said["not_covered"]
    assert said["epsilon_spent"] <= 1.0


@pytest.mark.parametrize(
    ("noisy", "total", "expected"),
    [
        ([5.0, 3.0, -4.0], 6.0, [4, 2, 0]),
        ([5.0, -2.0, 3.0], 6.0, [4, 0, 2]),
        ([5.0, 3.0], 8.0, [5, 3]),
        ([0.0] * 4, 1.0, [0.25] * 4),
        ([-5.0, -3.0], -8.0, [0, 0]),
    ],
)
def test_noisy_counts_are_projected_on_the_simplex(noisy, total, expected):
    np.testing.assert_allclose(simplex(np.array(noisy), total), expected)
