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
from numpy.typing import NDArray

from synth.errors import ConfigError
from synth.layout import ColumnLayout
from synth.schema import Column

Tokens = NDArray[np.int64]


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

    @abstractmethod
    def decode(self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator) -> pa.Array:
        """Values of the column's Arrow type for tokens (N,) and the global row numbers (N,)."""

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
    """One contiguous array, dictionaries replaced by their values."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
