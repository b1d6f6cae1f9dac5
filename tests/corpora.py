"""Small labelled texts with a known grammar, and a file of passages."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

SOUNDS = {"cat": ["meow", "purr", "hiss"], "dog": ["bark", "growl", "whine"]}


def labelled(rows: int, seed: int = 0) -> pa.Table:
    """Columns animal, text and weight: what it says follows from the animal, and so does its weight."""
    rng = np.random.default_rng(seed)
    animals = [("cat", "dog")[place] for place in rng.integers(2, size=rows)]
    texts = [f"the {a} says {_said(a, rng)} at {rng.integers(24)}:{rng.integers(60):02d}" for a in animals]
    weights = [int(rng.normal({"cat": 4, "dog": 20}[animal], 1)) for animal in animals]
    return pa.table({"animal": animals, "text": texts, "weight": weights})


def _said(animal: str, rng: np.random.Generator) -> str:
    return " and ".join(rng.choice(SOUNDS[animal], rng.integers(1, 4)))


def grammatical(text: str) -> bool:
    """Whether a text is one that `labelled` could make."""
    said = "|".join(SOUNDS["cat"]), "|".join(SOUNDS["dog"])
    form = rf"the (cat says ({said[0]})( and ({said[0]}))*|dog says ({said[1]})( and ({said[1]}))*)"
    return re.fullmatch(form + r" at (1?\d|2[0-3]):[0-5]\d", text) is not None
