"""What models of series do with given ones: forecast the steps that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from synth.codecs.series import SeriesCodec
from synth.codecs.table import restore
from synth.devices import processor_threads
from synth.errors import ConfigError, InputError
from synth.frames import as_table
from synth.models.base_series import SeriesModel
from synth.nest import times
from synth.requests import LARGE_BLOCK
from synth.series import flatten, lengths, nest_like, nesting, numbered
from synth.synthesizer import Synthesizer

if TYPE_CHECKING:
    import pandas as pd

PATH = "path"  # column that numbers the paths of a series


def forecast(
    synthesizer: Synthesizer,
    history: pd.DataFrame | pa.Table,
    horizon: int,
    *,
    paths: int = 100,
    seed: int | None = None,
) -> pa.Table:
    """The steps that may follow: a long table with `horizon` rows for each of `paths` paths of every series.

    history: long, with the columns that the model learnt, but those that number what was cut; of each series as many of
        the latest steps are used as the model can look back
    A column `path` numbers the paths; series come in the order of their first times. The same seed gives the same rows.
    InputError for a horizon beyond what the model has learnt, ConfigError where the family forecasts nothing.
    """
    model, codec = synthesizer.model_, synthesizer.codec_
    if not isinstance(model, SeriesModel) or not isinstance(codec, SeriesCodec):
        raise ConfigError(f"the family {synthesizer.model!r} learns no series; forecasts are for those that do")
    longest = codec.layout.longest
    if not 0 < horizon < longest:
        raise InputError(f"horizon {horizon}: the longest series that the model has learnt has {longest} steps")
    if not len(history):
        raise InputError("the history has no rows; there is nothing to go on from")
    table = _latest(as_table(history), codec, longest - horizon)
    root = synthesizer.seed if seed is None else seed
    counts, together = lengths(table), max(LARGE_BLOCK // paths, 1)
    parts, owners = [], []
    for count in np.unique(counts):
        alike = np.flatnonzero(counts == count)
        for start in range(0, len(alike), together):
            chosen = alike[start : start + together]
            rng = np.random.default_rng([root, int(count), start])
            parts.append(_following(synthesizer, model, codec, table.take(pa.array(chosen)), horizon, paths, rng))
            owners.append(np.repeat(chosen, paths * horizon))
    return pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(owners), kind="stable")))


def quantiles(paths: pa.Table, schema: pa.Schema, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> pa.Table:
    """Of every step of a forecast the quantiles of its numbers over the paths: long, `name q` for each; times and what
    a series has once as they are."""
    found = nesting(schema)
    assert found is not None  # noqa: S101 - forecasts have one
    frame = paths.to_pandas()
    frame["step"] = frame.groupby([*found.entity, PATH], sort=False, dropna=False).cumcount()
    groups = frame.groupby([*found.entity, "step"], sort=False, dropna=False)
    numbers = [n for n in found.steps if pa.types.is_integer(paths[n].type) or pa.types.is_floating(paths[n].type)]
    first = groups.first().reset_index()
    kept = [name for name in paths.column_names if name not in found.steps and name != PATH]
    columns = {name: first[name] for name in [*kept, *([found.time] if found.time else [])]}
    for name in numbers:
        if name != found.time:
            for level in levels:
                columns[f"{name} {level:g}"] = groups[name].quantile(level).to_numpy()
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _latest(history: pa.Table, codec: SeriesCodec, most: int) -> pa.Table:
    """The history nested as the model's rows are, of each series the latest steps."""
    schema = codec.schema.arrow_schema
    found = nesting(schema)
    assert found is not None  # noqa: S101 - a schema of series has one
    for name in found.entity:
        if name not in found.given and name not in history.column_names:
            groups = list(found.given)
            numbers = numbered([history.column(group) for group in groups], history.num_rows)
            history = history.append_column(name, pa.array(numbers))
    if found.time is not None and found.time in history.column_names:
        history = history.take(pa.array(np.argsort(times(history.column(found.time), found.time), kind="stable")))
    nested = nest_like(history, schema)
    counts = lengths(nested)
    left = np.repeat(counts.cumsum(), counts) - np.arange(counts.sum())  # steps up to the end of each one's series
    return restore(nest_like(flatten(nested).filter(pa.array(left <= most)), schema), codec.schema)


def _following(
    synthesizer: Synthesizer,
    model: SeriesModel,
    codec: SeriesCodec,
    rows: pa.Table,
    horizon: int,
    paths: int,
    rng: np.random.Generator,
) -> pa.Table:
    arrays = codec.encode(rows)
    count = int(arrays["length"][0])
    layout = codec.layout
    wanted = np.flatnonzero(layout.lengths >= count + horizon)
    arrays["tokens"][:, layout.length] = wanted[layout.lengths[wanted].argmin()]
    known = {name: arrays[name][:, :count] for name in ("steps", "states") if name in arrays} | {
        "tokens": arrays["tokens"]
    }
    batch = {
        name: torch.from_numpy(part).to(synthesizer.torch_device).repeat_interleave(paths, 0)
        for name, part in known.items()
    }
    states = {name: np.repeat(state, paths) for name, state in codec.ends(rows).items()}
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    with processor_threads(synthesizer.threads), torch.no_grad():
        try:
            following = model.continued(batch["tokens"], batch, states, horizon, generator)
        except NotImplementedError:
            raise ConfigError(f"forecast: the family {synthesizer.model!r} tells no steps that follow") from None
    repeated = rows.take(pa.array(np.repeat(np.arange(rows.num_rows), paths)))
    made = flatten(
        codec.following(repeated, {name: part.cpu().numpy() for name, part in following.items()}, states, rng)
    )
    numbers = np.tile(np.repeat(np.arange(paths), horizon), rows.num_rows)
    return made.append_column(PATH, pa.array(numbers))
