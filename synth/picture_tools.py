"""What models of pictures do with given ones: change them, encode them, say how unlike the training ones they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth import models
from synth.codecs.image import ImageCodec
from synth.codecs.table import restore
from synth.devices import processor_threads
from synth.errors import ConfigError
from synth.frames import as_table
from synth.given_rows import row_blocks
from synth.models.base import ImageModel
from synth.requests import Request
from synth.sheets import level_sheet, uri
from synth.synthesizer import Synthesizer

if TYPE_CHECKING:
    import pandas as pd

Batch = dict[str, Tensor]
WALKS, FRAMES = 6, 12  # of the report


def transform(
    synthesizer: Synthesizer,
    data: pd.DataFrame | pa.Table,
    how: str | None = None,
    *,
    where: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> pa.Table:
    """The rows of `data` with other pictures, and with the labels that these have then.

    how: one of the family's `transforms`, the first by default
    where: label -> the value that the pictures shall have, of a family that can make them have it
    The same seed gives the same pictures; those of n rows are the first of more. ConfigError where the family changes
    no pictures, or not so; InputError for rows of another kind than it learnt.
    """
    model, codec = _pictured(synthesizer)
    if not model.transforms:
        able = [name for name in models.available("image") if models.family(name).Model.transforms]
        raise ConfigError(f"the family {synthesizer.model!r} changes no pictures; these do: {', '.join(able)}")
    how = how or model.transforms[0]
    if how not in model.transforms:
        raise ConfigError(f"the family {synthesizer.model!r} cannot {how}; it can: {', '.join(model.transforms)}")
    asked = _asked(codec, where or {})
    parts = []
    for start, rows, batch, generator in row_blocks(synthesizer, data, seed):
        wanted = asked.to(batch["tokens"].device).expand_as(batch["tokens"])
        changed = {
            name: tensor.cpu().numpy() for name, tensor in model.transform(how, batch, wanted, generator).items()
        }
        parts.append(_replaced(rows, codec, batch["tokens"].cpu().numpy(), changed, start))
    return pa.concat_tables(parts) if parts else restore(as_table(data), synthesizer.schema_)


def encode(synthesizer: Synthesizer, data: pd.DataFrame | pa.Table) -> NDArray[np.float32]:
    """(N, Z) pictures as codes; ConfigError where the family has none."""
    model, _ = _pictured(synthesizer)
    try:
        parts = [model.encode(batch).cpu().numpy() for _, _, batch, _ in row_blocks(synthesizer, data, None)]
    except NotImplementedError:
        raise ConfigError(f"encode: the family {synthesizer.model!r} has no codes") from None
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)


def anomaly_scores(synthesizer: Synthesizer, data: pd.DataFrame | pa.Table) -> NDArray[np.float64]:
    """(N,) in nats, the higher the less a picture is like the training ones; ConfigError where the family has none."""
    model, _ = _pictured(synthesizer)
    try:
        parts = [model.anomaly_score(batch).cpu().numpy() for _, _, batch, _ in row_blocks(synthesizer, data, None)]
    except NotImplementedError:
        raise ConfigError(f"anomaly scores: the family {synthesizer.model!r} has none") from None
    return np.concatenate([np.zeros(0), *parts]).astype(np.float64)


def walks(synthesizer: Synthesizer, rows: int, frames: int, *, seed: int | None = None) -> NDArray[np.uint8] | None:
    """(rows, frames, C, H, W) pictures on the way from one draw to another; None where a family has no such way."""
    model, _ = _pictured(synthesizer)
    if model.noise_shape is None:
        return None
    generator = torch.Generator().manual_seed(synthesizer.seed if seed is None else seed)
    with processor_threads(synthesizer.threads):
        return model.walk(rows, frames, generator).cpu().numpy()


def walk_sheet(synthesizer: Synthesizer) -> str | None:
    """Some walks as a PNG in a data URI, for the report; None where there are none."""
    if not isinstance(synthesizer.model_, ImageModel):
        return None
    found = walks(synthesizer, WALKS, FRAMES)
    return None if found is None else uri(level_sheet(found))


def _pictured(synthesizer: Synthesizer) -> tuple[ImageModel, ImageCodec]:
    model, codec = synthesizer.model_, synthesizer.codec_
    if not isinstance(model, ImageModel) or not isinstance(codec, ImageCodec):
        raise ConfigError(f"the family {synthesizer.model!r} learns tables; this is for models of pictures")
    return model, codec


def _asked(codec: ImageCodec, where: Mapping[str, Any]) -> Tensor:
    """(1, D) labels that are asked for, -1 where none is."""
    found = torch.full((1, len(codec.layout.columns)), -1, dtype=torch.int64)
    for place, spans in Request.make(codec, where, None).spans.items():
        allowed = np.flatnonzero(spans[:, 0] <= spans[:, 1])
        if len(allowed) != 1:
            raise ConfigError(f"where: {codec.layout.columns[place].name!r}: one value can be asked for at a time")
        found[0, place] = int(allowed[0])
    return found


def _replaced(
    rows: pa.Table, codec: ImageCodec, before: NDArray[np.int64], changed: Mapping[str, NDArray[Any]], start: int
) -> pa.Table:
    """The rows with the new pictures, and with the new labels of those columns that have some."""
    numbers = range(start, start + rows.num_rows)
    made = codec.decode(changed, rows=numbers, rng=np.random.default_rng(0))
    moved = (changed["tokens"] != before).any(0)
    names = [codec.image.name, *(c.name for c, new in zip(codec.layout.columns, moved, strict=True) if new)]
    for name in names:
        place = rows.column_names.index(name)
        rows = rows.set_column(place, rows.schema.field(place), made.column(name))
    return rows
