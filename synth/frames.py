"""pandas to Arrow and back, dtypes restored exactly and the caller's frame left alone."""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd
import pyarrow as pa

from synth.errors import InputError

REFUSED = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """An Arrow table of the frame's columns, with the metadata that `to_pandas` restores dtypes from.

    The index and `attrs` are left out. InputError names a column that stands twice or mixes types.
    """
    if frame.columns.nlevels > 1:
        raise InputError(f"the columns have {frame.columns.nlevels} levels; flatten them to one")
    twice = [name for name, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise InputError(f"column {twice[0]!r} stands twice; names must be unique")
    bare = frame.copy(deep=False).reset_index(drop=True)
    bare.attrs = {}
    try:
        return pa.Table.from_pandas(bare, preserve_index=False)
    except REFUSED:
        for position, name in enumerate(bare.columns):
            _check_column(bare.iloc[:, position], name)
        raise


def _check_column(values: pd.Series, name: object) -> None:
    try:
        pa.array(values, from_pandas=True)
    except REFUSED:
        found = sorted({type(value).__name__ for value in values.dropna()})
        what = f"mixes {' and '.join(found)}" if len(found) > 1 else f"holds {found[0]} values that have no type"
        raise InputError(f"column {name!r}: {what}; convert it to one type, for example text") from None


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """A pandas frame with the dtypes and column labels that the table's metadata records."""
    metadata = table.schema.pandas_metadata or {}
    dtypes = {column["field_name"]: str(column["numpy_type"]) for column in metadata.get("columns", ())}
    arrow = [
        place
        for place, field in enumerate(table.schema)
        if dtypes.get(field.name, "").endswith("[pyarrow]") or field.type == pa.time64("ns")
    ]
    plain = table
    # pandas cannot read the name of a nested Arrow dtype, takes a decimal's for an object, and has no own type for
    # times of nanoseconds
    for place in arrow:
        plain = plain.set_column(place, table.column_names[place], pa.nulls(table.num_rows))
        dtypes[table.column_names[place]] = "object"
    if arrow and metadata:
        columns = [{**column, "numpy_type": dtypes[column["field_name"]]} for column in metadata["columns"]]
        packed = json.dumps({**metadata, "columns": columns}).encode()
        plain = plain.replace_schema_metadata({**table.schema.metadata, b"pandas": packed})
    frame: pd.DataFrame = plain.to_pandas()
    for place in arrow:
        frame.isetitem(place, pd.arrays.ArrowExtensionArray(table.column(place)))
    return frame
