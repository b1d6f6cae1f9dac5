"""Paired score differences as figures with intervals, and as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.evaluation.encoding import Floats
from synth.evaluation.learners import Task

LEVEL = 0.95
TITLES = {
    "synthetic": "synthetic rows",
    "class_weights": "class weights",
    "threshold": "threshold tuning",
    "oversampling": "random oversampling",
    "smote": "SMOTE",
    "jitter": "rows repeated with noise",
    "eda": "edited copies (EDA)",
    "ngrams": "samples of n-grams",
}
WORDS = {
    "roc_auc": "ROC AUC",
    "balanced_accuracy": "balanced accuracy",
    "recall_at_precision": "recall of the rarer class at a fixed precision",
    "r2": "R²",
}
SHORT = {**WORDS, "recall_at_precision": "recall at a precision"}  # beside an axis
RANKED = ("roc_auc", "recall_at_precision")  # a tuned threshold moves neither a ranking nor what is read off it

Key = tuple[int, str, str, str]  # real rows, learner, strategy, metric


@dataclass(frozen=True)
class Rare:
    """The rarer of two classes, and the precision at which its recall is read.

    code: its output. label: its value in the data. precision: a share.
    """

    code: float
    label: str
    precision: float


@dataclass(frozen=True)
class Gains:
    """All scores of a lift experiment: `scores[key]` has one score for each seed, the same rows across strategies.

    rare: the rarer class, where there are two
    alone: whether the generator learnt from the same real rows and no others
    """

    task: Task
    counts: Sequence[int]
    learners: Sequence[str]
    scores: Mapping[Key, Sequence[float]]
    rare: Rare | None = None
    alone: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is scored, the one that decides whether there is lift first."""
        if self.task == "regression":
            return ("r2",)
        return ("roc_auc", "balanced_accuracy", *(("recall_at_precision",) if self.rare else ()))

    def baselines(self, metric: str) -> list[str]:
        """What was scored besides the synthetic rows."""
        scored = {strategy for _, _, strategy, of in self.scores if of == metric}
        left = {"synthetic", *(["threshold"] if metric in RANKED else [])}
        return [strategy for strategy in TITLES if strategy in scored - left]

    def gain(self, count: int, learner: str, strategy: str, metric: str) -> Floats:
        """Score less the score with the real rows alone, for each seed."""
        ours = np.array(self.scores[count, learner, strategy, metric])
        return np.asarray(ours - np.array(self.scores[count, learner, "nothing", metric]))

    def mean_gain(self, count: int, strategy: str, metric: str) -> Floats:
        """The mean over the learners, for each seed."""
        return np.asarray(np.mean([self.gain(count, name, strategy, metric) for name in self.learners], axis=0))

    def figures(self) -> dict[str, Any]:
        """[rows][metric][strategy]: value, low, high of the mean over the learners, and `learners` one by one."""
        return {
            str(count): {
                metric: {
                    strategy: {
                        **interval(self.mean_gain(count, strategy, metric)),
                        "learners": {
                            learner: interval(self.gain(count, learner, strategy, metric)) for learner in self.learners
                        },
                    }
                    for strategy in ("synthetic", *self.baselines(metric))
                }
                for metric in self.metrics
            }
            for count in self.counts
        }

    def bare(self) -> dict[str, Any]:
        """[rows][metric][learner]: mean score with the real rows alone."""
        return {
            str(count): {
                metric: {
                    learner: round(float(np.mean(self.scores[count, learner, "nothing", metric])), 6)
                    for learner in self.learners
                }
                for metric in self.metrics
            }
            for count in self.counts
        }

    def helped(self) -> list[int]:
        """Row counts whose interval of the first metric, widened for their number (Bonferroni), lies above 0."""
        metric = self.metrics[0]
        return [count for count in self.counts if self._above(self.mean_gain(count, "synthetic", metric))]

    def ahead(self) -> list[int]:
        """Row counts whose gain of the first metric is above the best baseline's, by the same widened interval."""
        metric = self.metrics[0]
        return [
            count
            for count in self.counts
            if self._above(
                self.mean_gain(count, "synthetic", metric)
                - self.mean_gain(count, _best(self, count, metric)[0], metric)
            )
        ]

    def _above(self, values: Floats) -> bool:
        return interval(values, 1 - (1 - LEVEL) / len(self.counts))["low"] > 0


def interval(values: Floats, level: float = LEVEL) -> dict[str, float]:
    """Mean of paired differences over the seeds and its Student interval."""
    from scipy.stats import t

    mean = float(values.mean())
    margin = float(values.std(ddof=1) / np.sqrt(len(values)) * t.ppf((1 + level) / 2, len(values) - 1))
    return {"value": round(mean, 6), "low": round(mean - margin, 6), "high": round(mean + margin, 6)}


def conclusion(gains: Gains, train_rows: int) -> str:
    """What was found, in plain sentences; that there is no lift is said as such."""
    metric, helped = gains.metrics[0], gains.helped()
    said = [
        f"{'Lift' if helped else 'No lift'} was found.",
        f"Synthetic rows change {WORDS[metric]} by {_sizes(gains, metric)}.",
        _where(gains, helped),
    ]
    if gains.task == "classification":
        said.append(_overtaken(gains, gains.metrics[1]))
    if gains.rare is not None:
        said.append(
            f"At a precision of {gains.rare.precision:.0%} the recall of {gains.rare.label!r} changes by "
            f"{_sizes(gains, 'recall_at_precision')}."
        )
    if gains.alone:
        said.append("The generator has learnt from the same real rows and no others.")
    elif helped and max(helped) < train_rows:
        said.append(
            f"The generator has learnt from all {train_rows:,} training rows: a lift at fewer real rows is what the "
            "synthetic rows tell someone who has only those."
        )
    return " ".join(sentence for sentence in said if sentence)


def _where(gains: Gains, helped: Sequence[int]) -> str:
    """With how many real rows synthetic ones help, where they do more than all else, and where they do not help."""
    idle = [count for count in gains.counts if count not in helped]
    if not helped:
        return f"They do not help with {_listed(idle)} real rows."
    ahead = [count for count in gains.ahead() if count in helped]
    parts = [f"They help with {_listed(helped)} real rows"]
    parts.append(f"more than every baseline with {_listed(ahead)}" if ahead else "but not more than the best baseline")
    return ", ".join(parts) + (f"; they do not with {_listed(idle)}." if idle else ".")


def _overtaken(gains: Gains, metric: str) -> str:
    """Where a baseline does better by a metric, with the figures of the largest number of rows."""
    behind = [
        count for count in gains.counts if _best(gains, count, metric)[1] > _mean(gains, count, "synthetic", metric)
    ]
    if not behind:
        return ""
    name, value = _best(gains, behind[-1], metric)
    return (
        f"For {WORDS[metric]}, a baseline does better with {_listed(behind)} real rows ({TITLES[name]}: {value:+.3f} "
        f"against {_mean(gains, behind[-1], 'synthetic', metric):+.3f} with {behind[-1]:,})."
    )


def _sizes(gains: Gains, metric: str) -> str:
    return "; ".join(_size(gains, count, metric) for count in gains.counts)


def _size(gains: Gains, count: int, metric: str) -> str:
    entry = interval(gains.mean_gain(count, "synthetic", metric))
    name, value = _best(gains, count, metric)
    return (
        f"{entry['value']:+.3f} ({entry['low']:+.3f} to {entry['high']:+.3f}) with {count:,} real rows, "
        f"{TITLES[name]} by {value:+.3f}"
    )


def _mean(gains: Gains, count: int, strategy: str, metric: str) -> float:
    return float(gains.mean_gain(count, strategy, metric).mean())


def _best(gains: Gains, count: int, metric: str) -> tuple[str, float]:
    return max(((name, _mean(gains, count, name, metric)) for name in gains.baselines(metric)), key=lambda i: i[1])


def _listed(counts: Sequence[int]) -> str:
    words = [f"{count:,}" for count in counts]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
