"""Small real pictures that several rooms' tests share: scikit-learn's handwritten digits, 8 x 8 grey levels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_digits

from synth.codecs.image import from_levels


def levels() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 1, 8, 8) uint8 and their digits (1797,)."""
    found = load_digits()
    return np.round(found.images * (255 / 16)).astype(np.uint8)[:, None], found.target


def table(rows: int | None = None) -> pa.Table:
    """A column `image` and a column `label`."""
    images, digits = levels()
    labels = pa.array([str(digit) for digit in digits[:rows]])
    return pa.table({"image": from_levels(images[:rows], range(len(labels))), "label": labels})
