"""pandas to Arrow and back, dtypes restored exactly and the caller's frame left alone."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pyarrow as pa

from synth.errors import InputError


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
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        for position, name in enumerate(bare.columns):
            _check_column(bare.iloc[:, position], name)
        raise


def _check_column(values: pd.Series, name: object) -> None:
    try:
        pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        found = sorted({type(value).__name__ for value in values.dropna()})
        what = f"mixes {' and '.join(found)}" if len(found) > 1 else f"holds {found[0]} values that have no type"
        raise InputError(f"column {name!r}: {what}; convert it to one type, for example text") from None


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """A pandas frame with the dtypes and column labels that the table's metadata records."""
    frame: pd.DataFrame = table.to_pandas()
    return frame
