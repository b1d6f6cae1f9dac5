"""Train, holdout and test: drawn once, before anything is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from synth.config import Series
from synth.errors import InputError
from synth.nest import nest, times
from synth.series import flatten, nesting

STRETCHES, STRETCH = 12, 3  # of the holdout at most, and the windows that each has at least
SEVERAL = 20  # series from which on whole ones are kept from the model
LEAST = 3  # series to learn from
CLASSES = 50  # a target with at most this many values is a class, and every split gets its share


def split(
    table: pa.Table, *, target: str | None, holdout: float, test: float, seed: int
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Rows for the model, rows to compare privacy with, rows to score lift on; in the source's order.

    holdout, test: shares of all rows, in (0, 1). Stratified by the target where it is a class and every class
    has rows enough. InputError where the target is no column or fewer than 3 rows are there.
    """
    if target is not None and target not in table.column_names:
        raise InputError(f"target {target!r} is not a column; there are: {', '.join(table.column_names)}")
    if table.num_rows < 3:
        raise InputError(f"{table.num_rows} rows cannot be split into train, holdout and test; 3 are needed")
    rows = np.arange(table.num_rows)
    counts = [max(1, round(share * table.num_rows)) for share in (holdout, test)]
    labels = None if target is None else _classes(table.column(target), min(counts))
    rest, kept = _draw(rows, labels, counts[1], seed)
    train, held = _draw(rest, None if labels is None else labels[rest], counts[0], seed + 1)
    train_rows, holdout_rows, test_rows = (table.take(pa.array(np.sort(part))) for part in (train, held, kept))
    return train_rows, holdout_rows, test_rows


def split_series(
    table: pa.Table, series: Series, *, target: str | None, holdout: float, test: float, by: str | None, seed: int
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """As `split`, of a long table, each part nested (`synth.nest.nest`): whole series, or by time the latest steps of
    all for the test and those before them for the holdout. Where series are long beside their windows, the model and
    the holdout have stretches of the time before the test in turn, so that both see all seasons."""
    whole = nest(table, entity=series.entity, time=series.time)
    by = by or ("entity" if series.entity and whole.num_rows >= SEVERAL else "time")
    found = nesting(whole.schema)
    steps = found.steps if found is not None else ()

    def cut(part: pa.Table, stretches: NDArray[np.int64] | None = None) -> pa.Table:
        entity, time, window, stride = series.entity, series.time, series.window, series.stride
        return nest(part, entity=entity, time=time, window=window, stride=stride, steps=steps, stretches=stretches)

    if by == "entity":
        if not series.entity:
            raise InputError("split: by entity, but no column names one; name `entity` or split by time")
        parts = split(whole, target=target, holdout=holdout, test=test, seed=seed)
        train, held, kept = (cut(flatten(part)) for part in parts)
    else:
        ticks = np.arange(table.num_rows) if series.time is None else times(table.column(series.time), series.time)
        room = min(holdout, 1 - holdout - test) * table.num_rows / whole.num_rows  # steps of a series
        count = 1 if series.window is None else int(np.clip(room // (STRETCH * series.window), 1, STRETCHES))
        place = _stretches(ticks, holdout, test, count)
        whose = np.where(place == 2 * count, 2, place % 2)
        train, held, kept = (cut(table.filter(pa.array(whose == part)), place[whose == part]) for part in range(3))
    if train.num_rows < LEAST:
        raise InputError(f"{train.num_rows} series are too few to learn from; {LEAST} are needed: cut them by a window")
    return train, held, kept


def _stretches(ticks: NDArray[Any], holdout: float, test: float, count: int) -> NDArray[np.int64]:
    """(N,) which stretch of time a row is in: even ones of the model and odd ones of the holdout, `count` of each, and
    after them that of the test; rows of one time stay together."""
    last = np.arange(1, count + 1) * (1 - test) / count
    ends = np.quantile(ticks, np.stack([last - holdout / count, last], 1).ravel())
    return np.asarray(np.searchsorted(ends, ticks, side="left"))


def _draw(rows: np.ndarray, labels: np.ndarray | None, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = train_test_split(rows, test_size=count, random_state=seed % 2**32, stratify=labels)
    return first, second


def _classes(column: pa.ChunkedArray, smallest: int) -> np.ndarray | None:
    """Class number of each row, (N,) int64; None where the column is no class that can be stratified by."""
    if pa.types.is_nested(column.type):
        return None
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    classes = len(encoded.dictionary)
    labels = encoded.indices.to_numpy(zero_copy_only=False)
    too_few = np.bincount(labels, minlength=classes).min() < 4 if pa.types.is_integer(encoded.indices.type) else True
    return None if classes > min(CLASSES, smallest) or too_few else labels
