"""Families of pictures side by side on handwritten digits: trained for a while, scored from outside.

`python -m benchmarks.images --mnist FOLDER --bench FOLDER` trains every family, one after the other, on the scorer's
8,000 digits, draws as many and scores them on its 2,000 unseen ones. A finished cell is kept.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer

from benchmarks.cells import settings
from benchmarks.processes import ProcessFailed, spend
from synth.codecs.image import from_levels, to_levels
from synth.console import stage
from synth.description import read_fitted
from synth.errors import InputError
from synth.models import available, family
from synth.storage import read_json, read_parquet, remove, write_json, write_parquet, write_text

log = logging.getLogger(__name__)

SHOWN = ("fid", "kid", "density", "coverage", "agreement", "cas", "two_sample_auc", "copies")
COMMAND = "synth.cli"


def main(
    mnist: Annotated[Path, typer.Option(help="Folder of MNIST's test digits, the pair of idx.gz files")],
    bench: Annotated[Path, typer.Option(help="Folder of the independent scorer")] = Path("../shared/bench"),
    systems: Annotated[
        list[str] | None, typer.Option("--system", help="family or family:key=value,...; all families by default")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Bound on each training")] = 15.0,
    rows: Annotated[int, typer.Option(help="Pictures to draw and to score")] = 8000,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    seed: int = 0,
    work: Annotated[Path, typer.Option(help="Models, pictures and cells")] = Path("build/images"),
) -> None:
    """Train, draw and score; write images.json and images.md."""
    scorer = bench / "image_scores.py"
    if not scorer.is_file():
        raise InputError(f"--bench {bench}: image_scores.py is not there; the scorers are not part of the project")
    train = _train(scorer, mnist, work)
    cells = []
    for system in systems or [name for name in available("image") if family(name).Model.draws]:
        name = f"{system.replace(':', '_').replace('/', '_')}-{minutes:g}m-{rows}-{seed}"
        kept = work / "cells" / f"{name}.json"
        if not kept.is_file():
            log.info("%s ...", system)
            write_json(kept, _cell(system, name, train, scorer, mnist, minutes, rows, threads, seed, work))
        cells.append(read_json(kept))
        write_json(work / "images.json", cells)
        write_text(work / "images.md", markdown(cells))
    typer.echo(markdown(cells))


def _train(scorer: Path, mnist: Path, work: Path) -> Path:
    """The scorer's training digits as Parquet."""
    place = work / "train.parquet"
    if not place.is_file():
        raw = work / "train.npz"
        raw.parent.mkdir(parents=True, exist_ok=True)
        spend([sys.executable, scorer, "--mnist", mnist, "--write-train", raw], work / "logs" / "train.log")
        with np.load(raw) as found:
            images, labels = found["images"], found["labels"]
        labels = pa.array([str(label) for label in labels])
        write_parquet(place, pa.table({"image": from_levels(images[:, None], range(len(images))), "label": labels}))
    return place


def _cell(
    system: str,
    name: str,
    train: Path,
    scorer: Path,
    mnist: Path,
    minutes: float,
    rows: int,
    threads: int,
    seed: int,
    work: Path,
) -> dict[str, Any]:
    name_of, config = settings(system)
    model, samples, drawn = (work / kind / name for kind in ("models", "samples", "drawn"))
    logs = work / "logs"
    changed = [part for key, value in config.items() for part in ("--set", f"{key}={value}")]
    try:
        if not (model / "model.safetensors").is_file():
            model.parent.mkdir(parents=True, exist_ok=True)
            fit = ["fit", str(train), "--out", str(model), "--model", name_of, "--target", "label"]
            more = ["--max-minutes", str(minutes), "--threads", str(threads), "--seed", str(seed), *changed]
            cost = spend([sys.executable, "-m", COMMAND, *fit, *more], logs / f"fit-{name}.log")
            write_json(logs / f"fit-{name}.json", {"fit_s": cost.seconds, "fit_cpu_s": cost.cpu_seconds})
        draw = ["sample", str(model), "--rows", str(rows), "--out", str(samples)]
        sampled = spend([sys.executable, "-m", COMMAND, *draw], logs / f"sample-{name}.log")
        table = read_parquet(samples)
        image = read_fitted(model).schema["image"]
        labels = table.column("label").to_numpy(zero_copy_only=False).astype(np.int64)
        drawn.parent.mkdir(parents=True, exist_ok=True)
        np.savez(drawn.with_suffix(".npz"), images=to_levels(table.column("image"), image)[:, 0], labels=labels)
        remove(samples)
        score = [sys.executable, str(scorer), "--mnist", str(mnist), "--synthetic", str(drawn.with_suffix(".npz"))]
        scores = spend(score, logs / f"score-{name}.log").answer()
    except ProcessFailed as error:
        return {"system": system, "status": "failed", "error": str(error)}
    costs = {**read_json(logs / f"fit-{name}.json"), "images_per_s": round(rows / sampled.seconds, 1)}
    return {"system": system, "status": "done", "scores": scores, "costs": costs}


def markdown(cells: Sequence[Mapping[str, Any]]) -> str:
    """A row for each family under that of real rows."""
    titles = [name.replace("_", " ") for name in SHOWN]
    lines = [f"| system | {' | '.join(titles)} | fit s | images/s |", f"|---|{'--:|' * (len(titles) + 2)}"]
    done = [cell for cell in cells if cell["status"] == "done"]
    if done:
        floors = {**done[0]["scores"], "floor_cas": done[0]["scores"]["cas_real"]}
        real = [f"{floors[f'floor_{name}']:.3f}" if f"floor_{name}" in floors else "" for name in SHOWN]
        lines.append(f"| real rows | {' | '.join(real)} | | |")
    for cell in cells:
        if cell["status"] != "done":
            lines.append(f"| {cell['system']} | failed: {cell['error']} |")
            continue
        figures = [f"{cell['scores'][name]:.3f}" for name in SHOWN]
        costs = cell["costs"]
        lines.append(
            f"| {cell['system']} | {' | '.join(figures)} | {costs['fit_s']:.0f} | {costs['images_per_s']:,.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    stage(main)
