"""The commands beside those for all models: what models of pictures, texts and series do with given ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[str, typer.Argument(help="A folder of pictures, or a file, with the columns that MODEL learnt")]
Model = Annotated[Path, typer.Option(help="Model directory that `synth fit` wrote")]
Out = Annotated[Path, typer.Option(help="Parquet file to write")]
Seed = Annotated[int, typer.Option(min=0, max=2**62, help="Root of all randomness")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]


def transform(
    data: Data,
    model: Model,
    out: Out,
    how: Annotated[
        str | None,
        typer.Option(help="translate (cyclegan), dream (deepdream), reconstruct or denoise (image_vae), infill (bert)"),
    ] = None,
    where: Annotated[list[str] | None, typer.Option(help="label=value that the pictures shall have")] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Change the pictures of DATA: translate, dream, reconstruct, denoise; or fill each [MASK] in its texts: infill."""
    from synth.conditions import parse
    from synth.picture_tools import transform as change
    from synth.sources import read_table
    from synth.storage import check_file, write_parquet
    from synth.synthesizer import Synthesizer
    from synth.text_tools import infill

    check_file(out)
    wanted = dict(parse(text) for text in where or [])
    synthesizer = Synthesizer.load(model, device=device)
    rows = read_table(data)
    if how == "infill" and not wanted:
        changed, what = infill(synthesizer, rows, seed=seed), "texts"
    else:
        changed, what = change(synthesizer, rows, how, where=wanted, seed=seed), "pictures"
    write_parquet(out, changed)
    typer.echo(f"{out}: {changed.num_rows} {what} changed")


def compress(data: Data, model: Model, out: Out, device: Device = "auto") -> None:
    """Write the pictures of DATA without loss in as few bytes as MODEL, an image_vae, allows."""
    from synth.compression import compress as squeeze
    from synth.sources import read_table
    from synth.storage import check_file, write_parquet
    from synth.synthesizer import Synthesizer

    check_file(out)
    found = squeeze(Synthesizer.load(model, device=device), read_table(data))
    write_parquet(out, found.table)
    typer.echo(f"{out}: {found.table.num_rows} pictures, {found.bits_per_dim:.3f} bits per value")


def decompress(
    data: Annotated[str, typer.Argument(help="Parquet file that `synth compress` wrote")],
    model: Model,
    out: Out,
    device: Device = "auto",
) -> None:
    """Bring back the pictures that `synth compress` wrote by the same MODEL."""
    from synth.compression import decompress as expand
    from synth.storage import check_file, read_parquet, write_parquet
    from synth.synthesizer import Synthesizer

    check_file(out)
    found = expand(Synthesizer.load(model, device=device), read_parquet(data))
    write_parquet(out, found)
    typer.echo(f"{out}: {found.num_rows} pictures")


def forecast(
    data: Annotated[
        str, typer.Argument(help="What is known of the series: a long file with the columns that MODEL learnt")
    ],
    model: Model,
    horizon: Annotated[int, typer.Option(min=1, help="Steps to forecast")],
    out: Out,
    paths: Annotated[int, typer.Option(min=1, help="Ways in which each series may go on")] = 100,
    quantile: Annotated[
        list[float] | None, typer.Option(min=0, max=1, help="Write these quantiles over the paths in their place")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Forecast the steps that follow those of DATA by MODEL, of the family series_autoregressive."""
    from synth.series_tools import forecast as following
    from synth.series_tools import quantiles
    from synth.sources import read_table
    from synth.storage import check_file, write_parquet
    from synth.synthesizer import Synthesizer

    check_file(out)
    synthesizer = Synthesizer.load(model, device=device)
    made = following(synthesizer, read_table(data), horizon, paths=paths, seed=seed)
    if quantile:
        made = quantiles(made, synthesizer.schema_.arrow_schema, quantile)
    write_parquet(out, made)
    typer.echo(f"{out}: {made.num_rows} rows")
