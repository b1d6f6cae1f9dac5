"""empty: a column of nulls alone, which comes out as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.codecs.columns import ColumnCodec, Floats, Tokens, nan_share, with_nan
from synth.layout import ColumnLayout
from synth.schema import Column


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """Nothing to learn but the type, and the share of the nulls that the source writes as NaN."""

    dtype: pa.DataType
    nan: float

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Keep the type."""
        return cls(array.type, nan_share(array))

    def layout(self, name: str) -> ColumnLayout | None:
        """No tokens."""
        return None

    def encode(self, array: pa.Array) -> Tokens:
        """Zeros, which nobody reads."""
        return np.zeros(len(array), dtype=np.int64)

    def decode(
        self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator, places: Floats | None = None
    ) -> pa.Array:
        """Nulls."""
        return with_nan(pa.nulls(len(rows), self.dtype), self.nan, rng)

    def with_counts(self, counts: NDArray[np.int64]) -> Self:
        """There are no tokens."""
        return self

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"nan": self.nan}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        return cls(dtype, float(state["nan"]))
