"""Scores and rivals of the benchmark of forecasts, against what is known of processes that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.forecasts import autoregression, covered, crps, naive, origins, quantile_loss

SEASON, SERIES, PATHS = 12, 200, 400


def process(count: int, steps: int, seed: int) -> np.ndarray:
    """Autoregression of first order, each step .8 of the one before and normal noise."""
    rng = np.random.default_rng(seed)
    values = np.zeros((count, steps + 50))
    for t in range(1, steps + 50):
        values[:, t] = 0.8 * values[:, t - 1] + rng.normal(size=count)
    return values[:, 50:]


def test_scores_are_those_of_the_normal_distribution():
    rng = np.random.default_rng(0)
    paths, truth = rng.normal(size=(2000, 500, 4)), rng.normal(size=(500, 4))
    assert abs(crps(rng.normal(size=(20_000, 1, 1)), np.zeros((1, 1))) - 0.2337) < 0.01
    assert abs(crps(paths, truth) - 1 / np.sqrt(np.pi)) < 0.03
    assert abs(quantile_loss(paths, truth) - 0.2482) < 0.01
    assert abs(covered(paths, truth) - 0.9) < 0.02
    truth[::2] = np.nan
    assert abs(covered(paths, truth) - 0.9) < 0.03
    assert crps(paths + 1, truth) > 1.2 * crps(paths, truth)
    assert quantile_loss(paths * 3, truth) > 1.2 * quantile_loss(paths, truth)


def test_rivals_are_calibrated_and_autoregression_finds_its_own_process():
    known = list(process(3, 2000, 0))
    series = process(SERIES, 5 * SEASON, 1)
    past, truth = series[:, : 4 * SEASON], series[:, 4 * SEASON :][..., None]
    linear = autoregression(known, past, SEASON, PATHS, 0)
    seasonal = naive(known, past, SEASON, PATHS, 0)
    for paths in (linear, seasonal):
        assert abs(covered(paths, truth[..., 0]) - 0.9) < 0.05
    assert crps(linear, truth[..., 0]) < 0.85 * crps(seasonal, truth[..., 0])
    assert quantile_loss(linear, truth[..., 0]) < 0.85 * quantile_loss(seasonal, truth[..., 0])


def test_a_run_with_a_gap_is_no_origin():
    times = pd.date_range("2024-01-01", periods=8 * SEASON, freq="h").delete(5 * SEASON)
    frame = pd.DataFrame({"id": "a", "at": times, "value": np.arange(len(times), dtype=float)})
    histories, truth = origins(frame, "id", "at", ["value"], SEASON)
    assert truth.shape == (2, SEASON, 1)
    assert histories["series"].nunique() == 2
    first = histories[histories["series"] == 0]["value"]
    assert first.iloc[-1] + 1 == truth[0, 0, 0]
