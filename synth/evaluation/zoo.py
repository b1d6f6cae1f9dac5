"""The models that lift is measured with: one linear, one forest, one boosted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.evaluation.encoding import Floats
from synth.evaluation.learners import Features, boosting

TREES = {"max_iter": 60, "max_leaf_nodes": 15}


Maker = Callable[[int, str | None], Any]


@dataclass(frozen=True)
class Learner:
    """A way to make a model.

    make: a new model from a seed and a class weight (which models of numbers do without)
    inputs: turns a feature matrix into what the model takes
    """

    make: Maker
    inputs: Callable[[Floats], Floats]
    classifies: bool = True

    def fit(self, inputs: Floats, outputs: Floats, state: int, weight: str | None = None) -> Any:
        """A fitted model; a constant one where there is a single class to learn from."""
        if self.classifies and len(np.unique(outputs)) < 2:
            from sklearn.dummy import DummyClassifier

            return DummyClassifier().fit(self.inputs(inputs), outputs)
        return self.make(state, weight).fit(self.inputs(inputs), outputs)


def learners(features: Features) -> dict[str, Learner]:
    """Logistic or ridge regression, extremely randomised trees (Geurts et al. 2006), gradient boosting."""
    return _regressors(features) if features.task == "regression" else _classifiers(features)


def _classifiers(features: Features) -> dict[str, Learner]:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression

    def linear(state: int, weight: str | None) -> Any:
        return LogisticRegression(C=0.5, max_iter=1000, random_state=state, class_weight=weight)

    def forest(state: int, weight: str | None) -> Any:
        return ExtraTreesClassifier(60, min_samples_leaf=3, random_state=state, class_weight=weight)

    def boosted(state: int, weight: str | None) -> Any:
        return boosting("classification", state, **TREES, class_weight=weight)

    return {
        "logistic_regression": Learner(linear, features.wide),
        "extra_trees": Learner(forest, _same),
        "gradient_boosting": Learner(boosted, _same),
    }


def _regressors(features: Features) -> dict[str, Learner]:
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    def linear(state: int, _: str | None) -> Any:
        return Ridge(alpha=1.0, random_state=state)

    def forest(state: int, _: str | None) -> Any:
        return ExtraTreesRegressor(60, min_samples_leaf=3, max_features=0.5, random_state=state)

    def boosted(state: int, _: str | None) -> Any:
        return boosting("regression", state, **TREES)

    return {
        "ridge": Learner(linear, features.wide, classifies=False),
        "extra_trees": Learner(forest, _same, classifies=False),
        "gradient_boosting": Learner(boosted, _same, classifies=False),
    }


def _same(inputs: Floats) -> Floats:
    return inputs
