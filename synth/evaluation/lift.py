"""Lift: what synthetic rows are worth to a model that is scored on real test rows.

For some numbers of real rows n and several seeds, a model learns from n real rows, and again from the same n rows and
the synthetic ones; the lift is the difference of their scores on the real test rows. The baselines are what a
practitioner would try instead.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synth.errors import InputError
from synth.evaluation.encoding import Floats, View
from synth.evaluation.gains import TITLES, Gains, Key, Rare, conclusion
from synth.evaluation.learners import (
    Features,
    Task,
    balanced_accuracy,
    determination,
    probabilities,
    ranking,
    recall_at,
    unlearnable,
)
from synth.evaluation.rebalance import jitter, oversample, smote, tuned_guess
from synth.evaluation.tables import Tables
from synth.evaluation.text_lift import TextFeatures, continued, edited, features_of, text_learners
from synth.evaluation.zoo import Learner, learners

log = logging.getLogger(__name__)

PRECISION = 0.8  # at which the recall of the rarer of two classes is read

Scores = dict[str, float]
Generate = Callable[[pd.DataFrame, int], pd.DataFrame]


@dataclass(frozen=True)
class Part:
    """Inputs (n, F) without NaN, or (n,) texts, and outputs (n,)."""

    inputs: Any
    outputs: Floats


@dataclass(frozen=True)
class Round:
    """One seed of one number of real rows: the rows (of the training frame), and what else is drawn for it."""

    count: int
    rows: NDArray[np.int64]
    seed: np.random.SeedSequence

    @property
    def state(self) -> int:
        """A seed for what takes an integer."""
        return int(self.seed.generate_state(1, np.uint32)[0] >> 1)


def lift(
    data: Tables,
    *,
    rows: Sequence[int],
    seeds: int = 5,
    seed: int = 0,
    precision: float = PRECISION,
    generate: Generate | None = None,
) -> dict[str, Any]:
    """Lift of the synthetic rows and of each baseline, over learners, seeds and numbers of real rows.

    rows: numbers of real training rows; one that is more than there are becomes all of them
    precision: share at which the recall of the rarer class is read, where the target has two
    generate: makes synthetic rows from the real rows of each draw and a seed, in the place of `data.synthetic`: what
        someone gets who has these rows and no others
    Returns JSON without NaN: `figures[rows][metric][strategy]` with `value`, `low`, `high` (paired 95 % interval over
    the seeds of the mean over the learners) and `learners` (each by itself); `scores[rows][metric]` of the model with
    real rows only; `curve`, the figures of the first metric as records; `found` and `conclusion`; `undefined` with
    the reason where the target cannot be predicted. A lift is found where the interval of the first metric, widened
    for the number of row counts tried (Bonferroni), lies above 0. The same seed gives the same result.
    """
    if not rows or min(rows) < 2 or seeds < 2:
        raise InputError(f"lift needs row counts of at least 2 and at least 2 seeds; found {list(rows)} and {seeds}")
    if not 0 < precision <= 1:
        raise InputError(f"precision: expected a share above 0 and up to 1, found {precision}")
    if reason := _unscored(data):
        return {"undefined": reason, "found": False, "conclusion": f"No lift was measured: {reason}."}
    known = np.flatnonzero(features_of(data.views).known(data.views.train))
    counts = sorted({min(count, len(known)) for count in rows})
    rounds = [
        Round(count, known[np.random.default_rng(child).permutation(len(known))[:count]], child)
        for count in counts
        for child in np.random.SeedSequence([seed, count]).spawn(seeds)
    ]
    made = [generate(data.train.iloc[a_round.rows], a_round.state) for a_round in rounds] if generate else None
    parts = Parts.of(data, made)
    scores: dict[Key, list[float]] = defaultdict(list)
    rare = _rarer(data, parts, precision)
    for number, a_round in enumerate(rounds):
        for key, value in _round_of(parts, number, a_round, rare):
            scores[(a_round.count, *key)].append(value)
        if number % seeds == seeds - 1:
            log.info("lift: %d real rows scored", a_round.count)
    gains = Gains(parts.features.task, counts, list(_learners(parts.features)), scores, rare, generate is not None)
    return {
        **_result(gains, len(known)),
        "target": data.schema.target,
        "seeds": seeds,
        "seed": seed,
        "synthetic_rows": min(min(len(part.outputs) for part in parts.made), parts.features.most),
        "train_rows": len(known),
        "test_rows": min(len(parts.test.outputs), parts.features.most),
    }


def _result(gains: Gains, train_rows: int) -> dict[str, Any]:
    figures, helped, metrics = gains.figures(), gains.helped(), gains.metrics
    strategies = {name for metric in metrics for name in gains.baselines(metric)}
    return {
        "task": gains.task,
        "metrics": list(metrics),
        "strategies": ["synthetic", *(name for name in TITLES if name in strategies)],
        "minority": None if gains.rare is None else gains.rare.label,
        "precision": None if gains.rare is None else gains.rare.precision,
        "generator_rows": "the same" if gains.alone else "all",
        "found": bool(helped),
        "found_at": helped,
        "conclusion": conclusion(gains, train_rows),
        "learners": list(gains.learners),
        "rows": list(gains.counts),
        "scores": gains.bare(),
        "figures": figures,
        "curve": [
            {"rows": count, "strategy": name, "lift": entry["value"], "low": entry["low"], "high": entry["high"]}
            for count in gains.counts
            for name, entry in figures[str(count)][metrics[0]].items()
        ],
    }


def _unscored(data: Tables) -> str | None:
    """Why no lift can be measured; None where it can."""
    views = data.views
    if reason := unlearnable(views, data.schema.target):
        return reason
    features = features_of(views)
    real, made, test = (features.pairs(view)[1] for view in (views.train, views.synthetic, views.test))
    if len(np.unique(test)) < 2 or len(np.unique(real)) < 2:
        return "the target has one single value among the training or the test rows"
    return None if len(made) else "the target is null in every synthetic row"


@dataclass(frozen=True)
class Parts:
    """Everything as arrays. made: one part for all rounds, or one for each."""

    features: Features | TextFeatures
    train: View
    made: Sequence[Part]
    test: Part

    @classmethod
    def of(cls, data: Tables, made: Sequence[pd.DataFrame] | None) -> Parts:
        """Encoded over one vocabulary, with the synthetic rows of each round where there are such."""
        tables = data if made is None else replace(data, synthetic=pd.concat(made, ignore_index=True))
        views = tables.views
        features = features_of(views)
        sizes = [len(views.synthetic)] if made is None else [len(frame) for frame in made]
        cuts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        return cls(
            features,
            views.train,
            [Part(*features.pairs(views.synthetic.take(cut))) for cut in cuts],
            Part(*features.pairs(views.test)),
        )


def _rarer(data: Tables, parts: Parts, precision: float) -> Rare | None:
    """The rarer class of the training rows; None where there are not two, the same among the test rows."""
    outputs = parts.features.pairs(parts.train)[1]
    classes, counts = np.unique(outputs, return_counts=True)
    two = len(classes) == 2 and np.array_equal(classes, np.unique(parts.test.outputs))
    if parts.features.task == "regression" or not two:
        return None
    code = float(classes[counts.argmin()])
    labels = data.views.labels[data.views.categories.index(str(data.schema.target))]
    return Rare(code, str(labels[int(code)]), precision)


def _round_of(
    parts: Parts, number: int, a_round: Round, rare: Rare | None
) -> Iterator[tuple[tuple[str, str, str], float]]:
    """((learner, strategy, metric), score) of every learner and strategy on the rows of a round."""
    features, rng = parts.features, np.random.default_rng(a_round.seed.spawn(1)[0])
    base = Part(*features.pairs(parts.train.take(a_round.rows)))
    added = _draw(parts.made[number % len(parts.made)], features.most, rng)
    asked = _draw(parts.test, features.most, np.random.default_rng(0))  # the same test rows for every seed
    both = Part(np.concatenate([base.inputs, added.inputs]), np.concatenate([base.outputs, added.outputs]))
    scorer = Scorer(features.task, asked, a_round.state, rare)
    sets: dict[str, Part] = {"nothing": base, "synthetic": both}
    if features.task == "classification":
        sets["oversampling"] = Part(*oversample(base.inputs, base.outputs, rng))
    if isinstance(features, TextFeatures):
        sets["eda"] = Part(*edited(base.inputs, base.outputs, features.most, rng))
        sets["ngrams"] = Part(*continued(base.inputs, base.outputs, features.most, rng))
    elif features.task == "classification":
        sets["smote"] = Part(*smote(base.inputs, base.outputs, features.nominal, a_round.state))
    else:
        sets["jitter"] = Part(*jitter(base.inputs, base.outputs, len(features.numbers), rng))
    for name, learner in _learners(features).items():
        for strategy, part in sets.items():
            for metric, value in scorer.score(learner, part).items():
                yield (name, strategy, metric), value
        if features.task == "classification":
            for metric, value in scorer.score(learner, base, weight="balanced").items():
                yield (name, "class_weights", metric), value
            for metric, value in scorer.tuned(learner, base).items():
                yield (name, "threshold", metric), value


def _learners(features: Features | TextFeatures) -> dict[str, Learner]:
    return text_learners() if isinstance(features, TextFeatures) else learners(features)


def _draw(part: Part, count: int, rng: np.random.Generator) -> Part:
    chosen = rng.permutation(len(part.outputs))[:count]
    return Part(part.inputs[chosen], part.outputs[chosen])


@dataclass(frozen=True)
class Scorer:
    """Scores on the test rows of a model that is made from a seed."""

    task: Task
    test: Part
    state: int
    rare: Rare | None

    def score(self, learner: Learner, part: Part, weight: str | None = None) -> Scores:
        """Of a learner that was fitted on a part."""
        model = learner.fit(part.inputs, part.outputs, self.state, weight)
        if self.task == "regression":
            return {"r2": determination(self.test.outputs, model.predict(learner.inputs(self.test.inputs)))}
        classes = np.unique(self.test.outputs)
        chances = probabilities(model, learner.inputs(self.test.inputs), classes)
        return self._classes(chances, classes[chances.argmax(axis=1)], classes)

    def tuned(self, learner: Learner, part: Part) -> Scores:
        """The same with the threshold that is best on the part."""
        classes = np.unique(self.test.outputs)
        chances, guess = tuned_guess(learner, part.inputs, part.outputs, self.test.inputs, classes, self.state)
        return self._classes(chances, guess, classes)

    def _classes(self, chances: Floats, guess: Floats, classes: Floats) -> Scores:
        truth = self.test.outputs
        found = {"roc_auc": ranking(truth, chances, classes), "balanced_accuracy": balanced_accuracy(truth, guess)}
        if self.rare is not None:
            scores = chances[:, classes == self.rare.code][:, 0]
            found["recall_at_precision"] = recall_at(scores, truth == self.rare.code, self.rare.precision)
        return found
