"""pandas to Arrow and back, dtypes restored exactly and the caller's frame left alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from numbers import Integral
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from synth.errors import InputError

ARROW = "arrow"  # a pandas dtype that is the column's Arrow type
PYTHON = "string[python]"
REFUSED = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError)


def as_table(data: pd.DataFrame | pa.Table) -> pa.Table:
    """A frame as `from_pandas` makes a table of it, a table as it is."""
    return data if isinstance(data, pa.Table) else from_pandas(data)


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """An Arrow table of the frame's columns, with the metadata that `to_pandas` restores dtypes from.

    The index and `attrs` are left out. InputError names a column that stands twice, mixes types, or has a label
    that is neither text nor an integer.
    """
    if frame.columns.nlevels > 1:
        raise InputError(f"the columns have {frame.columns.nlevels} levels; flatten them to one")
    for label in frame.columns:
        if isinstance(label, bool) or not isinstance(label, str | Integral):
            raise InputError(f"column {label!r}: expected text or an integer as label, found {type(label).__name__}")
    twice = [name for name, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise InputError(f"column {twice[0]!r} stands twice; names must be unique")
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.SparseDtype):
            raise InputError(f"column {name!r}: sparse values are not supported; make them dense")
    bare = frame.copy(deep=False).reset_index(drop=True)
    bare.attrs = {}
    try:
        table = pa.Table.from_pandas(bare, preserve_index=False)
    except REFUSED:
        for position, name in enumerate(bare.columns):
            _check_column(bare.iloc[:, position], name)
        raise
    return _with_exact(table, bare)


def _with_exact(table: pa.Table, frame: pd.DataFrame) -> pa.Table:
    """The table with the dtypes that pandas' own metadata does not bring back, or cannot read, named beside it."""
    metadata = table.schema.pandas_metadata
    for column, (label, dtype) in zip(metadata["columns"], frame.dtypes.items(), strict=True):
        if isinstance(label, Integral):
            column["label"] = int(label)
        if isinstance(dtype, pd.ArrowDtype):
            column["exact"] = ARROW
            if pa.types.is_nested(dtype.pyarrow_dtype) or pa.types.is_dictionary(dtype.pyarrow_dtype):
                column["numpy_type"] = "object"
        elif isinstance(dtype, pd.StringDtype) and str(dtype) == "string" and dtype.storage == "python":
            column["exact"] = PYTHON
    return table.replace_schema_metadata({**table.schema.metadata, b"pandas": json.dumps(metadata).encode()})


def _check_column(values: pd.Series, name: object) -> None:
    try:
        values.dropna().map(lambda value: isinstance(value, str) and value.encode())
    except UnicodeError:
        raise InputError(f"column {name!r}: holds text that is not valid Unicode; repair or drop it") from None
    try:
        pa.array(values, from_pandas=True)
    except REFUSED:
        found = sorted({type(value).__name__ for value in values.dropna()})
        what = f"mixes {' and '.join(found)}" if len(found) > 1 else f"holds {found[0]} values that have no type"
        raise InputError(f"column {name!r}: {what}; convert it to one type, for example text") from None


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """A pandas frame with the dtypes and column labels that the table's metadata records."""
    columns = (table.schema.pandas_metadata or {}).get("columns", ())
    facts = {column["field_name"]: column for column in columns}
    dtypes = [_recorded(facts.get(field.name, {}), field.type) for field in table.schema]
    plain = table
    for place, dtype in enumerate(dtypes):
        if dtype == ARROW:
            plain = plain.set_column(place, table.column_names[place], pa.nulls(table.num_rows))
    frame: pd.DataFrame = plain.to_pandas()
    for place, dtype in enumerate(dtypes):
        column, found = table.column(place), frame.dtypes.iloc[place]
        if dtype == ARROW:
            frame.isetitem(place, pd.arrays.ArrowExtensionArray(column))
        elif dtype == PYTHON:
            frame.isetitem(place, frame.iloc[:, place].astype(pd.StringDtype("python")).array)
        elif dtype == "object" and str(found) != "object":  # text and moments that were plain Python objects
            frame.isetitem(place, cast("Any", pd.Series(column.to_pylist(), dtype=object, index=frame.index)))
        elif isinstance(found, pd.CategoricalDtype) and pa.types.is_timestamp(column.type.value_type):
            frame.isetitem(place, _moments(column))
    if any("label" in entry for entry in facts.values()):
        frame.columns = pd.Index([facts.get(name, {}).get("label", name) for name in table.column_names])
    return frame


def _recorded(facts: Mapping[str, Any], dtype: pa.DataType) -> str | None:
    """The pandas dtype of a column as its metadata has it; ARROW where it is the Arrow type itself."""
    name: str | None = facts.get("exact") or facts.get("numpy_type")
    if dtype == pa.time64("ns") or str(name).endswith("[pyarrow]"):  # pandas has no other type for the former
        return ARROW
    return name


def _moments(column: pa.ChunkedArray) -> pd.Categorical:
    """A dictionary's moments with their zone, which Arrow's own conversion drops."""
    array = column.unify_dictionaries().combine_chunks()
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, categories=array.dictionary.to_pandas(), ordered=array.type.ordered)
