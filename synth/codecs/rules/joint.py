"""Columns that only have certain values together, as one category: fixed combinations and one-hot groups."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import flat
from synth.codecs.text import from_scalars, to_scalars, value_type

NONE = -1  # the code of a row in which no column of a group is 1


def combine(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    """(N,) the rows' values as JSON text, one list a row; nulls are values too."""
    encoded = [flat(column) for column in columns]
    texts = [_words(array) for array in encoded]
    joined = pc.binary_join_element_wise(*texts, _text(", "))
    return pc.binary_join_element_wise(_text("["), joined, _text("]"), _text(""))


def take_apart(combined: pa.Array, types: Sequence[pa.DataType]) -> list[pa.Array]:
    """What `combine` put together, in the plain types of the columns' values."""
    encoded = combined.dictionary_encode()
    rows = [json.loads(text) for text in encoded.dictionary.to_pylist()]
    return [
        _values([row[place] for row in rows], value_type(dtype)).take(encoded.indices)
        for place, dtype in enumerate(types)
    ]


def hot(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    """(N,) int64, which of the columns is 1; NONE where none is. Arrow's errors where a value is no number."""
    codes = np.full(len(columns[0]), NONE, dtype=np.int64)
    for place, column in enumerate(columns):
        codes[ones(column)] = place
    return pa.array(codes)


def ones(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) bool, where the column is 1 or true."""
    return np.asarray(pc.fill_null(pc.equal(flat(column).cast(pa.float64()), 1.0), False))


def spread(codes: pa.Array, types: Sequence[pa.DataType]) -> list[pa.Array]:
    """What `hot` read: 1 in one column of each row, 0 in the others."""
    known = codes.to_numpy(zero_copy_only=False)
    return [pa.array(known == place).cast(pa.int8()).cast(value_type(dtype)) for place, dtype in enumerate(types)]


def _words(array: pa.Array) -> pa.Array:
    """Each value as JSON text."""
    encoded = array.dictionary_encode() if not pa.types.is_nested(array.type) else None
    if encoded is None:
        return pa.array([json.dumps(value, ensure_ascii=False) for value in to_scalars(array)], pa.large_string())
    words = [json.dumps(value, ensure_ascii=False) for value in to_scalars(encoded.dictionary)]
    return pc.fill_null(pa.array(words, pa.large_string()).take(encoded.indices), "null")


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _values(scalars: Sequence[bool | int | float | str | None], dtype: pa.DataType) -> pa.Array:
    known = [scalar for scalar in scalars if scalar is not None]
    places = np.cumsum([scalar is not None for scalar in scalars], dtype=np.int64) - 1
    null = np.array([scalar is None for scalar in scalars], dtype=bool)
    return from_scalars(known, dtype).take(pa.array(places, mask=null))
