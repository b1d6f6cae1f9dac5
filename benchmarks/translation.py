"""CycleGAN on real digits: scikit-learn's to MNIST's judged by a classifier, and digits to their edges by hidden pairs.

`python -m benchmarks.translation --mnist FOLDER --minutes 8`
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.cells import settings
from benchmarks.digits import FOLDER, Digits, Labels, Levels, mnist, pictures, small
from synth import Synthesizer
from synth.codecs.image import to_levels
from synth.console import stage
from synth.picture_learning import learn
from synth.picture_tools import transform
from synth.sheets import level_sheet
from synth.storage import replacing, write_json

log = logging.getLogger(__name__)
STEPS = 1500  # of each classifier
SEEDS = 3  # classifiers of each kind
WIDE = 16  # pictures in a row of a sheet
NUDGE = 8  # standard deviation of the noise that is put on a translation before the way back, in levels


def main(
    mnist_folder: Annotated[Path, typer.Option("--mnist", help=FOLDER)],
    out: Annotated[Path, typer.Option(help="Folder for figures, models and sheets")] = Path("build/translation"),
    system: Annotated[str, typer.Option(help="cyclegan:key=value,...")] = "cyclegan",
    minutes: Annotated[float, typer.Option(help="Bound on each training")] = 8.0,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    task: Annotated[list[str] | None, typer.Option(help="writers or edges; both by default")] = None,
    seed: int = 0,
) -> None:
    """Train on each task, judge, and write the figures."""
    train, unseen = mnist(mnist_folder)
    tasks = {"writers": _writers, "edges": _edges}
    found: dict[str, Any] = {}
    for name in task or list(tasks):
        family, config = settings(system)
        model = Synthesizer(family, seed=seed, max_minutes=minutes, threads=threads, **config)
        figures = tasks[name](train, unseen, model, out)
        found[name] = {key: round(value, 4) for key, value in figures.items()}
        model.save(out / name)
        typer.echo(f"{name}: {found[name]}")
    write_json(out / "translation.json", found)


def _writers(train: Digits, unseen: Digits, model: Synthesizer, out: Path) -> dict[str, float]:
    """Accuracy on MNIST of classifiers that learn scikit-learn's labelled digits, as they are and translated.

    Labels of MNIST's are told to nobody."""
    source = small()
    _fit(model, source.images, train.images, source.labels)
    made = _translated(model, source.images, "a", source.labels)
    _show(source.images, made, out / "writers.png")
    accuracies = {
        name: float(np.mean([_accuracy(images, source.labels, unseen, seed) for seed in range(SEEDS)]))
        for name, images in (("untranslated", source.images), ("translated", made))
    }
    ceiling = np.mean([_accuracy(train.images, train.labels, unseen, seed) for seed in range(SEEDS)])
    return {**accuracies, "gain": accuracies["translated"] - accuracies["untranslated"], "real": float(ceiling)}


def _edges(train: Digits, unseen: Digits, model: Synthesizer, out: Path) -> dict[str, float]:
    """Digits of one half and edges of the other, unpaired; judged on unseen digits, whose edges are known."""
    half = len(train.images) // 2
    _fit(model, edges(train.images[:half]), train.images[half:])
    outline = edges(unseen.images)
    digits, lines = _translated(model, outline, "a"), _translated(model, unseen.images, "b")
    _show(outline, digits, out / "digits.png")
    _show(unseen.images, lines, out / "edges.png")
    back = _translated(model, lines, "a")
    noise = np.random.default_rng(0).normal(0, NUDGE, lines.shape)
    nudged = _translated(model, (lines + noise).round().clip(0, 255).astype(np.uint8), "a")
    judge = learn(train.images, train.labels, 10, aid="affine", steps=STEPS)
    return {
        "digit_error": _error(digits, unseen.images),
        "digit_error_floor": _error(np.roll(unseen.images, 1, 0), unseen.images),
        "digit_error_of_edges": _error(outline, unseen.images),
        "edge_error": _error(lines, outline),
        "edge_error_floor": _error(np.roll(outline, 1, 0), outline),
        "edge_error_of_digits": _error(unseen.images, outline),
        "label_kept": judge.accuracy(digits, unseen.labels),
        "label_of_edges": judge.accuracy(outline, unseen.labels),
        "label_of_real": judge.accuracy(unseen.images, unseen.labels),
        "cycle_error": _error(back, unseen.images),
        "cycle_error_nudged": _error(nudged, unseen.images),
    }


def edges(images: Levels) -> Levels:
    """Magnitude of the Sobel gradient, scaled to 0 .. 255."""
    x = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
    columns = x[:, :, :, :-2] + 2 * x[:, :, :, 1:-1] + x[:, :, :, 2:]
    across = rows[:, :, :, 2:] - rows[:, :, :, :-2]
    down = columns[:, :, 2:] - columns[:, :, :-2]
    return np.asarray((np.hypot(across, down) / 4).clip(0, 255).round(), dtype=np.uint8)


def _fit(model: Synthesizer, a: Levels, b: Levels, labels: Labels | None = None) -> None:
    """Learn to translate between pictures of the domains `a` and `b`, of which there are equally many in a batch;
    labels: of those of `a`, where some are known."""
    count = max(len(a), len(b))
    images = np.concatenate([np.resize(a, (count, *a.shape[1:])), np.resize(b, (count, *b.shape[1:]))])
    columns: dict[str, list[Any]] = {"domain": ["a"] * count + ["b"] * count}
    if labels is not None:
        columns["label"] = [*map(str, np.resize(labels, count)), *[None] * count]
    model.fit(pictures(images, **columns), target="domain")


def _show(before: Levels, after: Levels, place: Path) -> None:
    """Pictures above their translations."""
    rows = [x[start : start + WIDE] for start in range(0, 3 * WIDE, WIDE) for x in (before, after)]
    with replacing(place) as temporary:
        temporary.write_bytes(level_sheet(np.stack(rows)))


def _translated(model: Synthesizer, images: Levels, source: str, labels: Labels | None = None) -> Levels:
    columns = {"domain": [source] * len(images)}
    if labels is not None:
        columns["label"] = list(map(str, labels))
    return to_levels(transform(model, pictures(images, **columns)).column("image"), model.schema_["image"])


def _accuracy(images: Levels, labels: NDArray[np.int64], unseen: Digits, seed: int) -> float:
    return learn(images, labels, 10, aid="affine", steps=STEPS, seed=seed).accuracy(unseen.images, unseen.labels)


def _error(made: Levels, real: Levels) -> float:
    """Mean absolute difference in levels."""
    return float(np.abs(made.astype(np.float64) - real).mean())


if __name__ == "__main__":
    stage(main)
