"""Sheets of pictures beside each other, for the eye."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synth.imaging import opened, pillow
from synth.schema import Schema

ROWS, COLUMNS = 8, 12  # pictures of a sheet at most; a column for each label where there is a target
SIDE = 56  # pixels that small pictures are drawn at, about
GAP = 4


def contact_sheet(frame: pd.DataFrame, schema: Schema) -> str | None:
    """The first pictures of each label as a PNG in a data URI; None where the table has none."""
    name = next((column.name for column in schema.columns if column.kind == "image"), None)
    if name is None or not len(frame):
        return None
    pictures = frame[name].tolist()
    columns = [
        [opened(pictures[row]["bytes"], f"row {row}") for row in rows[:ROWS]] for rows in _groups(frame, schema.target)
    ]
    return uri(sheet([[column[i] if i < len(column) else None for column in columns] for i in range(ROWS)]))


def level_sheet(images: NDArray[np.uint8]) -> bytes:
    """Pictures (rows, columns, C, H, W) as a PNG."""
    make = pillow().fromarray
    return sheet([[make(x[0] if len(x) == 1 else x.transpose(1, 2, 0)) for x in row] for row in images])


def sheet(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows of equally many `PIL.Image`s of one size, None for a gap, as a PNG."""
    first = next(picture for row in rows for picture in row if picture is not None)
    scale = max(SIDE // max(first.size), 1)
    wide, high = (scale * side + GAP for side in first.size)
    whole = pillow().new("RGB", (wide * len(rows[0]) + GAP, high * len(rows) + GAP), "white")
    for j, row in enumerate(rows):
        for i, picture in enumerate(row):
            if picture is not None:
                drawn = picture.convert("RGB").resize((wide - GAP, high - GAP), pillow().Resampling.NEAREST)
                whole.paste(drawn, (GAP + i * wide, GAP + j * high))
    sink = io.BytesIO()
    whole.save(sink, "PNG")
    return sink.getvalue()


def uri(png: bytes) -> str:
    """A PNG as a data URI, which a page can hold."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _groups(frame: pd.DataFrame, target: str | None) -> list[NDArray[np.int64]]:
    """Row numbers, a group for each of the most frequent labels; in turn where there is no target."""
    if target is None:
        return [np.arange(start, len(frame), COLUMNS) for start in range(min(COLUMNS, len(frame)))]
    labels = frame[target].astype("string")
    kept = sorted(labels.value_counts().index[:COLUMNS])
    return [np.flatnonzero((labels == value).fillna(False).to_numpy(bool)) for value in kept]
