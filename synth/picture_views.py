"""Pictures in the forms that expectations are checked on: shape, contrast, fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth.errors import InputError
from synth.imaging import opened
from synth.schema import Column
from synth.views import Expectation, expectation, title

COPIES = 0.999  # share of pictures or long texts that must be no copy of a training one; few are equal by chance
BROKEN = "cannot be decoded"


def shape(picture: Any) -> str:
    """Width, height and mode."""
    return f"{picture.width} x {picture.height} {picture.mode}"


def contrast(picture: Any) -> float:
    """Standard deviation of the levels, 0 where a picture is of one colour."""
    return float(np.asarray(picture, dtype=np.float64).std(axis=(0, 1)).max())


def fingerprint(picture: Any) -> str:
    """The same for equal pixels, however they are encoded."""
    return hashlib.blake2b(shape(picture).encode() + picture.tobytes(), digest_size=8).hexdigest()


VIEWS: dict[str, tuple[Callable[[Any], Any], Any]] = {  # name -> what is seen, and what of a broken picture
    "shape": (shape, BROKEN),
    "contrast": (contrast, 0.0),
    "fingerprint": (fingerprint, BROKEN),
}


def picture_view(values: pa.Array, view: str) -> pd.Series:
    """A column of pictures as one of `VIEWS`; null where there is none."""
    look, broken = VIEWS[view]

    def seen(raw: bytes | None) -> Any:
        try:
            return None if raw is None else look(opened(raw, "picture"))
        except InputError:
            return broken

    raws = pc.struct_field(values, "bytes").to_pylist()
    return pd.Series([seen(raw) for raw in raws], dtype="float64" if view == "contrast" else "str")


def picture_expectations(column: Column, train: pa.Table | None) -> Iterator[Expectation]:
    """Every picture can be decoded and has the shape of the training ones; where they are there, it is none of them and
    has a contrast as they have."""
    name, kwargs = [column.name], {"column": title(column.name)}
    known = {**kwargs, "value_set": [f"{column.width} x {column.height} {column.mode}"]}
    yield expectation("column_values_to_not_be_null", dict(kwargs), name, view="shape")
    yield expectation("column_values_to_be_in_set", known, name, view="shape")
    if train is None:
        return
    values = pa.concat_arrays(train.column(column.name).chunks)
    least = float(picture_view(values, "contrast").min())
    if least > 0:
        yield expectation("column_values_to_be_between", {**kwargs, "min_value": least / 2}, name, view="contrast")
    prints = sorted(set(picture_view(values, "fingerprint")))
    apart = {**kwargs, "value_set": prints, "mostly": COPIES}
    yield expectation("column_values_to_not_be_in_set", apart, name, view="fingerprint")
