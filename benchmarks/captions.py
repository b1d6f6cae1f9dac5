"""Captions of handwritten digits by what is measured in them, and how far drawn pictures keep to theirs.

A digit is small or large (as it was put on the canvas), thin or thick, and leans to the left, is upright or leans to
the right; which of it a caption says is chosen at random. Some combinations are held out of the training. A scene has
two digits beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion, zoom

from benchmarks.digits import SIDE, Digits, Levels

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIZES, WEIGHTS, SLANTS = ("small", "large"), ("thin", "thick"), ("leaning left", "upright", "leaning right")
SCALES = {"small": (0.5, 0.62), "large": (0.88, 1.0)}  # of MNIST's own size
SAID = 0.8  # share of the captions that say an attribute
CLEAR = 0.1  # share of the digits on each side of a border of two attributes of which neither is said
HELD_OUT = 6  # digits of which one combination of size and weight is in no picture of the training

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Borders:
    """Where one attribute becomes another: of the weight (thin below), and two of the slant."""

    weight: float
    slant: tuple[float, float]
    unclear_weight: tuple[float, float]
    unclear_slant: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def of(cls, images: Levels) -> Borders:
        """Equal parts of real digits."""
        weight, slant = measured(images)
        near = [(share - CLEAR, share + CLEAR) for share in (1 / 2, 1 / 3, 2 / 3)]
        first, second, third = (
            np.quantile(values, pair) for values, pair in zip((weight, slant, slant), near, strict=True)
        )
        return cls(
            float(np.median(weight)),
            (float(np.quantile(slant, 1 / 3)), float(np.quantile(slant, 2 / 3))),
            (float(first[0]), float(first[1])),
            ((float(second[0]), float(second[1])), (float(third[0]), float(third[1]))),
        )


def measured(images: Levels) -> tuple[Floats, Floats]:
    """(N,) width of the strokes as a share of the digit's height, and (N,) slant, as horizontal per vertical."""
    weights, slants = [], []
    for image in images[:, 0]:
        ink = np.array(zoom(image / 255.0, 4, order=1) > 0.5, ndmin=2)
        if ink.sum() < 10:
            weights.append(0.0)
            slants.append(0.0)
            continue
        border = ink & ~np.asarray(binary_erosion(ink), dtype=bool)
        high = np.ptp(np.flatnonzero(ink.any(1))) + 1
        weights.append(2 * ink.sum() / max(border.sum(), 1) / high)
        rows, columns = np.nonzero(ink)
        rows, columns = rows - rows.mean(), columns - columns.mean()
        slants.append(-(rows * columns).mean() / max((rows**2).mean(), 1e-9))
    return np.array(weights), np.array(slants)


def height(images: Levels) -> Floats:
    """(N,) rows that have ink, as a share of the canvas."""
    ink: NDArray[np.bool_] = np.any(images[:, 0] > 127, axis=2)
    first, last = ink.argmax(1), ink.shape[1] - 1 - ink[:, ::-1].argmax(1)
    return np.where(ink.any(1), (last - first + 1) / ink.shape[1], 0.0)


@dataclass(frozen=True)
class Attributes:
    """What holds of each of N digits, as places in the tuples of words; -1 where it is not clear."""

    digit: NDArray[np.int64]
    size: NDArray[np.int64]
    weight: NDArray[np.int64]
    slant: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Attributes:
        """Of some of them."""
        return Attributes(self.digit[rows], self.size[rows], self.weight[rows], self.slant[rows])


def seen(images: Levels, digit: NDArray[np.int64], borders: Borders, *, clear: bool) -> Attributes:
    """The attributes measured in pictures; what is near a border is -1 where only the clear is wanted."""
    weight, slant = measured(images)
    size = (height(images) > 0.5).astype(np.int64)
    of_weight = (weight > borders.weight).astype(np.int64)
    of_slant = (slant > borders.slant[0]).astype(np.int64) + (slant > borders.slant[1])
    if clear:
        of_weight[(weight > borders.unclear_weight[0]) & (weight < borders.unclear_weight[1])] = -1
        for low, high in borders.unclear_slant:
            of_slant[(slant > low) & (slant < high)] = -1
    return Attributes(digit, size, of_weight, of_slant)


def resized(digits: Digits, rng: np.random.Generator) -> Digits:
    """Every digit small or large, in the middle of the canvas."""
    images = np.zeros_like(digits.images)
    for image, source in zip(images, digits.images[:, 0], strict=True):
        low, high = SCALES[SIZES[rng.integers(2)]]
        side = round(SIDE * rng.uniform(low, high))
        start = (SIDE - side) // 2
        small = Image.fromarray(source).resize((side, side), Image.Resampling.BICUBIC)
        image[0, start : start + side, start : start + side] = np.asarray(small)
    return Digits(images, digits.labels)


def held_out(seed: int = 0) -> list[tuple[int, int, int]]:
    """Combinations of digit, size and weight."""
    rng = np.random.default_rng(seed)
    digits = rng.permutation(10)[:HELD_OUT]
    return sorted((int(digit), int(rng.integers(2)), int(rng.integers(2))) for digit in digits)


def is_held_out(found: Attributes, combinations: Sequence[tuple[int, int, int]]) -> NDArray[np.bool_]:
    """(N,) whether digits are, or may be, of a held-out combination."""
    out = np.zeros(len(found.digit), dtype=bool)
    for digit, size, weight in combinations:
        out |= (found.digit == digit) & (found.size == size) & ((found.weight == weight) | (found.weight == -1))
    return out


def caption(said: Mapping[str, int]) -> str:
    """Of attributes by name, of which all but the digit may be missing."""
    words = ["a"]
    words += [SIZES[said["size"]]] if "size" in said else []
    words += [WEIGHTS[said["weight"]]] if "weight" in said else []
    words.append(NAMES[said["digit"]])
    words += [SLANTS[said["slant"]]] if "slant" in said else []
    return " ".join(words)


def chosen(found: Attributes, rng: np.random.Generator, said: float = SAID) -> list[dict[str, int]]:
    """What captions say of each digit."""
    rows = []
    for i in range(len(found.digit)):
        clear = {name: int(getattr(found, name)[i]) for name in ("size", "weight", "slant")}
        told = {name: value for name, value in clear.items() if value >= 0 and rng.random() < said}
        rows.append({"digit": int(found.digit[i]), **told})
    return rows


def kept(asked: Sequence[Mapping[str, int]], found: Attributes) -> dict[str, float]:
    """Share of the pictures in which what was asked for is measured: of each attribute, and all that a caption says."""
    right: dict[str, list[bool]] = {}
    whole = []
    for i, said in enumerate(asked):
        agrees = {name: int(getattr(found, name)[i]) == value for name, value in said.items()}
        whole.append(all(agrees.values()))
        for name, same in agrees.items():
            right.setdefault(name, []).append(same)
    shares = {name: round(float(np.mean(values)), 4) for name, values in right.items()}
    return {**shares, "all": round(float(np.mean(whole)), 4)}
