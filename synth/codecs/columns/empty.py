"""empty: a column of nulls alone, which comes out as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from synth.codecs.columns import ColumnCodec, Tokens
from synth.layout import ColumnLayout
from synth.schema import Column


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """Nothing to learn but the type."""

    dtype: pa.DataType

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Keep the type."""
        return cls(array.type)

    def layout(self, name: str) -> ColumnLayout | None:
        """No tokens."""
        return None

    def encode(self, array: pa.Array) -> Tokens:
        """Zeros, which nobody reads."""
        return np.zeros(len(array), dtype=np.int64)

    def decode(self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator) -> pa.Array:
        """Nulls."""
        return pa.nulls(len(rows), self.dtype)

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """The type alone."""
        return cls(dtype)
