"""Filling nulls: what is observed as a condition, and draws put into the gaps."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import flat
from synth.codecs.rules.codec import AnyCodec, RuledCodec
from synth.layout import Condition

PARTICLES = 128  # candidates per row, more than for sampling: much of a row is observed
LEAST = 4  # and so many for each draw at least


def observed(codec: AnyCodec, table: pa.Table, draws: int) -> Condition:
    """The condition that rows keep all of their values that are not null, and get no null elsewhere; every row stands
    `draws` times."""
    if isinstance(codec, RuledCodec):
        codec.check_gaps(table)
    arrays, table = codec.encode(table), codec.modelled(table)
    tokens = arrays["tokens"]
    spans = {}
    for d, column in enumerate(codec.layout.columns):
        null = codec.nulls(d)
        tokens[np.asarray(pc.is_null(flat(table.column(column.name)))), d] = -1
        if null.any() and not null.all():
            spans[d] = np.stack([null, ~null], axis=1).astype(np.float64)
    return Condition(
        spans=spans,
        tokens=tokens.repeat(draws, axis=0),
        places=arrays["places"].repeat(draws, axis=0),
        particles=max(PARTICLES // draws, LEAST),
    )


def fill(table: pa.Table, drawn: pa.Table, draws: int) -> pa.Table:
    """The table with its nulls taken from `drawn`, in which each row stands `draws` times."""
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        gaps = np.asarray(pc.is_null(flat(column)))
        made = plain(drawn.column(field.name).combine_chunks()).filter(pa.array(gaps.repeat(draws)))
        if draws > 1:
            made = agreed(made, draws)
        columns.append(pc.replace_with_mask(plain(column.combine_chunks()), pa.array(gaps), made).cast(field.type))
    return pa.table(columns, schema=table.schema)


def plain(array: pa.Array) -> pa.Array:
    """Without a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def agreed(array: pa.Array, draws: int) -> pa.Array:
    """(N,) of (N * draws,): the mean of numbers, the median of moments, the first of nested values, else the most
    frequent."""
    dtype = array.type
    if pa.types.is_floating(dtype) or pa.types.is_integer(dtype):
        mean = array.cast(pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, draws).mean(axis=1)
        return pa.array(np.rint(mean) if pa.types.is_integer(dtype) else mean).cast(dtype, safe=False)
    if pa.types.is_nested(dtype):
        return array.take(pa.array(np.arange(0, len(array), draws)))
    rows = [array.slice(start, draws).to_pylist() for start in range(0, len(array), draws)]
    if pa.types.is_temporal(dtype):
        return pa.array([sorted(row)[draws // 2] for row in rows], dtype)
    return pa.array([Counter(row).most_common(1)[0][0] for row in rows], dtype)
