"""Rows that a fitted model is given, block after block, each with a generator of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from synth.codecs.table import restore
from synth.devices import processor_threads
from synth.frames import as_table
from synth.requests import LARGE_BLOCK
from synth.synthesizer import Synthesizer

if TYPE_CHECKING:
    import pandas as pd

Batch = dict[str, Tensor]


def row_blocks(
    synthesizer: Synthesizer,
    data: pd.DataFrame | pa.Table,
    seed: int | None,
    batch: Callable[[pa.Table], Batch] | None = None,
) -> Iterator[tuple[int, pa.Table, Batch, torch.Generator]]:
    """Number of the first row, rows, their batch and a generator of their own, LARGE_BLOCK rows at a time.

    batch: what the model takes of rows, `Synthesizer.batch` by default
    """
    table = restore(as_table(data), synthesizer.schema_)
    root = synthesizer.seed if seed is None else seed
    for index, start in enumerate(range(0, table.num_rows, LARGE_BLOCK)):
        rows = table.slice(start, LARGE_BLOCK)
        state = np.random.SeedSequence([root, index]).generate_state(1, np.uint64)[0]
        with processor_threads(synthesizer.threads), torch.no_grad():
            yield start, rows, (batch or synthesizer.batch)(rows), torch.Generator().manual_seed(int(state >> 1))
