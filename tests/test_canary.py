"""The canary audit: what hundreds of trainings show of one planted row is never more than what was promised.

The same training is run with and without a row that no other resembles, and an attacker guesses which it was from the
model's probability of that row. His true and false positive rates bound epsilon from below (Jagielski, Ullman & Oprea
2020); for Gaussian mechanisms they do so by the curve of Gaussian differential privacy (Nasr et al. 2023), which needs
far fewer trainings. Bounds of the rates are Clopper and Pearson's, at 95 % together.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import beta

from synth import models, privacy
from synth.layout import ColumnLayout, TableLayout
from synth.privacy import Ledger, Privacy
from synth.private_training import train_privately

PROMISE = Privacy(epsilon=1.0, delta=0.01)
ROWS, TRIED = 60, 100
TRAININGS = {"autoregressive": 600, "marginals": 2100}  # of each kind; zCDP says less of a mechanism than PRV does
FAMILIES = {
    "autoregressive": {
        "width": 1,
        "blocks": 0,
        "batch_size": ROWS,
        "epochs": 10,
        "gradient_clip": 1.0,
        "warmup_steps": 0,
        "final_learning_rate": 1.0,
        "ema_decay": 0.0,
        "learning_rate": 1e-2,
        "betas": (0.0, 0.999),
        "weight_decay": 0.0,
        "validation_share": 0.0,
    },
    "marginals": {"iterations": 50},
}
CROWD = {"autoregressive": 0, "marginals": ROWS // 6}  # rows like the canary: counts near 0 would be cut off there


LAYOUT = TableLayout(
    (
        ColumnLayout(
            "x",
            np.zeros((2, 0), np.float32),
            np.ones(2, dtype=bool),
            np.full(2, np.nan, np.float32),
            np.array([0.9999, 0.0001], np.float32),  # other rows are expected, and so have next to no gradient
        ),
    )
)


class Quieter(Ledger):
    """A ledger that accounts for its noise and adds half of it."""

    def gaussian(self, values, rho, what, sensitivity=1.0):
        return super().gaussian(values, rho, what, sensitivity / 2)

    def plan_steps(self, what, sample_rate, steps):
        return super().plan_steps(what, sample_rate, steps) / 2


def scores(name: str, kind: type[Ledger], canary: bool) -> np.ndarray:
    """(T,) log-probability of the canary under models trained with it, or without."""
    tokens = np.zeros((ROWS + canary, 1), dtype=np.int64)
    tokens[ROWS - CROWD[name] :] = 1
    found = []
    for seed in range(TRAININGS[name]):
        family = models.family(name)
        model = family.Model(family.Config(**FAMILIES[name]), LAYOUT, torch.Generator().manual_seed(0))
        model.settle = lambda *_: None  # it may only take away what an attacker sees
        ledger = kind(PROMISE, np.random.default_rng([seed, canary]))
        train_privately(model, {"tokens": tokens}, ledger, rows=ROWS, seed=0, device=torch.device("cpu"))
        found.append(float(model.log_prob({"tokens": torch.ones((1, 1), dtype=torch.long)})))
    return np.array(found)


def lower_bound(without: np.ndarray, with_canary: np.ndarray) -> float:
    """Epsilon that the scores prove at the promised delta, with 95 % confidence; 0 where they prove none.

    The threshold is chosen on the first TRIED scores and judged on the rest.
    """
    thresholds = np.sort(np.concatenate([without[:TRIED], with_canary[:TRIED]]))
    proven = [strength(without[:TRIED], with_canary[:TRIED], threshold) for threshold in thresholds]
    best = thresholds[int(np.argmax(proven))]
    return gaussian_epsilon(strength(without[TRIED:], with_canary[TRIED:], best), PROMISE.delta)


def strength(without: np.ndarray, with_canary: np.ndarray, threshold: float) -> float:
    """The mu of Gaussian differential privacy (Dong, Roth & Su 2022) that the rates prove."""
    false, missed = (without > threshold).sum(), (with_canary <= threshold).sum()
    highest = [
        beta.ppf(1 - 0.025, k + 1, max(n - k, 1e-9)) for k, n in ((false, len(without)), (missed, len(with_canary)))
    ]
    return max(float(ndtri(1 - highest[0]) - ndtri(highest[1])), 0.0)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon of mu-Gaussian differential privacy at delta (Dong, Roth & Su 2022, corollary 2.13)."""

    def gap(epsilon: float) -> float:
        return float(ndtr(mu / 2 - epsilon / mu) - math.exp(epsilon) * ndtr(-mu / 2 - epsilon / mu)) - delta

    return 0.0 if mu <= 0 or gap(0.0) <= 0 else float(brentq(gap, 0.0, 50.0))


@pytest.fixture(scope="module", autouse=True)
def quick():
    """The account of the same mechanisms is the same: look it up after the first training. Small nets want one
    thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    known, account = {}, privacy.account

    def remembered(spent, delta):
        key = (tuple(spent), delta)
        if key not in known:
            known[key] = account(spent, delta)
        return known[key]

    patch = pytest.MonkeyPatch()
    patch.setattr(privacy, "account", remembered)
    yield
    patch.undo()
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_canary_shows_no_more_than_was_promised_and_half_the_noise_is_caught(name):
    kept = lower_bound(*(scores(name, Ledger, canary) for canary in (False, True)))
    broken = lower_bound(*(scores(name, Quieter, canary) for canary in (False, True)))
    print(f"{name}: promised {PROMISE.epsilon}, proven {kept:.2f}; with half the noise {broken:.2f}")  # noqa: T201
    assert kept <= PROMISE.epsilon < broken
