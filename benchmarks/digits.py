"""Handwritten digits that the benchmarks of pictures share: MNIST's test digits as the independent scorer splits them,
and scikit-learn's at the same size."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.codecs.image import from_levels
from synth.errors import InputError

SIDE, LEARNT = 28, 8000
FOLDER = "Folder of MNIST's test digits, the pair of idx.gz files"
Levels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Digits:
    """images (N, 1, H, W), labels (N,)."""

    images: Levels
    labels: Labels

    def take(self, rows: NDArray[np.int64] | slice) -> Digits:
        """Some of them."""
        return Digits(self.images[rows], self.labels[rows])

    def table(self, **columns: list[str]) -> pa.Table:
        """A column `image`, and the columns that are given; `label` where none is."""
        return pictures(self.images, **(columns or {"label": [str(label) for label in self.labels]}))


def pictures(images: Levels, **columns: list[Any]) -> pa.Table:
    """A column `image` of levels (N, C, H, W), and the columns that are given."""
    return pa.table({"image": from_levels(images, range(len(images))), **columns})


def labels_of(table: pa.Table) -> Labels:
    """(N,) of the column `label`."""
    return np.array([int(label) for label in table.column("label").to_pylist()], dtype=np.int64)


def mnist(folder: Path) -> tuple[Digits, Digits]:
    """The 8,000 digits to learn and the 2,000 unseen ones, of the idx.gz pair in a folder."""
    files = [folder / f"mnist-t10k-{name}-idx{dims}-ubyte.gz" for name, dims in (("images", 3), ("labels", 1))]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise InputError(f"--mnist {folder}: {missing[0].name} is not there")
    images, labels = (np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8) for file in files)
    pictures = images[16:].reshape(-1, 1, SIDE, SIDE)
    order = np.random.default_rng(0).permutation(len(pictures))
    whole = Digits(pictures[order], labels[8:].astype(np.int64)[order])
    return whole.take(slice(LEARNT)), whole.take(slice(LEARNT, None))


def small() -> Digits:
    """scikit-learn's 1,797 digits of 8 x 8 pixels and 17 levels, brought to 20 x 20 in the middle of 28 x 28."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.zeros((len(found.images), 1, SIDE, SIDE), dtype=np.uint8)
    for image, levels in zip(images, found.images, strict=True):
        picture = Image.fromarray(np.round(levels * 255 / 16).astype(np.uint8))
        image[0, 4:24, 4:24] = np.asarray(picture.resize((20, 20), Image.Resampling.BICUBIC))
    return Digits(images, found.target.astype(np.int64))


def psnr(made: Levels, real: Levels) -> float:
    """Peak signal-to-noise ratio in decibels, the mean over the pictures."""
    error = ((made.astype(np.float64) - real) ** 2).reshape(len(real), -1).mean(1)
    return float((10 * np.log10(255**2 / np.maximum(error, 1e-9))).mean())
