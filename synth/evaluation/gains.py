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
}
METRICS: dict[Task, tuple[str, ...]] = {"classification": ("roc_auc", "balanced_accuracy"), "regression": ("r2",)}
WORDS = {"roc_auc": "ROC AUC", "balanced_accuracy": "balanced accuracy", "r2": "R²"}
BASELINES = {  # a threshold does not move a ranking
    "roc_auc": ("class_weights", "oversampling", "smote"),
    "balanced_accuracy": ("class_weights", "threshold", "oversampling", "smote"),
    "r2": ("jitter",),
}

Key = tuple[int, str, str, str]  # real rows, learner, strategy, metric


@dataclass(frozen=True)
class Gains:
    """All scores of a lift experiment: `scores[key]` has one score for each seed, the same rows across strategies."""

    task: Task
    counts: Sequence[int]
    learners: Sequence[str]
    scores: Mapping[Key, Sequence[float]]

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
                    for strategy in ("synthetic", *BASELINES[metric])
                }
                for metric in METRICS[self.task]
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
                for metric in METRICS[self.task]
            }
            for count in self.counts
        }

    def helped(self) -> list[int]:
        """Row counts whose interval of the first metric, widened for their number (Bonferroni), lies above 0."""
        level = 1 - (1 - LEVEL) / len(self.counts)
        metric = METRICS[self.task][0]
        return [
            count for count in self.counts if interval(self.mean_gain(count, "synthetic", metric), level)["low"] > 0
        ]


def interval(values: Floats, level: float = LEVEL) -> dict[str, float]:
    """Mean of paired differences over the seeds and its Student interval."""
    from scipy.stats import t

    mean = float(values.mean())
    margin = float(values.std(ddof=1) / np.sqrt(len(values)) * t.ppf((1 + level) / 2, len(values) - 1))
    return {"value": round(mean, 6), "low": round(mean - margin, 6), "high": round(mean + margin, 6)}


def conclusion(gains: Gains, train_rows: int) -> str:
    """What was found, in plain sentences; that there is no lift is said as such."""
    metric, helped = METRICS[gains.task][0], gains.helped()
    listed = "; ".join(_size(gains, count, metric) for count in gains.counts)
    said = [f"{'Lift' if helped else 'No lift'} was found.", f"Synthetic rows change {WORDS[metric]} by {listed}."]
    idle = [count for count in gains.counts if count not in helped]
    if helped and idle:
        said.append(f"No lift was found with {_listed(idle)} real rows.")
    if gains.task == "classification":
        other = METRICS[gains.task][1]
        behind = [
            count for count in gains.counts if _best(gains, count, other)[1] > _mean(gains, count, "synthetic", other)
        ]
        if behind:
            name, value = _best(gains, behind[-1], other)
            said.append(
                f"For {WORDS[other]}, a baseline does better with {_listed(behind)} real rows "
                f"({TITLES[name]}: {value:+.3f} against {_mean(gains, behind[-1], 'synthetic', other):+.3f} with "
                f"{behind[-1]:,})."
            )
    if helped and max(helped) < train_rows:
        said.append(
            f"The generator has learnt from all {train_rows:,} training rows: a lift at fewer real rows is what the "
            "synthetic rows tell someone who has only those."
        )
    return " ".join(said)


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
    return max(((name, _mean(gains, count, name, metric)) for name in BASELINES[metric]), key=lambda item: item[1])


def _listed(counts: Sequence[int]) -> str:
    words = [f"{count:,}" for count in counts]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
