"""Long tables of series nested: which rows are one series, in which order, and cut into which parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.codecs import dates
from synth.codecs.columns import flat
from synth.codecs.columns.datetime import to_ticks
from synth.codecs.text import hashable, is_text, value_type
from synth.errors import InputError
from synth.schema import Schema, pack_arrow
from synth.series import KEY, Nesting, flat_chunks, flatten, long_schema, nest_like, nesting, numbered

NUMBER = "series"  # name of the column that tells series apart where no other does


def nest(
    table: pa.Table,
    *,
    entity: Sequence[str] = (),
    time: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    steps: Sequence[str] | None = None,
    stretches: NDArray[np.int64] | None = None,
) -> pa.Table:
    """A row for each series of a long table, in the order in which they come, its steps by time.

    entity: columns that name a series; without any the table is one
    window: steps of the parts that each series is cut into, which are rows of their own; what is too short for the last
        is left out, unless there is no other. stride: steps from one part to the next, `window` by default
    steps: columns that become lists; by default the time, and those that have several values in some series
    stretches: (N,) numbers; rows of different ones are of different series
    A column `series` numbers the rows where entities do not. InputError names a column that is missing, a step without
    a time, and two steps of one series at one time.
    """
    for name in (*entity, *([time] if time else [])):
        if name not in table.column_names:
            raise InputError(f"column {name!r} is missing; there are: {', '.join(table.column_names)}")
    if not table.num_rows:
        raise InputError("the table has no rows, and so no series")
    told_by = [table.column(name) for name in entity]
    told_by += [] if stretches is None else [pa.chunked_array([pa.array(stretches)])]
    groups = numbered(told_by, table.num_rows)
    ticks = np.arange(table.num_rows) if time is None else times(table.column(time), time)
    order = np.lexsort((ticks, groups))
    groups, ticks = groups[order], ticks[order]
    if time is not None:
        _check_times(table, order, groups, ticks, entity, time)
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    counts = np.diff(starts, append=len(groups))
    ordered = table.take(pa.array(order))
    if steps is None:
        steps = [name for name in table.column_names if not _constant(ordered.column(name), starts, counts)]
    dynamic = [name for name in table.column_names if (name in steps or name == time) and name not in entity]
    given = tuple(entity)
    if window is not None:
        starts, counts = _windows(starts, counts, window, stride or window)
    rows = np.repeat(starts, counts) + np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    offsets = pa.array(np.append(0, counts.cumsum()).astype(np.int32))
    columns, names = [], []
    if window is not None or not entity:
        names.append(_free(NUMBER, table.column_names))
        columns.append(pa.array(np.arange(len(starts))))
        entity = (names[0],)
    for name in table.column_names:
        column = flat_chunks(ordered.column(name))
        taken = column.take(pa.array(rows if name in dynamic else starts))
        columns.append(pa.ListArray.from_arrays(offsets, taken) if name in dynamic else taken)
        names.append(name)
    facts = json.dumps(asdict(Nesting(tuple(entity), time, tuple(dynamic), given, window, stride)))
    metadata = {**(table.schema.metadata or {}), KEY: facts.encode()}
    return pa.table(columns, names=names).replace_schema_metadata(metadata)


def renest(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A long table nested as `schema` is, its steps by time: one of the kind that was nested, or one that a model has
    drawn."""
    found = nesting(schema)
    if found is None or nesting(table.schema) is not None:
        return table
    missing = [name for name in schema.names if name not in table.column_names]
    if not missing or missing != [name for name in found.entity if name not in found.given]:
        ticks = None if missing or found.time is None else times(table.column(found.time), found.time)
        return nest_like(table, schema, ticks)
    cut = found.window, found.stride
    return nest(table, entity=found.given, time=found.time, window=cut[0], stride=cut[1], steps=found.steps)


def series_names(schema: pa.Schema) -> list[str]:
    """The column that alone names the series of a nested table, where it is one of texts or whole numbers."""
    found = nesting(schema)
    names = [] if found is None or len(found.entity) != 1 else list(found.entity)
    inner = [value_type(schema.field(name).type) for name in names]
    return [n for n, dtype in zip(names, inner, strict=True) if is_text(dtype) or pa.types.is_integer(dtype)]


def series_schema(table: pa.Table, detect: Callable[[pa.Table], Schema]) -> Schema:
    """The schema of a nested table; detect: of a plain one, of what series have once or of all their steps."""
    found = nesting(table.schema)
    assert found is not None  # noqa: S101 - asked of nested tables only
    once = table.select([name for name in table.column_names if name not in found.steps])
    once_schema = detect(once.replace_schema_metadata(long_schema(table.schema).metadata))
    each_schema = detect(flatten(table.select(found.steps)))
    columns = {column.name: column for schema in (once_schema, each_schema) for column in schema.columns}
    return once_schema.model_copy(
        update={
            "modality": "series",
            "columns": tuple(columns[name] for name in table.column_names),
            "arrow": pack_arrow(table.schema),
        }
    )


def times(column: pa.ChunkedArray, name: str) -> NDArray[Any]:
    """(N,) times as numbers: of dates units since 1970; InputError where one is missing or is no time."""
    values = flat(column)
    if values.null_count:
        raise InputError(f"column {name!r}: row {int(np.flatnonzero(values.is_null())[0])} has no time; drop such rows")
    inner = value_type(values.type)
    if is_text(inner):
        text = dates.find(values)
        if text is None:
            raise InputError(f"column {name!r}: its texts follow no single known date format; it orders no steps")
        return np.asarray(to_ticks(values, text))
    if pa.types.is_temporal(inner):
        return np.asarray(to_ticks(values, None))
    if pa.types.is_integer(inner) or pa.types.is_floating(inner):
        return np.asarray(values.cast(pa.int64() if pa.types.is_integer(inner) else pa.float64()))
    raise InputError(f"column {name!r}: {inner} values are no times; it takes dates or numbers")


def _check_times(
    table: pa.Table,
    order: NDArray[np.int64],
    groups: NDArray[np.int64],
    ticks: NDArray[Any],
    entity: Sequence[str],
    time: str,
) -> None:
    twice = np.flatnonzero((np.diff(groups) == 0) & (np.diff(ticks) == 0))
    if len(twice):
        row = int(order[twice[0]])
        who = ", ".join(f"{name} {table.column(name)[row].as_py()!r}" for name in entity)
        hint = f"of {who} " if who else ""
        raise InputError(
            f"column {time!r}: {table.column(time)[row].as_py()} stands twice {hint}"
            f"({len(twice)} such steps); name the columns that tell series apart, or keep one step of a time"
        )


def _constant(column: pa.ChunkedArray, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> bool:
    """Whether all steps of a series have one value, null or not."""
    codes = hashable(flat_chunks(column)).dictionary_encode(null_encoding="encode").indices
    values = np.asarray(codes)
    return bool((values == np.repeat(values[starts], counts)).all())


def _windows(
    starts: NDArray[np.int64], counts: NDArray[np.int64], window: int, stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    parts = [
        np.arange(0, max(count - window, 0) + 1, stride) + start for start, count in zip(starts, counts, strict=True)
    ]
    sizes = [np.full(len(part), min(window, count)) for part, count in zip(parts, counts, strict=True)]
    return np.concatenate(parts), np.concatenate(sizes)


def _free(name: str, taken: Sequence[str]) -> str:
    return next(one for number in range(len(taken) + 1) if (one := f"{name}{number or ''}") not in taken)
