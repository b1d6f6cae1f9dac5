"""How each kind of column becomes tokens and back: one file per kind, found by its name.

A kind is one module with a class `Codec`, a subclass of `ColumnCodec`, and its name in `synth.schema.Kind`.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.conditions import Asked
from synth.errors import ConfigError
from synth.layout import ColumnLayout
from synth.schema import Column

Tokens = NDArray[np.int64]
Places = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]


class ColumnCodec(ABC):
    """One column between Arrow values and tokens 0 .. K-1. Its state is JSON and holds no row."""

    @classmethod
    @abstractmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Learn from the training values (N,)."""

    @abstractmethod
    def layout(self, name: str) -> ColumnLayout | None:
        """What a model is told; None where there is nothing to learn, and so no tokens."""

    @abstractmethod
    def encode(self, array: pa.Array) -> Tokens:
        """(N,) int64; a value that was not fitted becomes the nearest or the most frequent token."""

    def places(self, array: pa.Array, tokens: Tokens) -> Places:
        """(N,) float32, where inside its token each value lies, 0 to 1; 0.5 in a token of one single value."""
        return np.full(len(tokens), 0.5, dtype=np.float32)

    @abstractmethod
    def decode(
        self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator, places: Floats | None = None
    ) -> pa.Array:
        """Values for tokens (N,), the global row numbers (N,) and the places inside the tokens (N,), drawn uniformly
        where there are none; in the column's Arrow type or, where that is a dictionary or a view, in the plain type of
        its values."""

    def log_density(self, array: pa.Array, tokens: Tokens) -> NDArray[np.float64]:
        """(N,) log density of each value inside its token, in the column's own unit; 0 in one single value."""
        return np.zeros(len(tokens))

    def spans(self, name: str, asked: Asked) -> Floats:
        """(K, 2) float64, from where to where inside each token a value is as asked; (1, 0) where none is.

        ConfigError names the column where nothing can be asked of it, or where no value is so.
        """
        raise ConfigError(f"where: {name!r} is of a kind that is made anew, not learnt; no condition can be put on it")

    @abstractmethod
    def with_counts(self, counts: NDArray[np.int64]) -> Self:
        """The same tokens, (K,) of which there are so many rows."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything that `from_state` needs, as JSON."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave; `dtype` is the Arrow type of the column."""


def kinds() -> list[str]:
    """Names of all kinds of column: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def codec(kind: str) -> type[ColumnCodec]:
    """The codec of a kind; ConfigError lists the kinds where there is none."""
    if kind not in kinds():
        raise ConfigError(f"kind {kind!r} is unknown; there are: {', '.join(kinds())}")
    found: type[ColumnCodec] = importlib.import_module(f"{__name__}.{kind}").Codec
    return found


def flat(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous array of plain values: no dictionary, no view, no NaN beside the nulls."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        return array.cast(pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary())
    if pa.types.is_floating(array.type):
        nan = pc.fill_null(pc.is_nan(array), False)
        return pc.if_else(nan, pa.scalar(None, array.type), array) if pc.any(nan).as_py() else array
    return array


def nan_share(array: pa.Array) -> float:
    """Share of NaN among the nulls and NaN of floats; 0 where there is neither, and for other types."""
    if not pa.types.is_floating(array.type):
        return 0.0
    nan = pc.sum(pc.is_nan(array)).as_py() or 0
    return float(nan / (nan + array.null_count)) if nan else 0.0


def with_nan(array: pa.Array, share: float, rng: np.random.Generator) -> pa.Array:
    """The floats with NaN in the place of this share of the nulls."""
    if not share:
        return array
    chosen = np.asarray(pc.is_null(array)) & (rng.random(len(array)) < share)
    return pc.if_else(pa.array(chosen), pa.scalar(float("nan"), array.type), array)
