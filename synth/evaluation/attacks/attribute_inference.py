"""Attribute inference: guessing what is not known of a person from the synthetic row nearest to what is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.attacks.rates import LEAST, Rate, advantage
from synth.evaluation.encoding import View, Views
from synth.evaluation.metric import Metric
from synth.evaluation.neighbours import Space, nearest, paired

TARGETS = 4_000  # training rows, and as many unseen ones, dealt out among the secrets
SYNTHETIC = 100_000
CLOSE = 0.01  # a guessed number is right within so much of the rows, to both sides

METRICS = (
    Metric(
        "attribute_inference",
        "lower",
        "Secrets guessed",
        "How much more often the nearest synthetic row tells the missing value of a training row than that of an "
        "unseen row, every column in turn being the missing one: 0 is chance, 1 is always.",
        f"fewer than two columns to compare or fewer than {LEAST} unseen real rows",
        low=None,
    ),
)


def attack(views: Views, rng: np.random.Generator) -> dict[str, Rate | None]:
    """The figure of `METRICS`.

    As Giomi et al. 2023: the guess is the value of the nearest synthetic row in all other columns. What holds of the
    population is guessed of unseen rows as well and is no leak. Every column is a secret in turn: a category is guessed
    right when it is the same, a number when it is CLOSE.
    """
    if len(views.names) < 2 or len(views.holdout) < LEAST:
        return {"attribute_inference": None}
    space = Space.fit(views.synthetic, rng)
    synthetic = views.synthetic.draw(SYNTHETIC, rng)
    counts = {}
    for role in ("train", "holdout"):
        view = getattr(views, role).draw(TARGETS, rng)
        deal = np.array_split(rng.permutation(len(view)), len(views.names))
        hits = [
            guessed(space, view.take(part), synthetic, secret, views).sum()
            for secret, part in zip(views.names, deal, strict=True)
        ]
        counts[role] = int(sum(hits)), len(view)
    return {"attribute_inference": advantage(*counts["train"], *counts["holdout"])}


def guessed(
    space: Space, rows: View, synthetic: View, secret: str, views: Views, close: float = CLOSE
) -> NDArray[np.bool_]:
    """(n,) Whether the nearest synthetic row in all other columns has the secret of each row.

    close: how far apart two equal numbers may be, as a share of the rows
    """
    known = views.places([name for name in views.names if name != secret])
    places, _ = nearest(space.select(known[0]), rows.select(*known), synthetic.select(*known))
    hidden = views.places([secret])
    guesses = synthetic.take(places[:, 0]).select(*hidden)
    return np.asarray(paired(space.select(hidden[0]), rows.select(*hidden), guesses) <= close**2)


def rows(views: Views) -> dict[str, int]:
    """How many rows the attack looks at."""
    return {
        "attribute_inference_targets": min(len(views.train), TARGETS),
        "attribute_inference_controls": min(len(views.holdout), TARGETS),
        "attribute_inference_synthetic_rows": min(len(views.synthetic), SYNTHETIC),
    }
