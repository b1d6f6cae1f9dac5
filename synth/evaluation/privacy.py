"""Privacy: whether the synthetic rows stand closer to the rows learnt from than to rows nobody saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import View, Views
from synth.evaluation.metric import Figures, Metric
from synth.evaluation.neighbours import Space, two_nearest

REFERENCE_ROWS = 200_000  # rows of train, and of the holdout, that neighbours are looked for in
DISTANCES = 100_000_000  # distances that are computed at most

METRICS = (
    Metric(
        "identical_share",
        "lower",
        "Identical rows",
        "Share of synthetic rows that equal a training row in every column but identifiers.",
        "no column to compare",
    ),
    Metric(
        "identical_excess",
        "lower",
        "Identical rows beyond chance",
        "That share less the share of unseen real rows that equal a training row: people who resemble each other by "
        "chance are no leak.",
        "no column to compare or no unseen real rows",
        low=-1.0,
    ),
    Metric(
        "dcr_share",
        "target",
        "Closer to training rows",
        "Share of synthetic rows whose nearest real row is a training row rather than an unseen one, sizes made "
        "equal: 0.5 is chance, 1 is a copy.",
        "no column to compare or no unseen real rows",
        target=0.5,
    ),
    Metric(
        "nndr",
        "target",
        "Nearest-neighbour ratio",
        "Mean ratio of the distances to the nearest and the second nearest training row; near 0 where single training "
        "rows are imitated. The floor is what unseen real rows have.",
        "no column to compare or fewer than two different training rows",
    ),
)


def measure(views: Views, rng: np.random.Generator) -> Figures:
    """All figures of `METRICS`; None where one is undefined."""
    identical, excess = identical_rows(views)
    return {"identical_share": identical, "identical_excess": excess, **closest_records(views, rng)}


def rows(views: Views) -> dict[str, int]:
    """How many synthetic rows are looked at, and among how many real ones their neighbours are looked for."""
    train, holdout = (min(len(view), REFERENCE_ROWS) for view in (views.train, views.holdout))
    made = min(len(views.synthetic), max(100, DISTANCES // max(1, train + holdout)))
    return {"privacy_rows": made, "privacy_train_rows": train, "privacy_holdout_rows": holdout}


def row_keys(view: View) -> NDArray[np.uint64]:
    """A 64-bit hash of each row, (n,): equal rows have equal keys; different rows collide about never."""
    keys = np.zeros(len(view), dtype=np.uint64)
    numbers = np.where(np.isnan(view.numbers), np.nan, view.numbers + 0.0)  # one NaN, no negative zero
    for column in (*numbers.T, *view.codes.astype(np.float64).T):
        keys = _mix(keys ^ _mix(np.ascontiguousarray(column).view(np.uint64)))
    return keys


def _mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014); not commutative over columns when chained."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def identical_rows(views: Views) -> tuple[float | None, float | None]:
    """Share of synthetic rows equal to a training row, and what of it exceeds that share of the holdout. All rows."""
    if not views.names:
        return None, None
    known = np.unique(row_keys(views.train))
    share = float(np.isin(row_keys(views.synthetic), known).mean())
    if not len(views.holdout):
        return share, None
    return share, share - float(np.isin(row_keys(views.holdout), known).mean())


def closest_records(views: Views, rng: np.random.Generator) -> Figures:
    """Distance to closest record as a share (Platzer & Reutterer 2021), and the nearest-neighbour distance ratio.

    A generator that learnt no single row puts its rows nearest to a training row with the chance
    p = train / (train + holdout), as an unseen real row would. With s the share observed (a row with equally near
    neighbours on both sides counts by their numbers), dcr_share is the odds s / (1 - s) divided by p / (1 - p), as a
    share again: what an equally large holdout would give. 0.5 is chance; a copy of the training rows gives 1.
    """
    sizes = rows(views)
    if not views.names:
        return {"dcr_share": None, "nndr": None}
    space = Space.fit(views.train, rng)
    made = views.synthetic.draw(sizes["privacy_rows"], rng)
    train = views.train.draw(sizes["privacy_train_rows"], rng)
    holdout = views.holdout.draw(sizes["privacy_holdout_rows"], rng)
    near, second, ties = two_nearest(space, made, train)
    far, _, other_ties = two_nearest(space, made, holdout)
    usable = np.isfinite(second) & (second > 0)
    ratio = float(np.mean(np.sqrt(near[usable] / second[usable]))) if usable.any() else None
    if not len(holdout):
        return {"dcr_share": None, "nndr": ratio}
    share = float(np.mean(np.where(near == far, ties / np.maximum(ties + other_ties, 1), near < far)))
    odds_train, odds_holdout = share / len(train), (1 - share) / len(holdout)
    return {"dcr_share": odds_train / (odds_train + odds_holdout), "nndr": ratio}
