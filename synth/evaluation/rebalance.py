"""What a practitioner tries against few rows or rare classes before synthetic data."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import Floats
from synth.evaluation.learners import balanced_accuracy, probabilities
from synth.evaluation.zoo import Learner

THRESHOLDS = 101


def oversample(inputs: Floats, outputs: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Repeat rows of the rarer classes at random until every class has as many as the largest."""
    classes, counts = np.unique(outputs, return_counts=True)
    extra = [
        rng.choice(np.flatnonzero(outputs == label), counts.max() - count)
        for label, count in zip(classes, counts, strict=True)
    ]
    chosen = np.concatenate([np.arange(len(outputs)), *extra])
    return inputs[chosen], outputs[chosen]


def smote(inputs: Floats, outputs: Floats, nominal: NDArray[np.int64], state: int) -> tuple[Floats, Floats]:
    """SMOTE (Chawla et al. 2002), SMOTE-NC with numbers and categories, SMOTE-N with categories only.

    Classes with too few rows for two neighbours are repeated at random instead.
    """
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

    inputs, outputs = _lift_rare(inputs, outputs, np.random.default_rng(state))
    _, counts = np.unique(outputs, return_counts=True)
    if len(counts) < 2 or counts.min() == counts.max():
        return inputs, outputs
    settings = {"k_neighbors": int(min(5, counts.min() - 1)), "random_state": state}
    if not len(nominal):
        sampler = SMOTE(**settings)
    elif len(nominal) == inputs.shape[1]:
        sampler = SMOTEN(**settings)
    else:
        sampler = SMOTENC(categorical_features=nominal.tolist(), **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        more, labels = sampler.fit_resample(inputs, outputs)
    return np.asarray(more, dtype=np.float64), np.asarray(labels, dtype=np.float64)


def _lift_rare(inputs: Floats, outputs: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Bring every class to three rows, which is what an interpolation between neighbours needs."""
    classes, counts = np.unique(outputs, return_counts=True)
    extra = [
        rng.choice(np.flatnonzero(outputs == label), 3 - count)
        for label, count in zip(classes, counts, strict=True)
        if count < 3
    ]
    chosen = np.concatenate([np.arange(len(outputs)), *extra]).astype(np.int64)
    return inputs[chosen], outputs[chosen]


def jitter(inputs: Floats, outputs: Floats, numbers: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Every row once more, its first `numbers` inputs and its output moved by a twentieth of a deviation."""
    moved, answers = inputs.copy(), outputs + rng.normal(size=len(outputs)) * outputs.std() / 20
    moved[:, :numbers] += rng.normal(size=(len(inputs), numbers)) * inputs[:, :numbers].std(axis=0) / 20
    return np.vstack([inputs, moved]), np.concatenate([outputs, answers])


def tuned_guess(
    learner: Learner, inputs: Floats, outputs: Floats, asked: Floats, classes: Floats, state: int
) -> tuple[Floats, Floats]:
    """Predict with the threshold that has the best balanced accuracy in 3-fold prediction on the real rows.

    Two classes only; with more, or too few rows of one, the most probable class is the answer. Returns the
    probabilities (n, C) and the predicted classes (n,).
    """
    chances = probabilities(learner.fit(inputs, outputs, state), learner.inputs(asked), classes)
    plain = classes[chances.argmax(axis=1)]
    counts = [int((outputs == label).sum()) for label in classes]
    if len(classes) != 2 or min(counts) < 3:
        return chances, plain
    from sklearn.model_selection import StratifiedKFold

    known = np.zeros(len(outputs))
    for fitted, left in StratifiedKFold(3, shuffle=True, random_state=state).split(inputs, outputs == classes[1]):
        model = learner.fit(inputs[fitted], outputs[fitted], state)
        known[left] = probabilities(model, learner.inputs(inputs[left]), classes)[:, 1]
    grid = np.unique(np.quantile(known, np.linspace(0, 1, THRESHOLDS)))
    scores = [balanced_accuracy(outputs, np.where(known >= cut, classes[1], classes[0])) for cut in grid]
    return chances, np.where(chances[:, 1] >= grid[int(np.argmax(scores))], classes[1], classes[0])
