"""Small real pictures that several rooms' tests share: scikit-learn's handwritten digits, 8 x 8 grey levels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from sklearn.datasets import load_digits

from synth.codecs.image import from_levels


def levels() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 1, 8, 8) uint8 and their digits (1797,)."""
    found = load_digits()
    return np.round(found.images * (255 / 16)).astype(np.uint8)[:, None], found.target


def write(folder: Path, rows: Iterable[int]) -> None:
    """The digits of these rows as PNG, a sub-folder for each label."""
    images, digits = levels()
    for row in rows:
        place = folder / str(digits[row])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row, 0]).save(place / f"{row:04d}.png")


def table(rows: int | None = None) -> pa.Table:
    """A column `image` and a column `label`."""
    images, digits = levels()
    labels = pa.array([str(digit) for digit in digits[:rows]])
    return pa.table({"image": from_levels(images[:rows], range(len(labels))), "label": labels})
