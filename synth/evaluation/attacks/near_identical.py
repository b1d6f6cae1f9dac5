"""Near-identical rows: synthetic rows that are a training row but for a trifle, beyond chance."""

from __future__ import annotations

import numpy as np

from synth.evaluation.attacks.rates import LEAST, Rate, advantage
from synth.evaluation.encoding import Views
from synth.evaluation.metric import Metric
from synth.evaluation.neighbours import Space, nearest

MADE = 5_000  # synthetic rows that are looked at
REAL = 50_000  # training rows, and as many unseen ones
NEAR = 0.01  # share of unseen rows that are so near to a training row: the radius

METRICS = (
    Metric(
        "near_identical",
        "lower",
        "Near-identical rows",
        "How much more often a synthetic row is nearly equal to a training row than to an unseen one, of equally many; "
        "nearly equal is as near as the nearest 1 % of unseen rows are to training rows. 0 is chance.",
        f"no column to compare or fewer than {LEAST} unseen real rows",
        low=None,
    ),
)


def attack(views: Views, rng: np.random.Generator) -> dict[str, Rate | None]:
    """The figure of `METRICS`; rows that are equal count as well."""
    if not views.names or len(views.holdout) < LEAST:
        return {"near_identical": None}
    space = Space.fit(views.synthetic, rng)
    count = min(len(views.train), len(views.holdout), REAL)
    train, holdout = views.train.draw(count, rng), views.holdout.draw(count, rng)
    made = views.synthetic.draw(MADE, rng)
    apart = nearest(space, holdout.draw(MADE, rng), train)[1]
    radius = np.quantile(apart, NEAR, method="higher")
    hits, control_hits = (int((nearest(space, made, real)[1] <= radius).sum()) for real in (train, holdout))
    return {"near_identical": advantage(hits, len(made), control_hits, len(made))}


def rows(views: Views) -> dict[str, int]:
    """How many rows the attack looks at."""
    return {
        "near_identical_rows": min(len(views.synthetic), MADE),
        "near_identical_real_rows": min(len(views.train), len(views.holdout), REAL),
    }
