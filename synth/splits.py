"""Train, holdout and test: drawn once, before anything is fitted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import train_test_split

from synth.errors import InputError

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
