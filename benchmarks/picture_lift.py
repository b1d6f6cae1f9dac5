"""Lift of synthetic pictures from few labels: a classifier on real unseen digits, beside what people try.

For 10, 50 and 100 labels a class and several draws of them, the other training digits are a pool without labels, which
are seen in them (`synth.pseudo_labels`). A generator learns both; a classifier learns the labelled ones with each help,
or the whole pool by its pseudo-labels.

`python -m benchmarks.picture_lift --mnist FOLDER --minutes 2`
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.cells import settings
from benchmarks.digits import FOLDER, Digits, Labels, Levels, labels_of, mnist, pictures
from synth import Synthesizer
from synth.codecs.image import to_levels
from synth.console import stage
from synth.picture_learning import Aid, learn
from synth.pseudo_labels import pseudo_labelled
from synth.storage import read_json, write_json, write_text

log = logging.getLogger(__name__)
AIDS: tuple[Aid, ...] = ("nothing", "affine", "elastic", "rand_augment", "mixup")
STRATEGIES = (*AIDS, "pseudo_labels", "synthetic", "synthetic_affine")
DRAWN = 4000  # synthetic pictures, half of every batch
TITLES = "| help | accuracy | over nothing | over pseudo-labels |"
STEPS = 500  # of a classifier, whatever it is given


def main(
    mnist_folder: Annotated[Path, typer.Option("--mnist", help=FOLDER)],
    out: Annotated[Path, typer.Option(help="Folder for cells, lift.json and lift.md")] = Path("build/picture-lift"),
    system: Annotated[str, typer.Option(help="family:key=value,...")] = "image_gan",
    minutes: Annotated[float, typer.Option(help="Bound on each training of the generator")] = 2.0,
    labels: Annotated[list[int] | None, typer.Option(help="Labels a class; 10, 50 and 100 by default")] = None,
    draws: Annotated[int, typer.Option(min=2, help="Draws of the labelled pictures")] = 5,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
) -> None:
    """Score every strategy on every draw; a finished cell is kept."""
    train, unseen = mnist(mnist_folder)
    found: dict[str, Any] = {}
    for count in labels or (10, 50, 100):
        cells = []
        for draw in range(draws):
            kept = out / "cells" / f"{count}-{draw}.json"
            if not kept.is_file():
                write_json(kept, _cell(train, unseen, count, draw, system, minutes, threads))
            cells.append(read_json(kept))
            log.info("%d labels, draw %d: %s", count, draw, cells[-1])
        found[str(count)] = {name: _figures(cells, name) for name in STRATEGIES}
    write_json(out / "lift.json", found)
    write_text(out / "lift.md", markdown(found))
    typer.echo(markdown(found))


def _cell(
    train: Digits, unseen: Digits, count: int, draw: int, system: str, minutes: float, threads: int
) -> dict[str, float]:
    """Accuracy of each strategy on the unseen digits."""
    rng = np.random.default_rng([count, draw])
    each = [rng.choice(np.flatnonzero(train.labels == digit), count, replace=False) for digit in range(10)]
    rows = np.concatenate(each)
    known = train.take(rows)

    def score(images: Levels, labels: Labels, **more: Any) -> float:
        return learn(images, labels, 10, steps=STEPS, seed=draw, **more).accuracy(unseen.images, unseen.labels)

    scores: dict[str, float] = {aid: score(known.images, known.labels, aid=aid) for aid in AIDS}
    filled = _filled(train, rows, draw)
    scores["pseudo_labels"] = score(train.images, labels_of(filled), aid="affine")
    made = _made(filled, draw, system, minutes, threads)
    images, told = np.concatenate([known.images, made.images]), np.concatenate([known.labels, made.labels])
    share = np.repeat([1 / len(known.labels), 1 / len(made.labels)], [len(known.labels), len(made.labels)])
    scores["synthetic"] = score(images, told, share=share)
    scores["synthetic_affine"] = score(images, told, share=share, aid="affine")
    return {name: round(value, 4) for name, value in scores.items()}


def _filled(train: Digits, rows: NDArray[np.int64], seed: int) -> pa.Table:
    """All training digits with the labels of some rows, and those that are seen in the others."""
    labels: list[str | None] = [None] * len(train.labels)
    for row in rows:
        labels[row] = str(train.labels[row])
    return pseudo_labelled(pictures(train.images, label=labels), "label", seed=seed)


def _made(filled: pa.Table, seed: int, system: str, minutes: float, threads: int) -> Digits:
    """Drawn by a generator of the filled rows, equally many of each digit."""
    family, config = settings(system)
    model = Synthesizer(family, seed=seed, max_minutes=minutes, threads=threads, **config)
    drawn = model.fit(filled, target="label").sample_table(DRAWN, balance="label")
    return Digits(to_levels(drawn.column("image"), model.schema_["image"]), labels_of(drawn))


def _figures(cells: Sequence[dict[str, float]], name: str) -> dict[str, float]:
    """Mean accuracy, and paired differences from nothing and from pseudo-labels, with 95 % intervals."""
    figures = {"accuracy": round(float(np.mean([cell[name] for cell in cells])), 4)}
    for other in ("nothing", "pseudo_labels"):
        gains = np.array([cell[name] - cell[other] for cell in cells])
        half = float(student.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains)))
        figures[f"over_{other}"] = round(float(gains.mean()), 4)
        figures[f"over_{other}_half"] = round(half, 4)
    return figures


def markdown(found: dict[str, Any]) -> str:
    """A table for each number of labels, and what it says."""
    parts = []
    for count, strategies in found.items():
        lines = [f"{count} labels a class", "", TITLES, "|---|--:|--:|--:|"]
        for name, figures in strategies.items():
            gains = [
                f"{figures[f'over_{other}']:+.4f} ± {figures[f'over_{other}_half']:.4f}"
                for other in ("nothing", "pseudo_labels")
            ]
            lines.append(f"| {name.replace('_', ' ')} | {figures['accuracy']:.4f} | {' | '.join(gains)} |")
        parts.append("\n".join([*lines, "", verdict(strategies)]))
    return "\n\n".join(parts) + "\n"


def verdict(strategies: dict[str, dict[str, float]]) -> str:
    """Whether synthetic pictures are worth having, in one sentence."""
    ours = max(("synthetic", "synthetic_affine"), key=lambda name: strategies[name]["accuracy"])
    others = [name for name in STRATEGIES if not name.startswith("synthetic")]
    best = max(others, key=lambda name: strategies[name]["accuracy"])
    figures = strategies[ours]
    over = figures["over_nothing"] - figures["over_nothing_half"] > 0
    helped = "helps over real rows alone" if over else "gives no lift over real rows alone that is told from chance"
    ahead = figures["accuracy"] - strategies[best]["accuracy"]
    words = "ahead of" if ahead > 0 else "behind"
    return (
        f"{ours.replace('_', ' ').capitalize()} {helped}; it is {abs(ahead):.4f} {words} the best of what else was "
        f"tried ({best.replace('_', ' ')})."
    )


if __name__ == "__main__":
    stage(main)
