"""Linkability: whether two parts of a person's row find the same synthetic row (Giomi et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.attacks.rates import LEAST, Rate, advantage
from synth.evaluation.encoding import View, Views
from synth.evaluation.learners import spread_sample
from synth.evaluation.metric import Metric
from synth.evaluation.neighbours import RANK_ROWS, Space, nearest

TARGETS = 2_000  # training rows, and as many unseen ones
NEIGHBOURS = 5
SYNTHETIC = 100_000

METRICS = (
    Metric(
        "linkability",
        "lower",
        "Parts of a row linked",
        "How much more often two halves of the columns of a training row share one of their nearest synthetic rows "
        "than those of an unseen row: 0 is chance, 1 is always.",
        f"fewer than two columns to compare or fewer than {LEAST} unseen real rows",
        low=None,
    ),
)


def attack(views: Views, rng: np.random.Generator) -> dict[str, Rate | None]:
    """The figure of `METRICS`. The synthetic rows are in random order: of equally near ones any may be found."""
    if len(views.names) < 2 or len(views.holdout) < LEAST:
        return {"linkability": None}
    space = Space.fit(views.synthetic, rng)
    synthetic = views.synthetic.take(spread_sample(len(views.synthetic), SYNTHETIC, rng))
    parts = [views.places(names) for names in halves(views, rng)]
    counts = {}
    for role in ("train", "holdout"):
        view = getattr(views, role).draw(TARGETS, rng)
        counts[role] = int(linked(space, view, synthetic, parts).sum()), len(view)
    return {"linkability": advantage(*counts["train"], *counts["holdout"])}


def linked(
    space: Space, rows: View, synthetic: View, parts: Sequence[tuple[list[int], list[int]]]
) -> NDArray[np.bool_]:
    """(n,) Whether both parts of a row have one of their nearest synthetic rows in common."""
    k = min(NEIGHBOURS, len(synthetic))
    one, other = (
        nearest(space.select(numbers), rows.select(numbers, codes), synthetic.select(numbers, codes), k)[0]
        for numbers, codes in parts
    )
    return np.asarray((one[:, :, None] == other[:, None, :]).any(axis=(1, 2)))


def halves(views: Views, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns in two parts that tell as much: dealt out in turn, those with the most different values first."""
    drawn = views.synthetic.draw(RANK_ROWS, rng)
    columns = [*drawn.numbers.T, *drawn.codes.T]
    values = {name: len(np.unique(column)) for name, column in zip(views.names, columns, strict=True)}
    order = sorted(views.names, key=lambda name: -values[name])
    return tuple(order[::2]), tuple(order[1::2])


def rows(views: Views) -> dict[str, int]:
    """How many rows the attack looks at."""
    return {
        "linkability_targets": min(len(views.train), TARGETS),
        "linkability_controls": min(len(views.holdout), TARGETS),
        "linkability_synthetic_rows": min(len(views.synthetic), SYNTHETIC),
    }
