"""Outliers: whether the people who are like nobody else are imitated, where a table as a whole hides it."""

from __future__ import annotations

import numpy as np

from synth.evaluation.attacks.rates import LEAST, Rate, advantage
from synth.evaluation.encoding import Floats, View, Views
from synth.evaluation.metric import Metric
from synth.evaluation.neighbours import Space, nearest

ISOLATED = 0.01  # share of the rows that are outliers
FEWEST = 50  # unseen outliers, where there are twice as many rows: the share is larger where 1 % are fewer
CANDIDATES = 50_000  # rows of each table that outliers are looked for among
REFERENCE = 2_000  # unseen rows that a row is isolated from
NEAR = 0.05  # share of unseen outliers that a synthetic row is that near to
SYNTHETIC = 100_000

METRICS = (
    Metric(
        "outliers",
        "lower",
        "Outliers imitated",
        "How much more often a synthetic row lies close to one of the most isolated 1 % of the training rows than to "
        "one of the most isolated unseen rows; close is what 5 % of the latter have. 0 is chance, 1 is always.",
        f"no column to compare or fewer than {LEAST} unseen real rows",
        low=None,
    ),
)


def attack(views: Views, rng: np.random.Generator) -> dict[str, Rate | None]:
    """The figure of `METRICS`. Isolation is the distance to the nearest of a few unseen rows, the same for both."""
    if not views.names or len(views.holdout) < LEAST:
        return {"outliers": None}
    space = Space.fit(views.synthetic, rng)
    synthetic, train = views.synthetic.draw(SYNTHETIC, rng), views.train.draw(CANDIDATES, rng)
    order = rng.permutation(len(views.holdout))
    reference, others = np.split(order, [min(REFERENCE, len(order) // 2)])
    control, unseen = views.holdout.take(others[:CANDIDATES]), views.holdout.take(reference)
    share = max(ISOLATED, min(0.5, FEWEST / len(control)))
    near, far = (_distances(space, view, unseen, synthetic, share) for view in (train, control))
    radius = np.quantile(far, NEAR, method="lower")
    return {"outliers": advantage(int((near <= radius).sum()), len(near), int((far <= radius).sum()), len(far))}


def _distances(space: Space, view: View, unseen: View, synthetic: View, share: float) -> Floats:
    """(m,) Distance of the rows farthest from all `unseen` ones to the nearest synthetic row."""
    isolation = nearest(space, view, unseen)[1][:, 0]
    outliers = view.take(np.argsort(-isolation, kind="stable")[: max(1, round(share * len(view)))])
    return nearest(space, outliers, synthetic)[1][:, 0]


def rows(views: Views) -> dict[str, int]:
    """How many rows the attack looks at."""
    return {
        "outliers_candidates": min(len(views.train), CANDIDATES),
        "outliers_synthetic_rows": min(len(views.synthetic), SYNTHETIC),
    }
