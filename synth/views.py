"""Columns of any Arrow type in the forms that expectations are checked on: numbers, their decimals, moments, texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs import dates
from synth.codecs.columns import flat
from synth.codecs.text import is_text, places_written, scalar_array, to_scalars
from synth.schema import Column

Expectation = dict[str, Any]

MICROSECONDS = pa.timestamp("us")
PASSAGE = 50  # characters from which on two texts are not equal by chance
LIMITS = (pd.Timestamp("0001-01-01").as_unit("us"), pd.Timestamp("9999-12-31 23:59:59.999999").as_unit("us"))


def expectation(
    kind: str, kwargs: dict[str, Any], columns: list[str], *, view: str = "text", severity: str = "critical"
) -> Expectation:
    """One expectation; `columns` and `view` say what it looks at."""
    meta = {"columns": columns, "view": view}
    return {"type": f"expect_{kind}", "kwargs": kwargs, "meta": meta, "severity": severity}


def title(name: str) -> str:
    """The name of a column for Great Expectations, which knows no empty one."""
    return name or "(no name)"


def view_of(column: Column, dtype: pa.DataType) -> str:
    """The form in which a column's range is checked: number, moment or text (which has no range)."""
    if column.kind == "number" or (column.kind == "datetime" and pa.types.is_duration(dtype)):
        return "number"
    if column.kind != "datetime":
        return "text"
    bounds = [moments(scalar_array(bound, dtype), column.format)[0] for bound in (column.minimum, column.maximum)]
    inside = all(LIMITS[0] <= bound <= LIMITS[1] for bound in bounds)
    return "moment" if inside else "text"


def numbers(values: pa.Array, minimum: Any, maximum: Any) -> pd.Series:
    """float64 that stand to float(minimum) and float(maximum) as the exact values stand to the exact bounds.

    Decimals and integers beyond 2^53 are not told apart by floats: a value outside the bounds whose float would lie
    on one of them is moved to the next float outside. Null is NaN.
    """
    inner = values.type
    plain = values.cast(pa.int64()) if pa.types.is_duration(inner) else values
    floats = plain.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).copy()
    for bound, outside, towards in ((minimum, pc.less, -np.inf), (maximum, pc.greater, np.inf)):
        if bound is None:
            continue
        exact = scalar_array(bound, inner)
        edge = np.nextafter(
            float(exact.cast(pa.int64())[0].as_py() if plain is not values else exact[0].as_py()), towards
        )
        out = pc.fill_null(outside(values, exact[0]), False).to_numpy(zero_copy_only=False)
        floats[out] = np.minimum(floats[out], edge) if towards < 0 else np.maximum(floats[out], edge)
    return pd.Series(floats)


def decimals(values: pa.Array, most: int) -> pd.Series:
    """Digits after the point that each float needs at its width, `most` + 1 where more; null is NaN."""
    width = {16: np.float16, 32: np.float32, 64: np.float64}[values.type.bit_width]
    floats = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    needed = np.where(np.isnan(floats), np.nan, most + 1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        for digits in range(most, -1, -1):
            exact = (np.round(floats * 10.0**digits) / 10.0**digits).astype(width) == floats.astype(width)
            needed[exact & (needed == digits + 1)] = digits
    more = needed > most
    if width is np.float64 and more.any():  # so many digits that a float cannot be multiplied by their power of ten
        needed[more] = np.fmin(places_written(floats[more]), most + 1)
    return pd.Series(needed)


def moments(values: pa.Array, form: str | None) -> pd.Series:
    """datetime64[us] in UTC, a time of day on 1970-01-01; NaT where null and where a text does not follow `form`."""
    inner = values.type
    if form is not None and is_text(inner):
        text = dates.of(pc.drop_null(values), form)
        stamps = text.read(values).cast(pa.timestamp(text.unit))
    elif pa.types.is_time(inner):
        stamps = values.cast(pa.time64("us"), safe=False).cast(pa.int64())
    elif pa.types.is_timestamp(inner):
        stamps = values.cast(pa.int64()).cast(pa.timestamp(inner.unit))
    else:
        stamps = values
    return pd.Series(stamps.cast(MICROSECONDS, safe=False).to_numpy(zero_copy_only=False).astype("datetime64[us]"))


def texts(values: pa.Array) -> pa.Array:
    """large_string: text as it is, every other value as its JSON scalar."""
    if is_text(values.type):
        return values.cast(pa.large_string())
    if pa.types.is_integer(values.type):
        return values.cast(pa.large_string())
    return pa.array([None if value is None else label(value) for value in to_scalars(values)], type=pa.large_string())


def label(value: Any) -> str:
    """A category as text, as `texts` writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def column_view(chunks: pa.ChunkedArray, view: str, spec: Mapping[str, Any]) -> pd.Series:
    """A column as `view`; `spec` is its entry in the suite's meta. Arrow's errors where the type does not allow it."""
    values = flat(chunks)
    if view == "number":
        return numbers(values, spec.get("minimum"), spec.get("maximum"))
    if view == "decimals":
        return decimals(values, spec["decimals"])
    if view == "moment":
        return moments(values, spec.get("format"))
    if view == "passage":
        return passages(values)
    return pd.Series(texts(values).to_pandas(), dtype="str")


def passages(values: pa.Array) -> pd.Series:
    """Fingerprints of texts that are too long to be equal by chance; null for shorter ones."""
    found = (
        hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if text is not None and len(text) >= PASSAGE else None
        for text in texts(values).to_pylist()
    )
    return pd.Series(list(found), dtype="str")


def pair_view(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pd.Series:
    """Two columns as one text `a → b`; null where either is null."""
    joined = pc.binary_join_element_wise(texts(flat(first)), texts(flat(second)), pa.scalar(" → ", pa.large_string()))
    return pd.Series(joined.to_pandas(), dtype="str")
