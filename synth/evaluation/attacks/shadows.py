"""Membership inference by shadow models: a deeper attack, for who can train the generator many times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from synth.errors import InputError
from synth.evaluation.attacks.membership import TINY
from synth.evaluation.attacks.rates import LEAST, Rate, ranked, true_positive_rate
from synth.evaluation.encoding import Floats, View, Views
from synth.evaluation.neighbours import Space, nearest

TARGETS = 5_000  # members, and as many non-members
SPREAD = 0.1  # least deviation of the statistic: shadows that all agree are not certain

Flags = NDArray[np.bool_]


def attack(
    fit_and_sample: Callable[[View], View], views: Views, shadows: int, rng: np.random.Generator
) -> dict[str, Rate]:
    """The likelihood-ratio attack (LiRA, Carlini et al. 2022, algorithm 1, online) on `views.synthetic`.

    fit_and_sample: trains the generator anew on rows and returns synthetic rows, as many as `views.synthetic` has
    shadows: how often, an even number; 16 tell something, the paper takes 256

    What stands for a model's loss on a row is the logarithm of its distance to the nearest synthetic row. Each shadow
    learns from a random half of the attacked rows, and each row is learnt by half of the shadows. What these show is
    taken for Gaussian, and so is what the others show, with one deviation for all rows (the paper's way with few
    shadows); the score is the likelihood ratio of what `views.synthetic` shows. Members are training rows, non-members
    the holdout. Returns `shadow_tpr_1`, `shadow_tpr_01` and `shadow_auc`; InputError where there are too few rows.
    """
    if shadows < 2 or shadows % 2:
        raise InputError(f"shadows: found {shadows}, expected an even number, so that half of them learn each row")
    if not views.names or len(views.holdout) < LEAST:
        raise InputError(f"holdout: found {len(views.holdout):,} unseen rows with columns to compare, at least {LEAST}")
    count = min(len(views.train), len(views.holdout), TARGETS)
    members, others = views.train.draw(count, rng), views.holdout.draw(count, rng)
    rows = View(np.vstack([members.numbers, others.numbers]), np.vstack([members.codes, others.codes]))
    space = Space.fit(views.synthetic, rng)
    learnt = rng.permuted(np.arange(shadows)[:, None] % 2 == np.zeros((1, len(rows))), axis=0)  # (S, n)
    shown = [statistic(space, rows, fit_and_sample(rows.take(np.flatnonzero(part)))) for part in learnt]
    score = likelihood_ratio(statistic(space, rows, views.synthetic), np.stack(shown), learnt)
    return {
        "shadow_tpr_1": true_positive_rate(score[:count], score[count:], 0.01),
        "shadow_tpr_01": true_positive_rate(score[:count], score[count:], 0.001),
        "shadow_auc": ranked(score[:count], score[count:]),
    }


def statistic(space: Space, rows: View, synthetic: View) -> Floats:
    """(n,) Logarithm of the squared distance of each row to the nearest synthetic one."""
    return np.log(nearest(space, rows, synthetic)[1][:, 0] + TINY)


def likelihood_ratio(found: Floats, shown: Floats, learnt: Flags) -> Floats:
    """(n,) Logarithm of p(found | learnt) / p(found | not learnt), up to a constant.

    found: (n,). shown: (S, n), what each shadow shows of each row; learnt: (S, n), whether it learnt it.
    """
    squares = []
    for part in (learnt, ~learnt):
        mean = np.where(part, shown, 0).sum(axis=0) / part.sum(axis=0)
        deviation = max(float(np.std((shown - mean)[part])), SPREAD)
        squares.append(((found - mean) / deviation) ** 2)
    ratio: Floats = (squares[1] - squares[0]) / 2
    return ratio
