"""Filling nulls: what is observed as a condition, and draws put into the gaps."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import flat
from synth.codecs.modality import AnyCodec
from synth.codecs.rules.codec import RuledCodec
from synth.codecs.text import hashable
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
        here, candidates = column.combine_chunks(), drawn.column(field.name).combine_chunks()
        made = plain(candidates).filter(pa.array(gaps.repeat(draws)))
        if draws > 1:
            made = agreed(made, draws)
        order = np.where(gaps, len(here) + gaps.cumsum() - 1, np.arange(len(here)))
        filled = pa.concat_arrays([plain(here), made]).take(pa.array(order))  # any type, nested ones too
        columns.append(
            coded(filled, here, candidates) if pa.types.is_dictionary(field.type) else filled.cast(field.type)
        )
    return pa.table(columns, schema=table.schema)


def coded(values: pa.Array, *sources: pa.DictionaryArray) -> pa.DictionaryArray:
    """The values with the dictionary of the first source, behind it what only the others have, and its type."""
    dtype = sources[0].type
    known = pa.concat_arrays([source.dictionary for source in sources]).unique()
    codes = pc.index_in(hashable(values), hashable(known), skip_nulls=True).cast(dtype.index_type)
    return pa.DictionaryArray.from_arrays(codes, known, ordered=dtype.ordered)


def plain(array: pa.Array) -> pa.Array:
    """Without a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def agreed(array: pa.Array, draws: int) -> pa.Array:
    """(N,) of (N * draws,): the mean of numbers, the median of moments, the first of nested values, else the most
    frequent."""
    dtype = array.type
    if array.null_count == len(array):  # a column without values has none to agree on
        return array.slice(0, len(array) // draws)
    if pa.types.is_floating(dtype):
        mean = array.cast(pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, draws).mean(axis=1)
        return pa.array(mean).cast(dtype, safe=False)
    if pa.types.is_nested(dtype):
        return array.take(pa.array(np.arange(0, len(array), draws)))
    rows = [array.slice(start, draws).to_pylist() for start in range(0, len(array), draws)]
    if pa.types.is_integer(dtype):  # as fractions: floats are not exact beyond 2^53
        return pa.array([round(Fraction(sum(row), draws)) for row in rows], dtype)
    if pa.types.is_temporal(dtype):
        return pa.array([sorted(row)[draws // 2] for row in rows], dtype)
    return pa.array([Counter(row).most_common(1)[0][0] for row in rows], dtype)
