"""Pictures as a whole: distances between the features of real and synthetic ones, and whether labels are kept."""

from __future__ import annotations

import numpy as np

from synth.evaluation.encoding import Floats, View, Views
from synth.evaluation.learners import Features
from synth.evaluation.metric import Figures, Metric

ROWS = 5_000  # of each side
LEAST = 100  # pictures below which a distance says little

METRICS = (
    Metric(
        "frechet_distance",
        "lower",
        "Frechet distance",
        "Distance between two Gaussians that are fitted to the features of unseen real and of synthetic pictures "
        "(Heusel et al. 2017), in a fixed network: 0 is the same.",
        f"fewer than {LEAST} unseen real or synthetic pictures",
        high=None,
    ),
    Metric(
        "kernel_distance",
        "lower",
        "Kernel distance x 1000",
        "Squared maximum mean discrepancy of the same features under a cubic kernel (KID, Binkowski et al. 2018), "
        "unbiased: 0 is the same, and chance lies on both sides of it.",
        f"fewer than {LEAST} unseen real or synthetic pictures",
        low=None,
        high=None,
    ),
    Metric(
        "agreement",
        "higher",
        "Labels kept",
        "Share of the synthetic pictures in which a classifier that learnt real ones sees the label that they have.",
        "the target is no label of the pictures",
    ),
)


def measure(views: Views, rng: np.random.Generator) -> Figures:
    """All figures of `METRICS`."""
    real, made = (
        view.draw(ROWS, rng) for view in (views.holdout if len(views.holdout) else views.test, views.synthetic)
    )
    if min(len(real), len(made)) < LEAST:
        return {**dict.fromkeys(("frechet_distance", "kernel_distance"), None), "agreement": _agreement(views, rng)}
    centre, scale = views.train.numbers.mean(0), views.train.numbers.std(0) + 1e-9
    a, b = ((view.numbers - centre) / scale for view in (real, made))
    return {
        "frechet_distance": frechet(a, b),
        "kernel_distance": kernel(a, b),
        "agreement": _agreement(views, rng),
    }


def frechet(a: Floats, b: Floats) -> float:
    """Squared 2-Wasserstein distance of the Gaussians with the means and covariances of (n, F) and (m, F)."""
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one) + np.trace(other) - 2 * cross
    return float(max(apart, 0.0))


def kernel(a: Floats, b: Floats) -> float:
    """1000 times the unbiased squared MMD of (n, F) and (m, F) under (x y / F + 1)^3."""

    def inner(x: Floats, y: Floats) -> Floats:
        return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)

    n, m = len(a), len(b)
    within = inner(a, a), inner(b, b)
    means = [(gram.sum() - np.trace(gram)) / (k * (k - 1)) for gram, k in zip(within, (n, m), strict=True)]
    return float(1000 * (sum(means) - 2 * inner(a, b).mean()))


def _agreement(views: Views, rng: np.random.Generator) -> float | None:
    from sklearn.linear_model import LogisticRegression

    if views.target not in views.categories:
        return None
    features = Features.fit(views)
    train, made = (view.draw(ROWS, rng) for view in (views.train, views.synthetic))
    place = features.target
    model = LogisticRegression(max_iter=1000).fit(_scaled(views, train), train.codes[:, place])
    return float((model.predict(_scaled(views, made)) == made.codes[:, place]).mean())


def _scaled(views: Views, view: View) -> Floats:
    known = views.train.numbers
    return np.asarray((view.numbers - known.mean(0)) / (known.std(0) + 1e-9))


def rows(views: Views) -> dict[str, int]:
    """How many pictures the figures are read from."""
    real = views.holdout if len(views.holdout) else views.test
    return {"likeness_rows": min(len(views.synthetic), ROWS), "likeness_real_rows": min(len(real), ROWS)}
