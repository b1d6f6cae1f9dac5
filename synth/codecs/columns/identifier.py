"""identifier: keys and free text, never learnt; new ones of the same format are made from the row number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import ColumnCodec, Tokens, flat
from synth.codecs.text import value_type
from synth.layout import ColumnLayout
from synth.patterns import Template, generate, learn
from synth.schema import Column


@dataclass(frozen=True)
class Codec(ColumnCodec):
    """Text by templates; integers count on from `start`, down from it where 64 bits leave no room above.

    counts: training rows with a value and with a null
    """

    templates: tuple[Template, ...]
    start: int
    step: int
    key: int
    counts: tuple[int, int]
    dtype: pa.DataType

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Learn the format and the null rate; no value is kept."""
        counts = (len(array) - array.null_count, array.null_count)
        values = pc.drop_null(flat(array))
        key = int(rng.integers(0, 2**31))
        if not pa.types.is_integer(values.type):
            return cls(learn(values.cast(pa.string())), 0, 0, key, counts, array.type)
        low, high = pc.min(values).as_py(), pc.max(values).as_py()
        top = 2 ** (values.type.bit_width - (0 if pa.types.is_unsigned_integer(values.type) else 1))
        start, step = (high + 1, 1) if high + 2**31 < top or high < top // 2 else (low - 1, -1)
        return cls((), start, step, key, counts, array.type)

    def layout(self, name: str) -> ColumnLayout | None:
        """Whether there is a value, where there may be none; else nothing."""
        if not self.counts[1]:
            return None
        frequency = np.array(self.counts, dtype=np.float32) / sum(self.counts)
        nominal = np.full(2, np.nan, dtype=np.float32)
        return ColumnLayout(name, np.zeros((2, 0), np.float32), np.ones(2, dtype=bool), nominal, frequency)

    def encode(self, array: pa.Array) -> Tokens:
        """1 for a null, 0 for a value."""
        return np.asarray(pc.is_null(flat(array))).astype(np.int64)

    def decode(self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator) -> pa.Array:
        """An identifier of its own for each row number."""
        null = np.zeros(len(rows), dtype=bool) if tokens is None else tokens == 1
        inner = value_type(self.dtype)
        if self.step:
            made = pa.array(self.start + self.step * rows, mask=null).cast(inner)
        else:
            made = pa.array(generate(self.templates, rows, self.key, rng), type=pa.string(), mask=null).cast(inner)
        return made.dictionary_encode().cast(self.dtype) if pa.types.is_dictionary(self.dtype) else made

    def state(self) -> dict[str, Any]:
        """As JSON."""
        templates = [asdict(template) for template in self.templates]
        return {
            "templates": templates,
            "start": self.start,
            "step": self.step,
            "key": self.key,
            "counts": list(self.counts),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        templates = tuple(Template(**template) for template in state["templates"])
        counts = (int(state["counts"][0]), int(state["counts"][1]))
        return cls(templates, state["start"], state["step"], state["key"], counts, dtype)
