"""Mode collapse on stacked digits (Srivastava et al. 2017): three digits in the colour channels make 1,000 modes.

`python -m benchmarks.stacked --mnist FOLDER --minutes 8`
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.cells import settings
from benchmarks.digits import FOLDER, Digits, Levels, mnist
from synth import Synthesizer
from synth.codecs.image import to_levels
from synth.console import stage
from synth.picture_learning import Learnt, learn
from synth.storage import write_json

log = logging.getLogger(__name__)
ROWS, DRAWN = 24_000, 25_600  # stacked pictures to learn, and to draw
STEPS = 3000  # of the judge
SYSTEMS = (
    "image_gan:objective=non-saturating",
    "image_gan:objective=wasserstein,penalty=10,every=1,critic_steps=3,learning_rate=0.0005",
    "image_gan",
)


def main(
    mnist_folder: Annotated[Path, typer.Option("--mnist", help=FOLDER)],
    out: Annotated[Path, typer.Option(help="JSON file to write")] = Path("build/stacked.json"),
    systems: Annotated[list[str] | None, typer.Option("--system", help="family:key=value,...; three games")] = None,
    minutes: Annotated[float, typer.Option(help="Bound on each training")] = 8.0,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    seed: int = 0,
) -> None:
    """Train each system without labels, count the modes that it draws, and write the figures."""
    train, unseen = mnist(mnist_folder)
    judge = learn(train.images, train.labels, 10, aid="affine", steps=STEPS, seed=seed)
    rng = np.random.default_rng(seed)
    real = _stacked(train, ROWS, rng)
    found: dict[str, Any] = {
        "judge": round(judge.accuracy(unseen.images, unseen.labels), 4),
        "real": _figures(judge, _stacked(unseen, DRAWN, rng).images),
    }
    rows = real.table().select(["image"])
    for system in systems or SYSTEMS:
        family, config = settings(system)
        model = Synthesizer(family, seed=seed, max_minutes=minutes, threads=threads, **config).fit(rows)
        drawn = model.sample_table(DRAWN)
        found[system] = _figures(judge, to_levels(drawn.column("image"), model.schema_["image"]))
        typer.echo(f"{system}: {found[system]}")
        write_json(out, found)
    typer.echo(f"real rows: {found['real']}, judge {found['judge']}")


def _stacked(digits: Digits, count: int, rng: np.random.Generator) -> Digits:
    rows = rng.integers(len(digits.labels), size=(count, 3))
    images = digits.images[rows, 0]  # (N, 3, H, W)
    return Digits(images, digits.labels[rows] @ np.array([100, 10, 1]))


def _figures(judge: Learnt, images: Levels) -> dict[str, float]:
    """Modes of 1,000 that are found, and the divergence of their shares from equal ones, in nats."""
    seen = np.stack([judge.chances(images[:, channel : channel + 1]).argmax(1) for channel in range(3)], 1)
    counts: NDArray[np.int64] = np.bincount(seen @ np.array([100, 10, 1]), minlength=1000)
    shares = counts / counts.sum()
    there = shares[shares > 0]
    return {"modes": int((counts > 0).sum()), "kl": round(float((there * np.log(there * 1000)).sum()), 4)}


if __name__ == "__main__":
    stage(main)
