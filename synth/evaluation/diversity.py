"""Diversity: whether the synthetic rows reach everywhere that real rows are, rare values included."""

from __future__ import annotations

import numpy as np

from synth.evaluation.encoding import Views
from synth.evaluation.metric import Figures, Metric
from synth.evaluation.neighbours import Space, distances, radii
from synth.evaluation.privacy import row_keys

ROWS = 4_000  # rows of each side whose neighbourhoods are compared
K = 5  # neighbours that make a neighbourhood

_FEW = "fewer than 7 unseen real rows or synthetic rows, or no column to compare"
METRICS = (
    Metric(
        "precision",
        "higher",
        "Precision",
        "Share of synthetic rows that lie where real rows lie.",
        _FEW,
    ),
    Metric(
        "recall",
        "higher",
        "Recall",
        "Share of real rows that lie where synthetic rows lie.",
        _FEW,
    ),
    Metric(
        "density",
        "target",
        "Density",
        "How many real neighbourhoods a synthetic row falls into, 1 being what real rows reach on average.",
        _FEW,
        target=1.0,
        high=None,
    ),
    Metric(
        "coverage",
        "higher",
        "Coverage",
        "Share of real rows that have a synthetic row among their nearest neighbours.",
        _FEW,
    ),
    Metric(
        "category_coverage",
        "higher",
        "Categories kept",
        "Share of the values of categories in the training rows, rare ones included, that the synthetic rows show. "
        "More rows show more values.",
        "no category has two different values among the training rows",
    ),
    Metric(
        "duplicate_share",
        "target",
        "Repeated rows",
        "Share of synthetic rows that repeat another synthetic row; the floor says how often real rows do.",
        "no column to compare",
    ),
)


def measure(views: Views, rng: np.random.Generator) -> Figures:
    """All figures of `METRICS`; None where one is undefined."""
    return {
        **neighbourhoods(views, rng),
        "category_coverage": category_coverage(views),
        "duplicate_share": duplicate_share(views, rng),
    }


def rows(views: Views) -> dict[str, int]:
    """How many rows of each side the neighbourhoods are read from."""
    return {"neighbour_rows": min(len(views.holdout), len(views.synthetic), ROWS)}


def neighbourhoods(views: Views, rng: np.random.Generator) -> Figures:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), k = 5.

    A neighbourhood is the ball around a row that reaches to its k-th neighbour of the same table; real rows are the
    holdout, and both sides have as many rows. On tables with many equal rows a ball may have radius 0, and holds the
    rows that are equal.
    """
    count = rows(views)["neighbour_rows"]
    names = ("precision", "recall", "density", "coverage")
    if count < K + 2 or not views.names:
        return dict.fromkeys(names)
    space = Space.fit(views.train, rng)
    real, made = views.holdout.draw(count, rng), views.synthetic.draw(count, rng)
    reach, reach_made = radii(space, real, K), radii(space, made, K)
    inside = np.zeros(count)  # real balls around each synthetic row
    recalled, covered = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for part, found in distances(space, made, real):  # (chunk, n)
        within = found <= reach
        inside[part] = within.sum(axis=1)
        covered |= within.any(axis=0)
        recalled |= (found <= reach_made[part, None]).any(axis=0)
    return {
        "precision": float((inside > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(inside.mean() / K),
        "coverage": float(covered.mean()),
    }


def category_coverage(views: Views) -> float | None:
    """Mean over the categories of the share of train's values that synthetic has, 0 to 1."""
    shares = []
    for real, made in zip(views.train.codes.T, views.synthetic.codes.T, strict=True):
        known = np.unique(real)
        shares.append(float(np.isin(known, made).mean()))
    return float(np.mean(shares)) if shares else None


def duplicate_share(views: Views, rng: np.random.Generator) -> float | None:
    """Share of rows with an equal row before them, among as many synthetic rows as the holdout has."""
    if not views.names:
        return None
    count = min(len(views.synthetic), len(views.holdout) or len(views.synthetic))
    return 1 - len(np.unique(row_keys(views.synthetic.draw(count, rng)))) / count
