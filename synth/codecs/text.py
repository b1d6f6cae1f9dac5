"""Values of any Arrow type as JSON scalars and back: the form in which schemas and states hold categories."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.schema import Scalar


def value_type(dtype: pa.DataType) -> pa.DataType:
    """The type in which values are worked on: of a dictionary its entries', of a view the plain type."""
    dtype = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    if pa.types.is_string_view(dtype):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(dtype) else dtype


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


def places_written(floats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Digits after the point in the shortest text of each float (N,); NaN where it has no point, or an exponent."""
    digits = pc.extract_regex(pa.array(floats).cast(pa.string()), r"^-?[0-9]+\.(?P<digits>[0-9]+)$")
    found = pc.utf8_length(pc.struct_field(digits, "digits")).cast(pa.float64())
    return np.asarray(found.to_numpy(zero_copy_only=False))


def hashable(array: pa.Array) -> pa.Array:
    """The array in a type that Arrow can look up: text, bytes and nested values as text, others as they are."""
    dtype = array.type
    if is_text(dtype):
        return array.cast(pa.large_string())
    if is_binary(dtype) or pa.types.is_nested(dtype):
        return pa.array(to_scalars(array), type=pa.large_string())
    return array


def to_scalars(array: pa.Array) -> list[Any]:
    """JSON scalars of the values, null as None: numbers, booleans and text as they are, others as text.

    A duration or a time of day is its number of units. Nested values become JSON text; Arrow's errors where a leaf
    has no text.
    """
    dtype = array.type
    if is_binary(dtype):
        return [None if value is None else base64.b64encode(value).decode("ascii") for value in array.to_pylist()]
    if pa.types.is_nested(dtype):
        plain = array.cast(_plain(dtype)).to_pylist()
        return [None if value is None else json.dumps(value, ensure_ascii=False) for value in plain]
    return list(array.cast(_plain(dtype)).to_pylist())


def from_scalars(scalars: Iterable[Scalar], dtype: pa.DataType) -> pa.Array:
    """What `to_scalars` gave, in its Arrow type."""
    values = list(scalars)
    if is_binary(dtype):
        return pa.array([base64.b64decode(str(value)) for value in values], type=dtype)
    if pa.types.is_nested(dtype):
        return pa.array([_pairs(json.loads(str(value)), dtype) for value in values], type=_plain(dtype)).cast(dtype)
    return pc.cast(pa.array(values, type=_plain(dtype)), dtype)


def scalar_array(bound: Any, dtype: pa.DataType) -> pa.Array:
    """One bound, as the schema holds it, in the type of its column."""
    inner = value_type(dtype)
    if pa.types.is_decimal(inner):
        return pa.array([Decimal(str(bound))], type=inner)
    if pa.types.is_integer(inner) or pa.types.is_duration(inner):
        return pa.array([int(bound)], type=inner)
    if pa.types.is_time(inner):  # Arrow reads no text as a time of day
        ticks = pa.array([f"1970-01-01 {bound}"]).cast(pa.timestamp(inner.unit)).cast(pa.int64())
        return ticks.cast(pa.int32() if inner.bit_width == 32 else pa.int64()).cast(inner)
    return pa.array([bound]).cast(inner)


def _pairs(value: Any, dtype: pa.DataType) -> Any:
    """The value with the entries of maps, which JSON holds as lists, as tuples."""
    if value is None or not pa.types.is_nested(dtype):
        return value
    if pa.types.is_struct(dtype):
        return {field.name: _pairs(value[field.name], field.type) for field in dtype}
    if pa.types.is_map(dtype):
        return [(_pairs(key, dtype.key_type), _pairs(item, dtype.item_type)) for key, item in value]
    return [_pairs(item, dtype.value_type) for item in value]


def _plain(dtype: pa.DataType) -> pa.DataType:
    """The type of the same shape whose leaves are JSON scalars."""
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_plain(field.type)) for field in dtype])
    if pa.types.is_map(dtype):
        return pa.map_(_plain(dtype.key_type), dtype.item_field.with_type(_plain(dtype.item_type)))
    if pa.types.is_large_list(dtype):
        return pa.large_list(dtype.value_field.with_type(_plain(dtype.value_type)))
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(dtype.value_field.with_type(_plain(dtype.value_type)), dtype.list_size)
    if pa.types.is_list(dtype):
        return pa.list_(dtype.value_field.with_type(_plain(dtype.value_type)))
    number = pa.types.is_primitive(dtype) and not pa.types.is_temporal(dtype)
    if number or is_text(dtype) or pa.types.is_null(dtype):
        return dtype
    if pa.types.is_duration(dtype) or pa.types.is_time(dtype):
        return pa.int32() if pa.types.is_time32(dtype) else pa.int64()
    return pa.string()
