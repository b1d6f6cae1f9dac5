"""Values of any Arrow type as JSON scalars and back: the form in which schemas and states hold categories."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synth.schema import Scalar


def value_type(dtype: pa.DataType) -> pa.DataType:
    """The type of the values; a dictionary's is that of its entries."""
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def is_text(dtype: pa.DataType) -> bool:
    """Whether a type is one of Arrow's text types."""
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype))


def is_binary(dtype: pa.DataType) -> bool:
    """Whether a type is one of Arrow's types of bytes."""
    return bool(
        pa.types.is_binary(dtype)
        or pa.types.is_large_binary(dtype)
        or pa.types.is_binary_view(dtype)
        or pa.types.is_fixed_size_binary(dtype)
    )


def hashable(array: pa.Array) -> pa.Array:
    """The array in a type that Arrow can look up: text, bytes and nested values as text, others as they are."""
    dtype = array.type
    if is_text(dtype):
        return array.cast(pa.large_string())
    if is_binary(dtype) or pa.types.is_nested(dtype):
        return pa.array(to_scalars(array), type=pa.large_string())
    return array


def to_scalars(array: pa.Array) -> list[Any]:
    """JSON scalars of the values, null as None: numbers, booleans and text as they are, others as text."""
    dtype = array.type
    if is_text(dtype) or pa.types.is_boolean(dtype) or pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        return list(array.to_pylist())
    if is_binary(dtype):
        return [None if value is None else base64.b64encode(value).decode("ascii") for value in array.to_pylist()]
    if pa.types.is_nested(dtype):
        return [None if value is None else json.dumps(value, ensure_ascii=False) for value in array.to_pylist()]
    return list(array.cast(pa.string()).to_pylist())


def from_scalars(scalars: Iterable[Scalar], dtype: pa.DataType) -> pa.Array:
    """What `to_scalars` gave, in its Arrow type."""
    values = list(scalars)
    if is_binary(dtype):
        return pa.array([base64.b64decode(str(value)) for value in values], type=dtype)
    if pa.types.is_nested(dtype):
        return pa.array([json.loads(str(value)) for value in values], type=dtype)
    if is_text(dtype) or pa.types.is_boolean(dtype) or pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        return pa.array(values, type=dtype)
    return pc.cast(pa.array(values, type=pa.string()), dtype)
