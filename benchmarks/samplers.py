"""Quality against network evaluations of every sampler, of one diffusion model, as a table and a plot.

`python -m benchmarks.samplers --mnist FOLDER --model build/images/models/image_diffusion-15m-8000-0`
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.digits import FOLDER, mnist
from benchmarks.picture import LINES, REAL, Curve, curves, page
from synth import Synthesizer
from synth.console import stage
from synth.devices import processor_threads
from synth.evaluation.likeness import frechet, kernel
from synth.evaluation.picture_features import features
from synth.models import image_diffusion
from synth.nets.samplers import SAMPLERS
from synth.storage import write_json, write_text

log = logging.getLogger(__name__)
EVALUATIONS = (4, 6, 8, 12, 16, 32, 64)
LEAST = 0.3  # of a kernel distance, on the plot


def main(
    mnist_folder: Annotated[Path, typer.Option("--mnist", help=FOLDER)],
    model: Annotated[Path, typer.Option(help="A model directory of image_diffusion")],
    out: Annotated[Path, typer.Option(help="Folder for samplers.json and samplers.svg")] = Path("build/samplers"),
    rows: Annotated[int, typer.Option(help="Pictures of each cell")] = 2000,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    samplers: Annotated[list[str] | None, typer.Option("--sampler", help="all by default")] = None,
) -> None:
    """Draw by each sampler with each number of evaluations, without guidance, and measure."""
    train, unseen = mnist(mnist_folder)
    synthesizer = Synthesizer.load(model, device="cpu")
    drawer = synthesizer.model_
    if not isinstance(drawer, image_diffusion.Model):
        raise typer.BadParameter(f"{model}: not a model of image_diffusion")
    real, known = (features(digits.table().column("image")) for digits in (unseen, train))
    centre, scale = known.mean(0), known.std(0) + 1e-9
    floors = [kernel((real - centre) / scale, (known[i::4][: len(real)] - centre) / scale) for i in range(4)]
    found: dict[str, Any] = {"floor_kid": round(float(np.mean(floors)), 3), "cells": []}
    for name in samplers or SAMPLERS:
        for count in EVALUATIONS:
            steps = (count + 1) // 2 if name == "heun" else count
            drawer.config = drawer.config.model_copy(update={"sampler": name, "steps": steps, "guidance": 1.0})
            start = time.perf_counter()
            with processor_threads(threads), torch.no_grad():
                made = drawer.sample(rows, torch.Generator().manual_seed(0))
            seconds = time.perf_counter() - start
            table = synthesizer.codec_.decode(
                {key: tensor.numpy() for key, tensor in made.items()}, rows=range(rows), rng=np.random.default_rng(0)
            )
            x = (features(table.column("image")) - centre) / scale
            cell = {"sampler": name, "evaluations": 2 * steps - 1 if name == "heun" else steps}
            cell |= {
                "kid": round(kernel((real - centre) / scale, x), 3),
                "fid": round(frechet((real - centre) / scale, x), 4),
                "images_per_s": round(rows / seconds, 1),
            }
            found["cells"].append(cell)
            typer.echo(str(cell))
            write_json(out / "samplers.json", found)
    write_text(out / "samplers.svg", _plot(found))


def _plot(found: dict[str, Any]) -> str:
    """Kernel distances against evaluations, on a logarithmic axis that ends at LEAST."""
    names = list(dict.fromkeys(cell["sampler"] for cell in found["cells"]))
    places = sorted({cell["evaluations"] + cell["evaluations"] % 2 for cell in found["cells"]})

    def line(values: list[float], name: str, colour: str) -> Curve:
        logs = [math.log10(max(value, LEAST)) for value in values]
        return Curve(name, colour, [(value, value, value) for value in logs])

    lines = []
    for name, colour in zip(names, LINES, strict=False):
        lines.append(line([cell["kid"] for cell in found["cells"] if cell["sampler"] == name], name, colour))
    lines.append(line([found["floor_kid"]] * len(places), "real training rows", REAL))
    axis = f"log10 of the kernel distance x 1000 (at least {LEAST:g}), by network evaluations"
    return page([curves("Quality against network evaluations", axis, list(map(str, places)), lines, zero=False)], 800)


if __name__ == "__main__":
    stage(main)
