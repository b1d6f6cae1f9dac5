"""Attacks on the synthetic rows, one file each: what who holds them can find out about the rows learnt from."""

from __future__ import annotations

import numpy as np

from synth.evaluation.attacks import (
    attribute_inference,
    linkability,
    membership,
    near_identical,
    outliers,
    singling_out,
)
from synth.evaluation.attacks.rates import Rate
from synth.evaluation.encoding import Views

ATTACKS = (membership, singling_out, linkability, attribute_inference, near_identical, outliers)
METRICS = tuple(metric for module in ATTACKS for metric in module.METRICS)


def attack(views: Views, seed: np.random.SeedSequence) -> dict[str, Rate | None]:
    """All figures of `METRICS` for `views.synthetic`; each attack has a seed of its own."""
    found: dict[str, Rate | None] = {}
    for module, own in zip(ATTACKS, seed.spawn(len(ATTACKS)), strict=True):
        found |= module.attack(views, np.random.default_rng(own))
    return found


def rows(views: Views) -> dict[str, int]:
    """How many rows each attack looks at."""
    return {name: count for module in ATTACKS for name, count in module.rows(views).items()}
