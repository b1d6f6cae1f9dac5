"""Series as a whole: how steps follow from each other, how columns move together, how far the rare moves go."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import View, Views
from synth.evaluation.metric import Figures, Metric
from synth.evaluation.quality import number_distance

Floats = NDArray[np.float64]

LAGS = 10
TAIL = 0.05  # share of the moves that are its tail
PATHS = 5  # synthetic series that the report draws, one in each of its colours
LEAST = 20  # moves that a tail is read from

_NONE = "no unseen real or no synthetic series of two steps or more"
METRICS = (
    Metric(
        "memory_error",
        "lower",
        "Memory",
        f"Mean difference of the autocorrelations of values, up to {LAGS} steps apart, between unseen real and "
        "synthetic series.",
        _NONE,
    ),
    Metric(
        "unrest_error",
        "lower",
        "Unrest",
        "The same of how large moves are, without their direction: that calm and stormy times come together.",
        _NONE,
    ),
    Metric(
        "spectrum_error",
        "lower",
        "Spectrum",
        "Total variation between the mean power spectra, of series of the most frequent length.",
        "no series, or the most frequent length is of fewer than four steps",
    ),
    Metric(
        "together_error",
        "lower",
        "Moving together",
        "Mean difference of the correlations between the moves of two columns.",
        _NONE,
    ),
    Metric(
        "tail_error",
        "lower",
        "Rare moves",
        f"How far the tail index (Hill 1975) of the largest {TAIL:.0%} of moves is off, as a logarithm.",
        _NONE,
        high=None,
    ),
    Metric(
        "spacing_error",
        "lower",
        "Spacing",
        "Kolmogorov-Smirnov distance of the times between steps.",
        "the steps have no times",
    ),
)


def measure(views: Views, rng: np.random.Generator) -> Figures:  # noqa: ARG001 - as of every area
    """All figures of `METRICS`."""
    real, made = (_steps(view) for view in (views.holdout if len(views.holdout) else views.test, views.synthetic))
    if min(len(real), len(made)) == 0 or min(real.shape[1], made.shape[1]) < 2:
        return dict.fromkeys(metric.name for metric in METRICS)
    timed = views.timed
    first, second = real[..., timed:], made[..., timed:]
    moves = np.diff(first, axis=1), np.diff(second, axis=1)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of empty slices, which are NaN
        return {
            "memory_error": _apart(_memory(first), _memory(second)),
            "unrest_error": _apart(*(_memory(np.abs(one)) for one in moves)),
            "spectrum_error": _spectrum_error(first, second),
            "together_error": _apart(*map(_together, moves)),
            "tail_error": _apart(*(np.log(_tails(one)) for one in moves)),
            "spacing_error": number_distance(*(_gaps(one[..., 0]) for one in (real, made))) if timed else None,
        }


def curves(views: Views) -> dict[str, Any]:
    """What the report draws of each column of steps; real is what the training series have together, none by itself.

    {name: {"memory": {"real": (LAGS,), "synthetic": (LAGS,)} autocorrelations of values, "unrest": the same of the size
    of moves, "paths": some synthetic series}}, None where nothing is known
    """
    real, made = _steps(views.train)[..., views.timed :], _steps(views.synthetic)[..., views.timed :]
    if min(len(real), len(made)) == 0:
        return {}
    sizes = {"real": np.abs(np.diff(real, axis=1)), "synthetic": np.abs(np.diff(made, axis=1))}
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of empty slices, which are NaN
        memory = {"real": _memory(real), "synthetic": _memory(made)}
        unrest = {role: _memory(part) for role, part in sizes.items()}
    return {
        name: {
            "memory": {role: _known(part[:, c]) for role, part in memory.items()},
            "unrest": {role: _known(part[:, c]) for role, part in unrest.items()},
            "paths": [_known(path) for path in made[:PATHS, :, c]],
        }
        for c, name in enumerate(views.stepped)
    }


def _known(values: Floats) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def rows(views: Views) -> dict[str, int]:
    """How many steps the figures are read from."""
    sizes = {"train": views.train, "synthetic": views.synthetic}
    return {f"dynamics_{name}_steps": int((~np.isnan(_steps(view)).all(2)).sum()) for name, view in sizes.items()}


def _steps(view: View) -> Floats:
    return np.zeros((0, 0, 0)) if view.steps is None else view.steps


def _apart(first: Floats, second: Floats) -> float | None:
    """Mean absolute difference where both are known."""
    shape = tuple(map(min, first.shape, second.shape))
    gaps = np.abs(first[tuple(map(slice, shape))] - second[tuple(map(slice, shape))])
    return float(np.nanmean(gaps)) if np.isfinite(gaps).any() else None


def _memory(steps: Floats) -> Floats:
    """(LAGS, C) autocorrelations over all series."""
    centred = steps - np.nanmean(steps, (0, 1))
    spread = np.nanmean(centred**2, (0, 1))
    lags = range(1, min(LAGS, steps.shape[1] - 1) + 1)
    found = [np.nanmean(centred[:, lag:] * centred[:, :-lag], (0, 1)) / spread for lag in lags]
    return np.stack(found) if found else np.zeros((0, steps.shape[2]))


def _spectrum_error(first: Floats, second: Floats) -> float | None:
    lengths = (~np.isnan(first).all(2)).sum(1)
    length = int(np.bincount(lengths).argmax())
    parts = [one[(~np.isnan(one).all(2)).sum(1) == length, :length] for one in (first, second)]
    if length < 4 or not all(map(len, parts)):
        return None
    spectra = []
    for part in parts:
        centred = np.nan_to_num(part - np.nanmean(part, 1, keepdims=True))
        power = (np.abs(np.fft.rfft(centred, axis=1)) ** 2).mean(0)[1:]
        spectra.append(power / np.maximum(power.sum(0), 1e-300))
    return float(np.abs(spectra[0] - spectra[1]).sum(0).mean() / 2)


def _together(moves: Floats) -> Floats:
    """(C (C - 1) / 2,) correlations of two columns' moves."""
    flat = moves.reshape(-1, moves.shape[2])
    flat = flat[~np.isnan(flat).any(1)]
    if len(flat) < 3 or flat.shape[1] < 2:
        return np.full(1, np.nan)
    found = np.asarray(np.corrcoef(flat, rowvar=False))
    return np.asarray(found[np.triu_indices(flat.shape[1], 1)])


def _tails(moves: Floats) -> Floats:
    """(C,) Hill's estimate of each column's tail index; NaN where there are too few moves."""
    found = np.full(moves.shape[2], np.nan)
    for c in range(moves.shape[2]):
        sizes = np.sort(np.abs(moves[..., c][~np.isnan(moves[..., c])]))[::-1]
        count = int(TAIL * (sizes > 0).sum())
        if count >= LEAST:
            found[c] = 1 / np.log(sizes[:count] / sizes[count]).mean()
    return found


def _gaps(ticks: Floats) -> Floats:
    gaps = np.diff(ticks, axis=1)
    return np.asarray(gaps[~np.isnan(gaps)])
