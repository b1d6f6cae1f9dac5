"""Features, classifiers and scores that the utility measurements (TSTR and lift) share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import Floats, Rows, View, Views

Task = Literal["classification", "regression"]
CLASSES = 50  # more values than this are no classes
ONE_HOT = 30  # most frequent values of a category that a linear model gets a column for


@dataclass(frozen=True)
class Features:
    """How a table becomes the inputs and the output of a supervised task; read from the training rows.

    Columns of a matrix: numbers (nulls by the median), one flag per number that has nulls, then categories as
    their place in the vocabulary (ordered by frequency).
    """

    task: Task
    target: int  # place among the numbers or the categories
    numbers: NDArray[np.int64]
    flags: NDArray[np.int64]
    categories: NDArray[np.int64]
    median: Floats  # (Dn,)
    centre: Floats  # (numbers + flags,)
    scale: Floats  # (numbers + flags,)
    sizes: tuple[int, ...]  # vocabulary of each of `categories`
    null: int | None  # the place in the target's vocabulary that stands for null
    most: ClassVar[int] = 20_000  # synthetic rows that join the real ones, and real rows that are scored

    @classmethod
    def fit(cls, views: Views) -> Features:
        """Read from `views.train`. The target must be one of the compared columns; see `unlearnable`."""
        train, target = views.train, views.target
        task: Task = "classification" if target in views.categories else "regression"
        numbers = np.array([i for i, name in enumerate(views.numbers) if name != target], dtype=np.int64)
        categories = np.array([i for i, name in enumerate(views.categories) if name != target], dtype=np.int64)
        null = None
        if target in views.categories:
            place = views.categories.index(target)
            null = views.labels[place].index(None) if None in views.labels[place] else None
        else:
            place = views.numbers.index(str(target))
        missing = np.isnan(train.numbers)
        flags = np.array([i for i in numbers if missing[:, i].any()], dtype=np.int64)
        median = np.array([np.nanmedian(column) for column in train.numbers.T])
        real = np.hstack([np.where(missing, median, train.numbers)[:, numbers], missing[:, flags]])
        spread = real.std(axis=0)
        return cls(
            task=task,
            target=place,
            numbers=numbers,
            flags=flags,
            categories=categories,
            median=median,
            centre=real.mean(axis=0),
            scale=np.where(spread > 0, spread, 1.0),
            sizes=tuple(views.sizes[i] for i in categories),
            null=null,
        )

    @property
    def nominal(self) -> NDArray[np.int64]:
        """Places of the columns of a matrix that hold categories (and flags)."""
        start = len(self.numbers)
        return np.arange(start, start + len(self.flags) + len(self.categories))

    def known(self, view: View) -> NDArray[np.bool_]:
        """(n,) Whether the target of each row is not null."""
        if self.task == "regression":
            return ~np.isnan(view.numbers[:, self.target])
        return np.asarray(view.codes[:, self.target] != (-1 if self.null is None else self.null))

    def pairs(self, view: View) -> tuple[Floats, Floats]:
        """Inputs (n, F) float64 without NaN and outputs (n,) of the rows whose target is not null."""
        outputs = view.codes[:, self.target] if self.task == "classification" else view.numbers[:, self.target]
        kept, outputs = self.known(view), outputs.astype(np.float64)
        missing = np.isnan(view.numbers)
        filled = np.where(missing, self.median, view.numbers)
        inputs = np.hstack([filled[:, self.numbers], missing[:, self.flags], view.codes[:, self.categories]])
        return inputs[kept], outputs[kept]

    def wide(self, inputs: Floats) -> Floats:
        """For linear models: numbers standardised and clipped at 5 deviations, categories one-hot. (n, W) float64."""
        real = len(self.centre)
        parts = [np.clip((inputs[:, :real] - self.centre) / self.scale, -5, 5)]
        for offset, size in enumerate(self.sizes):
            values = inputs[:, real + offset, None]
            parts.append((values == np.arange(min(size, ONE_HOT))).astype(np.float64))
        return np.hstack(parts)


def unlearnable(views: Views, target: str | None) -> str | None:
    """Why the schema's target cannot be predicted; None where it can."""
    if target is None:
        return "the schema has no target column"
    if views.target is None:
        return f"the target {target!r} is left out: {views.undefined.get(target, 'not a column')}"
    if views.target in views.categories:
        classes = len(views.labels[views.categories.index(target)])
        if classes > CLASSES:
            return f"the target {target!r} has {classes} values; at most {CLASSES} are taken for classes"
    if len(views.names) < 2:
        return "there is no column besides the target"
    if not len(views.test):
        return "there are no real test rows"
    return None


def boosting(task: Task, seed: int, **settings: Any) -> Any:
    """Gradient-boosted trees on histograms (Ke et al. 2017), as scikit-learn has them."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return kind(random_state=seed, early_stopping=False, **settings)


def probabilities(model: Any, inputs: Floats, classes: Floats) -> Floats:
    """Predicted probability of each of `classes`, (n, C); 0 for a class that the model never saw."""
    given = model.predict_proba(inputs)
    out = np.zeros((len(inputs), len(classes)))
    for place, label in enumerate(model.classes_):
        out[:, classes == label] = given[:, [place]]
    return out


def ranking(truth: Floats, scores: Floats, classes: Floats) -> float:
    """Area under the ROC curve, one class against the rest, averaged over the classes (Hand & Till 2001 discuss it).

    truth: (n,). scores: (n, C). With two classes both sides agree when the scores sum to 1.
    """
    areas = [area(scores[:, place], truth == label) for place, label in enumerate(classes)]
    defined = [value for value in areas if value is not None]
    return float(np.mean(defined)) if defined else float("nan")


def area(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve by the rank sum (Mann & Whitney 1947), ties half; None without both classes."""
    from scipy.stats import rankdata

    count = int(positive.sum())
    if not 0 < count < len(positive):
        return None
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))


def recall_at(scores: Floats, positive: NDArray[np.bool_], precision: float) -> float:
    """Largest recall of a threshold whose precision is at least `precision`; 0 where none has it.

    It is read off the precision-recall curve (Davis & Goadrich 2006); equal scores fall on one side of a threshold.
    NaN without positives.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # the last row of each run of equal scores
    hits = np.cumsum(positive[order])[ends]
    reached = hits[hits >= precision * (ends + 1)]
    return float(reached.max(initial=0) / positive.sum()) if positive.any() else float("nan")


def balanced_accuracy(truth: Floats, guess: Floats) -> float:
    """Mean recall over the classes of `truth`."""
    return float(np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)]))


def determination(truth: Floats, guess: Floats) -> float:
    """R squared; 0 is the mean of the truth, 1 is perfect."""
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return 1 - float(np.sum((truth - guess) ** 2)) / spread if spread > 0 else float("nan")


def spread_sample(count: int, size: int, rng: np.random.Generator) -> Rows:
    """`size` of `count` row numbers without replacement, all where there are no more."""
    return rng.permutation(count)[:size]
