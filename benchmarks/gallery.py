"""The gallery: every generative system trained on bundled digits on two cores, on one page of pictures and figures.

`make gallery`, or `python -m benchmarks.gallery --digits mnist_5k.csv.gz`. What is trained already is kept.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks import captions
from benchmarks.captions import Borders
from benchmarks.digits import Digits, labels_of, pictures, psnr, small
from benchmarks.processes import spend
from synth import Synthesizer
from synth.codecs.image import from_levels, to_levels
from synth.compression import compress
from synth.console import stage
from synth.detection import detect
from synth.evaluation import diversity
from synth.evaluation.encoding import encode as views_of
from synth.evaluation.likeness import measure as likeness
from synth.frames import to_pandas
from synth.models import family
from synth.picture_tools import transform, walk_sheet
from synth.pictures import read_pixels
from synth.sheets import contact_sheet, level_sheet, uri
from synth.storage import read_json, read_parquet, write_json, write_parquet, write_text

log = logging.getLogger(__name__)

LEARNT = 4000  # of the 5,000 digits
DRAWN = 2000
SHOWN = 12  # pictures of a strip
COMMAND = "synth.cli"
COLUMNS = ("frechet_distance", "kernel_distance", "agreement", "density", "coverage")


@dataclass(frozen=True)
class Piece:
    """One trained system. data: name of the table that it learns; minutes: bound on its training."""

    name: str
    family: str
    data: str
    minutes: float
    target: str | None = "label"
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def drawn(self) -> bool:
        """Whether so many pictures of it are drawn and measured."""
        return self.data == "digits" and family(self.family).Model.draws


WASSERSTEIN = {"objective": "wasserstein", "penalty": 10, "every": 1}
SLIM = {"widths": [24, 48]}  # less than half of the default, for processors without fast bfloat16
WIDER = {"widths": [32, 64]}
PIECES = (
    Piece("diffusion", "image_diffusion", "digits", 9, config=WIDER),
    Piece("latent diffusion", "image_diffusion", "digits", 6, config={"codes": 4, "encoder_widths": [24, 48]}),
    Piece("GAN, relativistic", "image_gan", "digits", 8, config=SLIM),
    Piece("GAN, Wasserstein", "image_gan", "digits", 5, config={**SLIM, **WASSERSTEIN}),
    Piece("StyleGAN", "stylegan", "digits", 8, config=SLIM),
    Piece("VAE, two stages", "image_vae", "digits", 7, config=SLIM),
    Piece("normalizing flow", "image_flow", "digits", 7, config={"widths": [64, 48], "small_width": 128}),
    Piece("autoregressive", "image_autoregressive", "digits", 7, config={**SLIM, "width": 128}),
    Piece("text to image", "image_diffusion", "captioned", 9, None, config=WIDER),
    Piece("CycleGAN", "cyclegan", "domains", 6, "domain", config=SLIM),
    Piece("DeepDream", "deepdream", "digits", 1.5),
)


def main(
    digits: Annotated[Path, typer.Option(help="CSV of 784 levels and the digit in each line")],
    out: Annotated[Path, typer.Option(help="Folder for models, figures and the page")] = Path("build/gallery"),
    scale: Annotated[float, typer.Option(help="Of all minutes; 1 fits into 45 on two cores")] = 1.0,
    together: Annotated[int, typer.Option(help="Trainings beside each other, one processor thread each")] = 2,
    seed: int = 0,
) -> None:
    """Train what is not trained yet, measure, and write index.html."""
    start = time.monotonic()
    tables = _tables(digits, seed)
    for name, table in tables.items():
        write_parquet(out / "data" / f"{name}.parquet", table)
    with ThreadPoolExecutor(together) as pool:
        for done in [pool.submit(_train, piece, out, scale, seed) for piece in PIECES]:
            done.result()
    sections = [_section(piece, out, tables) for piece in PIECES]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("gallery.html.j2").render(
        sections=sections, columns=COLUMNS, floor=_floor(tables), minutes=round((time.monotonic() - start) / 60, 1)
    )
    write_text(out / "index.html", page)
    typer.echo(f"{out / 'index.html'}: {len(sections)} systems in {(time.monotonic() - start) / 60:.1f} minutes")


def _tables(file: Path, seed: int) -> dict[str, pa.Table]:
    """Labelled digits, unseen ones, captioned ones, and two domains."""
    table = read_pixels(file, 28, 28, None)
    order = np.random.default_rng(seed).permutation(table.num_rows)
    train, unseen = table.take(order[:LEARNT]), table.take(order[LEARNT:])
    known = _digits(train)
    rng = np.random.default_rng(seed)
    sized = captions.resized(known.take(np.tile(np.arange(LEARNT), 2)), rng)
    found = captions.seen(sized.images, sized.labels, Borders.of(known.images), clear=True)
    texts = [captions.caption(said) for said in captions.chosen(found, rng)]
    source = small()
    domains = np.concatenate([np.resize(source.images, (LEARNT, 1, 28, 28)), known.images])
    return {
        "digits": train,
        "unseen": unseen,
        "captioned": pictures(sized.images, caption=texts),
        "domains": pictures(domains, domain=["scikit-learn"] * LEARNT + ["MNIST"] * LEARNT),
    }


def _digits(table: pa.Table) -> Digits:
    image = detect(table.select(["image"]), rare_values=0)["image"]
    return Digits(to_levels(table.column("image"), image), labels_of(table))


def _place(piece: Piece, out: Path) -> Path:
    return out / piece.name.replace(",", "").replace(" ", "-").lower()


def _train(piece: Piece, out: Path, scale: float, seed: int) -> None:
    place = _place(piece, out)
    if (place / "cost.json").is_file():
        return
    log.info("%s ...", piece.name)
    data, minutes = out / "data" / f"{piece.data}.parquet", f"{piece.minutes * scale:g}"
    options = ["--model", piece.family, "--max-minutes", minutes, "--seed", str(seed), "--device", "cpu"]
    options += [] if piece.target is None else ["--target", piece.target]
    options += [part for key, value in piece.config.items() for part in ("--set", f"{key}={value}")]
    fit = [sys.executable, "-m", COMMAND, "fit", str(data), "--out", str(place / "model"), *options]
    spent = spend(fit, place / "fit.log")
    cost = {"fit_s": round(spent.seconds, 1), "memory_mb": round(spent.memory_mb)}
    if piece.drawn:
        draw = ["sample", str(place / "model"), "--rows", str(DRAWN), "--out", str(place / "samples.parquet")]
        spent = spend([sys.executable, "-m", COMMAND, *draw], place / "sample.log")
        cost["images_per_s"] = round(DRAWN / spent.seconds, 1)
    write_json(place / "cost.json", cost)
    log.info("%s: done", piece.name)


def _section(piece: Piece, out: Path, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """What the page says of one system."""
    place = _place(piece, out)
    model = Synthesizer.load(place / "model", device="cpu")
    about = (family(piece.family).__doc__ or "").split("\n\n")
    section: dict[str, Any] = {
        "name": piece.name,
        "family": piece.family,
        "about": about[0].removesuffix("."),
        "cost": read_json(place / "cost.json"),
        "figures": None,
        "strips": [],
    }
    strips = section["strips"]
    if piece.data == "captioned":
        strips.append(("Drawn from captions that are in turn", _captioned(model)))
    elif piece.drawn:
        samples = read_parquet(place / "samples.parquet")
        section["figures"] = _figures(tables, samples)
        strips.append(("Drawn, a column for each label", str(contact_sheet(to_pandas(samples), model.schema_))))
        walk = walk_sheet(model)
        if walk is not None:
            strips.append(("From one draw to another", walk))
    strips += _changes(piece, model, tables)
    return section


def _changes(piece: Piece, model: Synthesizer, tables: Mapping[str, pa.Table]) -> list[tuple[str, str]]:
    """Strips of given pictures above what the model makes of them."""
    unseen = tables["unseen"].slice(0, SHOWN)
    digits = _digits(unseen)

    def strip(before: Any, after: pa.Table) -> str:
        return uri(level_sheet(np.stack([before, to_levels(after.column("image"), model.schema_["image"])])))

    if piece.family == "cyclegan":
        source = small().take(np.arange(SHOWN))
        there = transform(model, pictures(source.images, domain=["scikit-learn"] * SHOWN))
        back = pictures(digits.images, domain=["MNIST"] * SHOWN)
        return [
            ("scikit-learn's digits, as MNIST's", strip(source.images, there)),
            ("MNIST's digits, as scikit-learn's", strip(digits.images, transform(model, back))),
        ]
    if piece.family == "deepdream":
        dreams: list[tuple[str, dict[str, str]]] = [("A layer's dream", {})]
        dreams += [(f"Dreamt to be {digit}", {"label": digit}) for digit in "80"]
        return [(title, strip(digits.images, transform(model, unseen, where=where))) for title, where in dreams]
    if piece.family == "image_vae":
        noise = np.random.default_rng(0).normal(0, 0.3 * 255, digits.images.shape)
        noisy = (digits.images + noise).round().clip(0, 255).astype(np.uint8)
        rows = unseen.set_column(unseen.column_names.index("image"), "image", from_levels(noisy, range(SHOWN)))
        clean = transform(model, rows, "denoise")
        made = to_levels(clean.column("image"), model.schema_["image"])
        bits = compress(model, tables["unseen"].slice(0, 500)).bits_per_dim
        title = f"Noise taken away, {psnr(noisy, digits.images):.1f} to {psnr(made, digits.images):.1f} dB"
        kept = transform(model, unseen, "reconstruct")
        return [
            (title, strip(noisy, clean)),
            (f"Reconstructed; without loss at {bits:.2f} bits a value", strip(digits.images, kept)),
        ]
    return []


def _captioned(model: Synthesizer) -> str:
    """Ten digits in eight manners."""
    manners = [
        {"size": size, "weight": weight, "slant": slant} for size in (0, 1) for weight in (0, 1) for slant in (0, 2)
    ]
    asked = [captions.caption({"digit": digit, **manner}) for manner in manners for digit in range(10)]
    drawn = model.sample_table(len(asked), where={"caption": asked})
    images = to_levels(drawn.column("image"), model.schema_["image"])
    return uri(level_sheet(images.reshape(len(manners), 10, *images.shape[1:])))


def _figures(tables: Mapping[str, pa.Table], samples: pa.Table) -> dict[str, float | None]:
    """Of the room of likeness, and density and coverage, on the features of the fixed network."""
    names = ["image", "label"]
    frames = {
        "train": to_pandas(tables["digits"].select(names)),
        "holdout": to_pandas(tables["unseen"].select(names)),
        "test": to_pandas(tables["unseen"].select(names)),
        "synthetic": to_pandas(samples.select(names)),
    }
    views = views_of(frames, detect(tables["digits"].select(names), target="label"))
    rng = np.random.default_rng(0)
    found = {**likeness(views, rng), **diversity.measure(views, rng)}
    return {name: found.get(name) for name in COLUMNS}


def _floor(tables: Mapping[str, pa.Table]) -> dict[str, float | None]:
    """The same of real training digits."""
    rows = np.random.default_rng(1).permutation(LEARNT)[:DRAWN]
    return _figures(tables, tables["digits"].take(rows))


if __name__ == "__main__":
    stage(main)
