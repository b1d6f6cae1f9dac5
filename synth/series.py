"""Series: long tables whose rows are steps, as users keep them, and one row for each series, as they are learnt.

Nested, columns that have one value in all steps of a series stay as they are, and all others become lists. The Arrow
schema's metadata says which are which, so that every stage knows a table of series when it sees one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.errors import InputError
from synth.schema import Schema, pack_arrow

KEY = b"synth.series"


@dataclass(frozen=True)
class Nesting:
    """How a nested table came to be.

    entity: columns that name a series; time: that its steps are ordered by, None where they were in order
    steps: columns with a value for each step, the time among them
    given: columns that named a series before it was cut; window, stride: of what it was cut into, None where it was not
    """

    entity: tuple[str, ...]
    time: str | None
    steps: tuple[str, ...]
    given: tuple[str, ...] = ()
    window: int | None = None
    stride: int | None = None


def nesting(schema: pa.Schema) -> Nesting | None:
    """How a table of this Arrow schema was nested; None where it was not."""
    text = (schema.metadata or {}).get(KEY)
    if text is None:
        return None
    found = json.loads(text)
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return Nesting(**values)


def flatten(table: pa.Table) -> pa.Table:
    """The long table of a nested one: a row for each step."""
    found = nesting(table.schema)
    if found is None:
        return table
    counts = lengths(table)
    rows = pa.array(np.repeat(np.arange(table.num_rows), counts))
    columns = [
        pc.list_flatten(flat_chunks(table.column(name))) if name in found.steps else table.column(name).take(rows)
        for name in table.column_names
    ]
    return pa.table(columns, schema=long_schema(table.schema))


def long_schema(schema: pa.Schema) -> pa.Schema:
    """The Arrow schema of `flatten`'s tables."""
    found = nesting(schema)
    if found is None:
        return schema
    fields = [pa.field(f.name, f.type.value_type) if f.name in found.steps else f for f in schema]
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key != KEY}
    return pa.schema(fields, metadata=metadata)


def long_description(schema: Schema) -> Schema:
    """The schema of `flatten`'s tables: what names a series comes many times, and the time may go on past its end."""
    found = nesting(schema.arrow_schema)
    if found is None:
        return schema
    columns = [
        column.model_copy(
            update={"unique": False} | ({"minimum": None, "maximum": None} if column.name == found.time else {})
        )
        for column in schema.columns
    ]
    long = pack_arrow(long_schema(schema.arrow_schema))
    return schema.model_copy(
        update={"modality": "table", "columns": tuple(columns), "arrow": long, "primary_key": None}
    )


def nest_like(table: pa.Table, schema: pa.Schema, ticks: NDArray[Any] | None = None) -> pa.Table:
    """A long table nested as `schema` is. ticks: (N,) numbers that order the steps; by default they are in order."""
    found = nesting(schema)
    if found is None or nesting(table.schema) is not None:
        return table
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise InputError(f"column {missing[0]!r} is missing; there are: {', '.join(table.column_names)}")
    groups = numbered([table.column(name) for name in found.entity], table.num_rows)
    order = np.argsort(groups, kind="stable") if ticks is None else np.lexsort((ticks, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    offsets = pa.array(np.append(starts, len(order)).astype(np.int32))
    columns = []
    for field in schema:
        column = flat_chunks(table.column(field.name))
        step = field.name in found.steps
        taken = column.take(pa.array(order if step else order[starts]))
        columns.append(pa.ListArray.from_arrays(offsets, taken) if step else taken)
    return pa.table(columns, names=schema.names).replace_schema_metadata(schema.metadata)


def lengths(table: pa.Table) -> NDArray[np.int64]:
    """(N,) steps of each series of a nested table."""
    found = nesting(table.schema)
    if found is None or not found.steps:
        return np.ones(table.num_rows, dtype=np.int64)
    return np.asarray(pc.list_value_length(flat_chunks(table.column(found.steps[0]))), dtype=np.int64)


def flat_chunks(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous array of the same type."""
    if isinstance(column, pa.Array):
        return column
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def numbered(columns: Sequence[pa.ChunkedArray], rows: int) -> NDArray[np.int64]:
    """(N,) number of the combination of values that each row has, in the order in which they come."""
    if not columns:
        return np.zeros(rows, dtype=np.int64)
    codes = [codes_of(column) for column in columns]
    frame = pd.DataFrame(dict(enumerate(codes)))
    return np.asarray(frame.groupby(list(frame), sort=False).ngroup(), dtype=np.int64)


def codes_of(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """(N,) a number for each different value, null among them."""
    values = flat_chunks(column)
    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    return np.asarray(values.dictionary_encode(null_encoding="encode").indices, dtype=np.int64)
