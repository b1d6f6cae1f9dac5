"""What the autoencoder of pictures is good for beside drawing, each beside what people use instead: denoising,
anomalies and compression of unseen digits.

`python -m benchmarks.autoencoder --mnist FOLDER --minutes 4`
"""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.digits import FOLDER, Digits, Levels, mnist, pictures, psnr
from synth import Synthesizer
from synth.codecs.image import to_levels
from synth.compression import compress, decompress
from synth.console import stage
from synth.picture_tools import anomaly_scores, transform
from synth.storage import write_json

log = logging.getLogger(__name__)
FAMILY = "image_vae"
SIGMA = 0.3  # of the noise, of values from 0 to 1
COMPONENTS, NEIGHBOURS = 40, 5


def main(
    mnist_folder: Annotated[Path, typer.Option("--mnist", help=FOLDER)],
    out: Annotated[Path, typer.Option(help="JSON file to write")] = Path("build/autoencoder.json"),
    minutes: Annotated[float, typer.Option(help="Bound on the training for denoising and compression")] = 6.0,
    anomaly_minutes: Annotated[float, typer.Option(help="Bound on each of the ten trainings for anomalies")] = 1.0,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    seed: int = 0,
) -> None:
    """Train without labels, judge on the unseen digits, and write the figures."""
    train, unseen = mnist(mnist_folder)
    found: dict[str, Any] = {}
    if minutes:
        model = _fitted(train, minutes, threads, seed)
        for name, task in (("denoising", _denoising), ("compression", _compression)):
            found[name] = task(model, unseen)
            typer.echo(f"{name}: {found[name]}")
            write_json(out, found)
    if anomaly_minutes:
        each = found["anomalies"] = {}
        for digit in range(10):
            each[str(digit)] = _anomalies(train, unseen, digit, anomaly_minutes, threads, seed)
            typer.echo(f"{digit} held out: {each[str(digit)]}")
            write_json(out, found)
        means = {name: np.mean([figures[name] for figures in each.values()]) for name in each["0"]}
        each["mean"] = {name: round(float(mean), 4) for name, mean in means.items()}
        typer.echo(f"mean: {each['mean']}")
        write_json(out, found)


def _fitted(digits: Digits, minutes: float, threads: int, seed: int) -> Synthesizer:
    """Of pictures alone."""
    rows = pictures(digits.images)
    return Synthesizer(FAMILY, seed=seed, max_minutes=minutes, threads=threads).fit(rows)


def _denoising(model: Synthesizer, unseen: Digits) -> dict[str, float]:
    """PSNR in decibels of pictures under Gaussian noise, after each filter; filters at their best of some strengths."""
    from scipy.ndimage import median_filter
    from skimage.restoration import denoise_nl_means

    real = unseen.images
    noise = np.random.default_rng(0).normal(0, 255 * SIGMA, real.shape)
    noisy = (real + noise).round().clip(0, 255).astype(np.uint8)
    rows = pictures(noisy)
    made = {}
    for how in ("denoise", "reconstruct"):
        made[how] = to_levels(transform(model, rows, how).column("image"), model.schema_["image"])
    figures = {"noisy": psnr(noisy, real), **{how: psnr(levels, real) for how, levels in made.items()}}
    for size in (3, 5):
        figures[f"median_{size}"] = psnr(median_filter(noisy, size=(1, 1, size, size)), real)
    for strength in (0.4, 0.5, 0.6, 0.8):
        smooth = [
            denoise_nl_means(image[0] / 255, patch_size=5, patch_distance=9, h=strength * SIGMA, fast_mode=True)
            for image in noisy
        ]
        levels = (255 * np.stack(smooth)[:, None]).round().clip(0, 255).astype(np.uint8)
        figures[f"non_local_means_{strength:g}"] = psnr(levels, real)
    return {name: round(value, 3) for name, value in figures.items()}


def _compression(model: Synthesizer, unseen: Digits) -> dict[str, Any]:
    """Bits per value of unseen digits, all read back; beside PNG and WebP, which have no model of digits."""
    from PIL import Image

    rows = pictures(unseen.images)
    found = compress(model, rows)
    back = to_levels(decompress(model, found.table).column("image"), model.schema_["image"])
    figures: dict[str, Any] = {"image_vae": found.bits_per_dim, "lossless": bool((back == unseen.images).all())}
    for name, options in (("PNG", {"optimize": True}), ("WebP", {"lossless": True, "quality": 100, "method": 6})):
        size = 0
        for image in unseen.images:
            sink = io.BytesIO()
            Image.fromarray(image[0]).save(sink, name, **options)
            size += len(sink.getvalue())
        figures[name] = 8 * size / unseen.images.size
    return {name: value if isinstance(value, bool) else round(value, 4) for name, value in figures.items()}


def _anomalies(train: Digits, unseen: Digits, digit: int, minutes: float, threads: int, seed: int) -> dict[str, float]:
    """AUROC of telling a digit that was held out of the training among the unseen ones."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    known = train.take(np.flatnonzero(train.labels != digit))
    truth = unseen.labels == digit
    model = _fitted(known, minutes, threads, seed)
    scores = {FAMILY: anomaly_scores(model, pictures(unseen.images))}
    real, asked = (_flat(digits.images) for digits in (known, unseen))
    components = PCA(COMPONENTS, random_state=seed).fit(real)
    back = components.inverse_transform(components.transform(asked))
    scores["pca"] = ((back - asked) ** 2).sum(1)
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(real)
    scores["k_nearest"] = near.kneighbors(asked)[0].mean(1)
    forest = IsolationForest(n_estimators=200, random_state=seed).fit(real)
    scores["isolation_forest"] = -forest.score_samples(asked)
    return {name: round(float(roc_auc_score(truth, score)), 4) for name, score in scores.items()}


def _flat(images: Levels) -> NDArray[np.float64]:
    return images.reshape(len(images), -1) / 255.0


if __name__ == "__main__":
    stage(main)
