"""Contact sheets: some pictures of a table beside each other, for the eye."""

from __future__ import annotations

import base64
import io

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
    groups = _groups(frame, schema.target)
    columns = [[opened(pictures[row]["bytes"], f"row {row}") for row in rows[:ROWS]] for rows in groups]
    first = columns[0][0]
    scale = max(SIDE // max(first.size), 1)
    wide, high = (scale * side + GAP for side in first.size)
    sheet = pillow().new("RGB", (wide * len(columns) + GAP, high * ROWS + GAP), "white")
    for i, column in enumerate(columns):
        for j, picture in enumerate(column):
            drawn = picture.convert("RGB").resize((wide - GAP, high - GAP), pillow().Resampling.NEAREST)
            sheet.paste(drawn, (GAP + i * wide, GAP + j * high))
    sink = io.BytesIO()
    sheet.save(sink, "PNG")
    return "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode("ascii")


def _groups(frame: pd.DataFrame, target: str | None) -> list[NDArray[np.int64]]:
    """Row numbers, a group for each of the most frequent labels; in turn where there is no target."""
    if target is None:
        return [np.arange(start, len(frame), COLUMNS) for start in range(min(COLUMNS, len(frame)))]
    labels = frame[target].astype("string")
    kept = sorted(labels.value_counts().index[:COLUMNS])
    return [np.flatnonzero((labels == value).fillna(False).to_numpy(bool)) for value in kept]
