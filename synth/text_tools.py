"""What models of texts do with given ones: fill their gaps, encode them, tell the columns beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.codecs.corpus import GAP, TextCodec
from synth.codecs.table import restore
from synth.errors import ConfigError
from synth.frames import as_table
from synth.given_rows import row_blocks
from synth.layout import TEXT_GAP
from synth.models.base import TextModel
from synth.synthesizer import Synthesizer

if TYPE_CHECKING:
    import pandas as pd

Batch = dict[str, Tensor]


def infill(synthesizer: Synthesizer, data: pd.DataFrame | pa.Table, *, seed: int | None = None) -> pa.Table:
    """The rows of `data` with a token drawn for each `[MASK]` in their texts; all else stays as it is.

    The same seed gives the same texts. ConfigError where the family fills no gaps.
    """
    model, codec = _written(synthesizer)
    name, parts = codec.text.name, []

    def gapped(rows: pa.Table) -> dict[str, Tensor]:
        arrays = codec.encode(rows, gaps=True)
        return {name: torch.from_numpy(array).to(synthesizer.torch_device) for name, array in arrays.items()}

    for start, rows, batch, generator in row_blocks(synthesizer, data, seed, gapped):
        try:
            filled = model.infill(batch, generator).cpu().numpy()
        except NotImplementedError:
            raise ConfigError(f"infill: the family {synthesizer.model!r} fills no gaps") from None
        gaps, row = batch["text"].cpu().numpy() == TEXT_GAP, batch["row"].cpu().numpy()
        gaps[:, 0] = False  # it stands at the end of the page before
        texts = rows.column(name).to_pylist()
        for i in [i for i, text in enumerate(texts) if text is not None and GAP in text]:
            mine = row == i
            texts[i] = codec.filled(texts[i], filled[mine][gaps[mine]], start + i)
        field = rows.schema.field(name)
        made = pa.array(texts, pa.large_string()).cast(field.type)
        parts.append(rows.set_column(rows.column_names.index(name), field, made))
    return pa.concat_tables(parts) if parts else restore(as_table(data), synthesizer.schema_)


def embed(synthesizer: Synthesizer, data: pd.DataFrame | pa.Table) -> NDArray[np.float32]:
    """(N, W) texts as vectors; ConfigError where the family has none."""
    model, _ = _written(synthesizer)
    try:
        parts = [model.encode(batch).cpu().numpy() for _, _, batch, _ in row_blocks(synthesizer, data, None)]
    except NotImplementedError:
        raise ConfigError(f"embed: the family {synthesizer.model!r} has no vectors of texts") from None
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)


def classify(synthesizer: Synthesizer, data: pd.DataFrame | pa.Table, column: str) -> NDArray[np.float32]:
    """(N, K) chances of the values of a category beside the texts, in the order of `schema_[column].categories`;
    ConfigError where the family tells none, or the column is no category."""
    model, codec = _written(synthesizer)
    place = codec.place(column)
    known = codec.valued(place)
    if not known.any():
        raise ConfigError(f"classify: {column!r} is a {codec.schema[column].kind}; it takes a category")
    try:
        parts = [model.classify(batch)[place].cpu().numpy() for _, _, batch, _ in row_blocks(synthesizer, data, None)]
    except NotImplementedError:
        raise ConfigError(f"classify: the family {synthesizer.model!r} tells no columns of texts") from None
    chances = np.concatenate([np.zeros((0, len(known)), dtype=np.float32), *parts])[:, known]
    return np.asarray(chances / np.maximum(chances.sum(1, keepdims=True), 1e-9))


def _written(synthesizer: Synthesizer) -> tuple[TextModel, TextCodec]:
    model, codec = synthesizer.model_, synthesizer.codec_
    if not isinstance(model, TextModel) or not isinstance(codec, TextCodec):
        raise ConfigError(f"the family {synthesizer.model!r} learns no texts; this is for models of texts")
    return model, codec
