"""Text to image on handwritten digits: drawn from captions, judged by a classifier of its own and by measuring anew.

`python -m benchmarks.text_to_image --mnist FOLDER --system image_diffusion --minutes 15`
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import captions
from benchmarks.captions import Attributes, Borders
from benchmarks.cells import settings
from benchmarks.digits import FOLDER, SIDE, Digits, Levels, mnist, pictures
from synth import Synthesizer
from synth.codecs.image import to_levels
from synth.console import stage
from synth.picture_learning import Learnt, learn
from synth.storage import write_json

log = logging.getLogger(__name__)
SYSTEMS = ("image_diffusion", "image_diffusion:codes=4,blocks=3", "image_autoregressive")
COPIES = 3  # of each training digit, at sizes of their own
STEPS = 3000  # of the judge
Said = list[dict[str, int]]


def main(
    mnist_folder: Annotated[Path, typer.Option("--mnist", help=FOLDER)],
    out: Annotated[Path, typer.Option(help="Folder for figures, models and sheets")] = Path("build/text_to_image"),
    systems: Annotated[list[str] | None, typer.Option("--system", help="family or family:key=value,...")] = None,
    minutes: Annotated[float, typer.Option(help="Bound on each training")] = 15.0,
    rows: Annotated[int, typer.Option(help="Pictures to draw of seen and of held-out combinations each")] = 1000,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    scenes: Annotated[bool, typer.Option(help="Two digits beside each other in the place of one")] = False,
    seed: int = 0,
) -> None:
    """Train each system on captioned digits, draw from captions, judge, and write the figures."""
    learnt, unseen = mnist(mnist_folder)
    rng = np.random.default_rng(seed)
    borders = Borders.of(learnt.images)
    train = captions.resized(learnt.take(np.tile(np.arange(len(learnt.labels)), COPIES)), rng)
    judge = learn(train.images, train.labels, 10, aid="affine", steps=STEPS, seed=seed)
    judged = _scenes if scenes else _single
    for system in systems or SYSTEMS:
        family, config = settings(system)
        model = Synthesizer(family, seed=seed, max_minutes=minutes, threads=threads, **config)
        name = system.replace(":", "_").replace("/", "_") + ("-scenes" if scenes else "")
        task = Task(train, captions.resized(unseen, rng), judge, borders, rows, rng, out / name)
        figures = judged(model, task)
        model.save(out / name / "model")
        write_json(out / name / "figures.json", figures)
        typer.echo(f"{name}: {figures}")


@dataclass(frozen=True)
class Task:
    """What systems learn and are judged by; a sheet of what they draw goes to `place`."""

    train: Digits
    unseen: Digits
    judge: Learnt
    borders: Borders
    rows: int
    rng: np.random.Generator
    place: Path

    def seen(self, images: Levels) -> Attributes:
        """The attributes of drawn pictures, their digits by the judge."""
        return captions.seen(images, self.judge.chances(images).argmax(1), self.borders, clear=False)


def _single(model: Synthesizer, task: Task) -> dict[str, Any]:
    train, unseen, borders, rng = task.train, task.unseen, task.borders, task.rng
    known = captions.seen(train.images, train.labels, borders, clear=True)
    out = captions.held_out()
    shown = np.flatnonzero(~captions.is_held_out(known, out))
    said = captions.chosen(known.take(shown), rng)
    model.fit(pictures(train.images[shown], caption=[captions.caption(one) for one in said]))

    real = captions.chosen(captions.seen(unseen.images, unseen.labels, borders, clear=True), rng)
    figures: dict[str, Any] = {"real": captions.kept(real, task.seen(unseen.images)), "pictures": len(shown)}
    asked = [said[i] for i in rng.permutation(len(said))[: task.rows]]
    held: Said = [
        {"digit": d, "size": s, "weight": w, "slant": int(rng.integers(3))}
        for d, s, w in (out[i % len(out)] for i in range(task.rows))
    ]
    for name, wanted in (("seen", asked), ("held_out", held)):
        images = drawn(model, [captions.caption(one) for one in wanted], task.place / f"{name}.png")
        found = task.seen(images)
        figures[name] = captions.kept(wanted, found)
        figures[f"{name}_shuffled"] = captions.kept([wanted[i] for i in rng.permutation(len(wanted))], found)
    return figures


def _scenes(model: Synthesizer, task: Task) -> dict[str, Any]:
    """Two digits of a size each, one left or right of the other; the halves of a picture are judged by themselves."""
    rng = task.rng

    def paired(digits: Digits) -> tuple[Levels, list[str], list[tuple[dict[str, int], dict[str, int]]]]:
        order = rng.permutation(len(digits.labels))
        found = captions.seen(digits.images, digits.labels, task.borders, clear=False)
        texts, halves = [], []
        left, right = order[: len(order) // 2], order[len(order) // 2 : 2 * (len(order) // 2)]
        for pair in zip(left, right, strict=True):
            a, b = ({"digit": int(found.digit[i]), "size": int(found.size[i])} for i in pair)
            halves.append((a, b))
            texts.append(scene(a, b, bool(rng.integers(2))))
        return np.concatenate([digits.images[left], digits.images[right]], 3), texts, halves

    def kept(halves: list[tuple[dict[str, int], dict[str, int]]], images: Levels) -> dict[str, float]:
        found = [task.seen(side) for side in (images[..., :SIDE], images[..., SIDE:])]
        sides = [captions.kept([pair[i] for pair in halves], found[i]) for i in (0, 1)]
        return {name: round((sides[0][name] + sides[1][name]) / 2, 4) for name in sides[0]}

    images, texts, _ = paired(task.train)
    model.fit(pictures(images, caption=texts))
    real, wanted, halves = paired(task.unseen)
    made = drawn(model, wanted[: task.rows], task.place / "scenes.png")
    halves = halves[: task.rows]
    order = rng.permutation(len(halves))
    return {
        "real": kept(halves, real[: len(halves)]),
        "drawn": kept(halves, made),
        "shuffled": kept([halves[i] for i in order], made),
        "swapped": kept([(b, a) for a, b in halves], made),
        "pictures": len(images),
    }


def scene(left: dict[str, int], right: dict[str, int], forward: bool) -> str:
    """`a small three left of a large eight`, or the same from the other side."""
    first, second = captions.caption(left), captions.caption(right)
    return f"{first} left of {second}" if forward else f"{second} right of {first}"


def drawn(model: Synthesizer, texts: list[str], sheet: Path) -> Levels:
    """A picture of each caption; some of them on a sheet."""
    table = model.sample_table(len(texts), where={"caption": texts})
    images = to_levels(table.column("image"), model.schema_["image"])
    save_sheet(images, texts, sheet)
    return images


def save_sheet(images: Levels, texts: list[str], place: Path, count: int = 24) -> None:
    """The first pictures with their captions."""
    from PIL import Image, ImageDraw

    high, wide = images.shape[2] * 4, max(images.shape[3] * 4, 190)
    sheet = Image.new("RGB", (wide * 6, (high + 16) * (count // 6)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (picture, text) in enumerate(zip(images[:count, 0], texts, strict=False)):
        x, y = i % 6 * wide, i // 6 * (high + 16)
        sheet.paste(Image.fromarray(picture).resize((picture.shape[1] * 4, high), Image.Resampling.NEAREST), (x, y))
        pen.text((x + 2, y + high + 2), text, fill="black")
    place.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(place)


if __name__ == "__main__":
    stage(main)
