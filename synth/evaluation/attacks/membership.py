"""Membership inference: whether a person's row was learnt from, told from the synthetic rows alone."""

from __future__ import annotations

import numpy as np

from synth.evaluation.attacks.rates import LEAST, Rate, ranked, true_positive_rate
from synth.evaluation.encoding import Floats, View, Views
from synth.evaluation.metric import Metric
from synth.evaluation.neighbours import Space, nearest

MEMBERS = 5_000  # training rows that are attacked
REFERENCE = 5_000  # unseen rows of each half: the reference of one, the non-members of the other
SYNTHETIC = 100_000
TINY = 1e-9  # squared distance below which two rows are the same

UNDEFINED = f"no column to compare or fewer than {LEAST} unseen real rows"
METRICS = (
    Metric(
        "membership_tpr_1",
        "lower",
        "Members found, 1 % false",
        "Share of the training rows that a density-ratio attack recognises while it takes at most 1 % of unseen rows "
        "for training rows: 1 % is chance.",
        UNDEFINED,
    ),
    Metric(
        "membership_tpr_01",
        "lower",
        "Members found, 0.1 % false",
        "The same with at most 0.1 % of unseen rows taken for training rows.",
        UNDEFINED,
    ),
    Metric(
        "membership_auc",
        "target",
        "Members told from others",
        "Area under the ROC curve of that attack: 0.5 is chance, 1 tells every training row from an unseen one.",
        UNDEFINED,
        target=0.5,
    ),
)


def attack(views: Views, rng: np.random.Generator) -> dict[str, Rate | None]:
    """All figures of `METRICS`; None where there is nothing to compare with.

    A row's score is the density of synthetic rows over that of the population at its place, in the manner of DOMIAS
    (van Breugel et al. 2023), the densities by the distance to the nearest row: with a row's copy among the synthetic
    ones it has no bound. The population is seen through unseen rows: one half of the holdout is the reference for the
    other half, the non-members, and for half of the members, and the other way round.
    """
    if not views.names or len(views.holdout) < LEAST:
        return dict.fromkeys((metric.name for metric in METRICS), None)
    space = Space.fit(views.synthetic, rng)
    synthetic = views.synthetic.draw(SYNTHETIC, rng)
    members, others = views.train.draw(MEMBERS, rng), views.holdout.draw(2 * REFERENCE, rng)
    sides = np.array_split(rng.permutation(len(others)), 2)
    halves = np.array_split(rng.permutation(len(members)), 2)
    scores: tuple[list[Floats], list[Floats]] = ([], [])
    for own, other, part in zip(sides, sides[::-1], halves, strict=True):
        reference = others.take(other[: len(others) // 2])
        for rows, found in zip((members.take(part), others.take(own)), scores, strict=True):
            found.append(density_ratio(space, rows, synthetic, reference))
    inside, outside = (np.concatenate(found) for found in scores)
    return {
        "membership_tpr_1": true_positive_rate(inside, outside, 0.01),
        "membership_tpr_01": true_positive_rate(inside, outside, 0.001),
        "membership_auc": ranked(inside, outside),
    }


def density_ratio(space: Space, rows: View, synthetic: View, reference: View) -> Floats:
    """(n,) Logarithm of a squared distance ratio: to the nearest reference row over to the nearest synthetic one."""
    if not len(rows):
        return np.zeros(0)
    near, far = (nearest(space, rows, others)[1][:, 0] for others in (synthetic, reference))
    return np.log(far + TINY) - np.log(near + TINY)


def rows(views: Views) -> dict[str, int]:
    """How many rows the attack looks at."""
    return {
        "membership_members": min(len(views.train), MEMBERS),
        "membership_others": min(len(views.holdout), 2 * REFERENCE),
        "membership_synthetic_rows": min(len(views.synthetic), SYNTHETIC),
    }
