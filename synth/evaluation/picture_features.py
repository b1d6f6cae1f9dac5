"""Pictures as vectors: the last hidden layer of one fixed network that tells handwritten digits apart.

The network is that of `benchmarks/feature_net.py`, which trained it once; its weights are a part of the project, held
against a digest, so that figures of different models can be compared. It runs without torch. Pictures of any size are
brought to 28 x 28 grey levels; of things that are no digits the features are less telling, but the same for real and
synthetic ones.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from safetensors.numpy import load

from synth.errors import FormatError
from synth.imaging import opened, pillow

WEIGHTS = Path(__file__).parent / "picture_features.safetensors"
DIGEST = "abf8e65e3f5708190fe1ba9dc5c3197f4e0315f5444287dbcc47af9feaebe04c"
SIDE, FEATURES = 28, 32
BATCH = 500

Floats32 = NDArray[np.float32]


def features(pictures: pa.ChunkedArray) -> NDArray[np.float64]:
    """(N, FEATURES) of a column of encoded images; NaN where there is none."""
    found = np.full((len(pictures), FEATURES), np.nan)
    raws = [None if entry is None else entry["bytes"] for entry in pictures.to_pylist()]
    there = np.flatnonzero([raw is not None for raw in raws])
    for start in range(0, len(there), BATCH):
        part = there[start : start + BATCH]
        found[part] = _forward(np.stack([_levels(raws[place], place) for place in part]))
    return found


def _levels(raw: bytes, place: int) -> Floats32:
    """(SIDE, SIDE) from 0 to 1."""
    picture = opened(raw, f"picture {place}").convert("L")
    if picture.size != (SIDE, SIDE):
        picture = picture.resize((SIDE, SIDE), pillow().Resampling.BILINEAR)
    return np.asarray(np.asarray(picture) / np.float32(255), dtype=np.float32)


def _forward(x: Floats32) -> Floats32:
    """(B, SIDE, SIDE) -> (B, FEATURES): two convolutions with rectifiers and pooling, one dense layer without."""
    weights = _weights()
    hidden = x[:, :, :, None]
    for layer in ("first", "second"):
        hidden = _pooled(np.maximum(_convolved(hidden, weights[f"{layer}.weight"], weights[f"{layer}.bias"]), 0))
    flat = hidden.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return np.asarray(flat @ weights["dense.weight"].T + weights["dense.bias"])


def _convolved(x: Floats32, weight: Floats32, bias: Floats32) -> Floats32:
    """(B, H, W, I) by (O, I, 3, 3) -> (B, H, W, O), the border padded with zeros."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))  # (B, H, W, I, 3, 3)
    kernel = weight.transpose(1, 2, 3, 0).reshape(-1, len(weight))
    B, H, W = x.shape[:3]
    return np.asarray((windows.reshape(B * H * W, -1) @ kernel + bias).reshape(B, H, W, -1))


def _pooled(x: Floats32) -> Floats32:
    """(B, H, W, C) -> (B, H / 2, W / 2, C), the greatest of four."""
    B, H, W, C = x.shape
    return np.asarray(x.reshape(B, H // 2, 2, W // 2, 2, C).max(axis=(2, 4)))


@cache
def _weights() -> dict[str, Floats32]:
    raw = WEIGHTS.read_bytes()
    if hashlib.sha256(raw).hexdigest() != DIGEST:
        raise FormatError(f"{WEIGHTS.name}: its digest is not the one that figures are compared by; install anew")
    return {name: values.astype(np.float32) for name, values in load(raw).items()}
