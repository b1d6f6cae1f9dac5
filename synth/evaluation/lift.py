"""Lift: what synthetic rows are worth to a model that is scored on real test rows.

For some numbers of real rows n and several seeds, a model learns from n real rows, and again from the same n rows and
the synthetic ones; the lift is the difference of their scores on the real test rows. The baselines are what a
practitioner would try instead.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.errors import InputError
from synth.evaluation.encoding import Floats
from synth.evaluation.gains import METRICS, Gains, Key, conclusion
from synth.evaluation.learners import Features, Task, determination, probabilities, ranking, unlearnable
from synth.evaluation.rebalance import jitter, oversample, smote, tuned_guess
from synth.evaluation.tables import Tables
from synth.evaluation.zoo import Learner, learners

log = logging.getLogger(__name__)

SYNTHETIC_ROWS = 20_000  # synthetic rows that join the real ones
TEST_ROWS = 20_000  # real rows that are scored

Scores = dict[str, float]


@dataclass(frozen=True)
class Part:
    """Inputs (n, F) without NaN and outputs (n,)."""

    inputs: Floats
    outputs: Floats


def lift(data: Tables, *, rows: Sequence[int], seeds: int = 5, seed: int = 0) -> dict[str, Any]:
    """Lift of the synthetic rows and of each baseline, over learners, seeds and numbers of real rows.

    rows: numbers of real training rows; one that is more than there are becomes all of them
    Returns JSON without NaN: `figures[rows][metric][strategy]` with `value`, `low`, `high` (paired 95 % interval over
    the seeds of the mean over the learners) and `learners` (each by itself); `scores[rows][metric]` of the model with
    real rows only; `curve`, the figures of the first metric as records; `found` and `conclusion`; `undefined` with
    the reason where the target cannot be predicted. A lift is found where the interval of the first metric, widened
    for the number of row counts tried (Bonferroni), lies above 0. The same seed gives the same result.
    """
    if not rows or min(rows) < 2 or seeds < 2:
        raise InputError(f"lift needs row counts of at least 2 and at least 2 seeds; found {list(rows)} and {seeds}")
    views = data.views
    reason = unlearnable(views, data.schema.target)
    features = None if reason else Features.fit(views)
    if features is not None:
        real, made, test = (Part(*features.pairs(view)) for view in (views.train, views.synthetic, views.test))
        if len(np.unique(test.outputs)) < 2 or len(np.unique(real.outputs)) < 2:
            reason = "the target has one single value among the training or the test rows"
        elif len(made.outputs) < 1:
            reason = "the target is null in every synthetic row"
    if reason or features is None:
        return {"undefined": reason, "found": False, "conclusion": f"No lift was measured: {reason}."}
    counts = sorted({min(count, len(real.outputs)) for count in rows})
    scores: dict[Key, list[float]] = defaultdict(list)
    for count in counts:
        for child in np.random.SeedSequence([seed, count]).spawn(seeds):
            for key, value in _round_of(features, real, made, test, count, np.random.default_rng(child)):
                scores[(count, *key)].append(value)
        log.info("lift: %d real rows scored", count)
    gains = Gains(features.task, counts, list(learners(features)), scores)
    figures, helped, first = gains.figures(), gains.helped(), METRICS[features.task][0]
    return {
        "target": data.schema.target,
        "task": features.task,
        "metrics": list(METRICS[features.task]),
        "found": bool(helped),
        "found_at": helped,
        "conclusion": conclusion(gains, len(real.outputs)),
        "learners": list(gains.learners),
        "rows": counts,
        "seeds": seeds,
        "seed": seed,
        "synthetic_rows": min(len(made.outputs), SYNTHETIC_ROWS),
        "train_rows": len(real.outputs),
        "test_rows": min(len(test.outputs), TEST_ROWS),
        "scores": gains.bare(),
        "figures": figures,
        "curve": [
            {"rows": count, "strategy": name, "lift": entry["value"], "low": entry["low"], "high": entry["high"]}
            for count in counts
            for name, entry in figures[str(count)][first].items()
        ],
    }


def _round_of(
    features: Features, real: Part, made: Part, test: Part, count: int, rng: np.random.Generator
) -> Iterator[tuple[tuple[str, str, str], float]]:
    """One seed: ((learner, strategy, metric), score) of every learner and strategy on the same rows."""
    base = _draw(real, count, rng)
    added = _draw(made, SYNTHETIC_ROWS, rng)
    asked = _draw(test, TEST_ROWS, np.random.default_rng(0))  # the same test rows for every seed
    both = Part(np.vstack([base.inputs, added.inputs]), np.concatenate([base.outputs, added.outputs]))
    state = int(rng.integers(2**31))
    sets: dict[str, Part] = {"nothing": base, "synthetic": both}
    if features.task == "classification":
        sets["oversampling"] = Part(*oversample(base.inputs, base.outputs, rng))
        sets["smote"] = Part(*smote(base.inputs, base.outputs, features.nominal, state))
    else:
        sets["jitter"] = Part(*jitter(base.inputs, base.outputs, len(features.numbers), rng))
    for name, learner in learners(features).items():
        for strategy, part in sets.items():
            for metric, value in _score(learner, features.task, part, asked, state).items():
                yield (name, strategy, metric), value
        if features.task == "classification":
            for metric, value in _score(learner, features.task, base, asked, state, weight="balanced").items():
                yield (name, "class_weights", metric), value
            for metric, value in _tuned(learner, base, asked, state).items():
                yield (name, "threshold", metric), value


def _draw(part: Part, count: int, rng: np.random.Generator) -> Part:
    chosen = rng.permutation(len(part.outputs))[:count]
    return Part(part.inputs[chosen], part.outputs[chosen])


def _score(learner: Learner, task: Task, part: Part, test: Part, state: int, weight: str | None = None) -> Scores:
    model = learner.fit(part.inputs, part.outputs, state, weight)
    if task == "regression":
        return {"r2": determination(test.outputs, model.predict(learner.inputs(test.inputs)))}
    classes = np.unique(test.outputs)
    chances = probabilities(model, learner.inputs(test.inputs), classes)
    return _class_scores(test.outputs, chances, classes[chances.argmax(axis=1)], classes)


def _tuned(learner: Learner, part: Part, test: Part, state: int) -> Scores:
    classes = np.unique(test.outputs)
    chances, guess = tuned_guess(learner, part.inputs, part.outputs, test.inputs, classes, state)
    return _class_scores(test.outputs, chances, guess, classes)


def _class_scores(truth: Floats, chances: Floats, guess: Floats, classes: Floats) -> Scores:
    recalls = [np.mean(guess[truth == label] == label) for label in classes]
    return {"roc_auc": ranking(truth, chances, classes), "balanced_accuracy": float(np.mean(recalls))}
