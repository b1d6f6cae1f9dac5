"""Quality: how like the real rows the synthetic ones are, column by column, pair by pair, and as a whole."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import Floats, View, Views
from synth.evaluation.learners import Features, area, boosting, determination, probabilities, ranking, unlearnable
from synth.evaluation.metric import Figures, Metric

MARGINAL_ROWS = 200_000  # rows of each table that columns and pairs are compared on
PAIRS = 3_000  # pairs of columns that are compared at most
CLASSIFIER_ROWS = 8_000  # rows of each side in the two-sample test
FIT_ROWS = 20_000  # rows that the train-on-synthetic model learns from
BINS = 10  # quantile bins of a number in a pair
VALUES = 50  # values of a category in a pair; rarer ones are one

METRICS = (
    Metric(
        "shape_error",
        "lower",
        "Column shapes",
        "Mean distance between the real and the synthetic distribution of a single column, from 0 (same) to 1.",
        "no column has two different values among the training rows",
    ),
    Metric(
        "trend_error",
        "lower",
        "Column pairs",
        "Mean difference between the real and the synthetic relation of two columns, from 0 (same) to 1.",
        "fewer than two columns can be compared",
    ),
    Metric(
        "c2st_auc",
        "target",
        "Real or synthetic?",
        "How well a classifier tells synthetic rows from unseen real ones: 0.5 is a coin toss, 1 is always.",
        "fewer than 10 unseen real rows or no column to compare",
        target=0.5,
    ),
    Metric(
        "tstr",
        "higher",
        "Train on synthetic, test on real",
        "Score on real test rows of a model trained on synthetic rows alone (ROC AUC for classes, R² for numbers); "
        "the floor is the same model trained on the real rows.",
        "there is no target that can be predicted from other columns, or no test rows",
        low=None,
    ),
)


def measure(views: Views, rng: np.random.Generator) -> Figures:
    """All figures of `METRICS`; None where one is undefined."""
    columns, pairs = column_errors(views, rng), pair_errors(views, rng)
    return {
        "shape_error": float(np.mean(list(columns.values()))) if columns else None,
        "trend_error": float(np.mean(list(pairs.values()))) if pairs else None,
        "c2st_auc": c2st_auc(views, rng),
        "tstr": tstr(views, rng),
    }


def rows(views: Views) -> dict[str, int]:
    """How many rows and pairs the figures are read from."""
    count = len(views.names)
    return {
        "column_rows": min(len(views.synthetic), MARGINAL_ROWS),
        "pairs": min(count * (count - 1) // 2, PAIRS),
        "classifier_rows": min(len(views.holdout), len(views.synthetic), CLASSIFIER_ROWS),
        "tstr_rows": min(len(views.synthetic), len(views.train), FIT_ROWS),
    }


def column_errors(views: Views, rng: np.random.Generator) -> dict[str, float]:
    """Distance of each column's distributions in train and synthetic, 0 to 1.

    Numbers and dates: the Kolmogorov-Smirnov statistic of the values, or the difference of the null rates where that
    is larger. Categories: total variation, null being one of the values.
    """
    real, made = views.train.draw(MARGINAL_ROWS, rng), views.synthetic.draw(MARGINAL_ROWS, rng)
    errors = {}
    for place, name in enumerate(views.numbers):
        errors[name] = number_distance(real.numbers[:, place], made.numbers[:, place])
    for place, (name, size) in enumerate(zip(views.categories, views.sizes, strict=True)):
        errors[name] = total_variation(real.codes[:, place], made.codes[:, place], size)
    return errors


def number_distance(real: Floats, made: Floats) -> float:
    """Kolmogorov-Smirnov statistic of two samples with nulls as NaN, or their difference in null rate if larger."""
    missing, absent = np.isnan(real), np.isnan(made)
    rates = abs(float(missing.mean()) - float(absent.mean()))
    first, second = np.sort(real[~missing]), np.sort(made[~absent])
    if not len(first) or not len(second):
        return 1.0 if len(first) != len(second) else rates
    grid = np.concatenate([first, second])
    steps = np.searchsorted(first, grid, "right") / len(first) - np.searchsorted(second, grid, "right") / len(second)
    return max(rates, float(np.abs(steps).max()))


def total_variation(real: NDArray[np.integer], made: NDArray[np.integer], size: int) -> float:
    """Half the sum of the absolute differences of the frequencies of the values 0 .. size-1."""
    first = np.bincount(real, minlength=size) / len(real)
    second = np.bincount(made, minlength=size) / len(made)
    return float(np.abs(first - second).sum() / 2)


def pair_errors(views: Views, rng: np.random.Generator) -> dict[tuple[str, str], float]:
    """Difference of the relation of two columns in train and synthetic, 0 to 1.

    Two numbers: half the difference of Spearman's rank correlation. Otherwise: total variation of the joint
    frequencies, numbers cut at the training rows' deciles. More than `PAIRS` pairs are thinned out, the same ones for
    every generator.
    """
    real, made = views.train.draw(MARGINAL_ROWS, rng), views.synthetic.draw(MARGINAL_ROWS, rng)
    places = list(combinations(range(len(views.names)), 2))
    if len(places) > PAIRS:
        places = [places[i] for i in np.sort(np.random.default_rng(0).choice(len(places), PAIRS, replace=False))]
    numbers = len(views.numbers)
    if numbers:
        edges = [_edges(column) for column in real.numbers.T]
        difference = np.abs(_rank_correlation(real.numbers) - _rank_correlation(made.numbers)) / 2
    else:
        edges, difference = [], np.zeros((0, 0))
    first, sizes = _tokens(real, edges, views.sizes)
    second, _ = _tokens(made, edges, views.sizes)
    errors = {}
    for a, b in places:
        if b < numbers:
            value = float(difference[a, b])
        else:
            joint = [tokens[a] * sizes[b] + tokens[b] for tokens in (first, second)]
            value = total_variation(joint[0], joint[1], sizes[a] * sizes[b])
        errors[views.names[a], views.names[b]] = value
    return errors


def _edges(values: Floats) -> Floats:
    known = values[~np.isnan(values)]
    return np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)


def _tokens(view: View, edges: list[Floats], sizes: tuple[int, ...]) -> tuple[list[NDArray[np.int64]], list[int]]:
    """Every column as small whole numbers, and how many there are: bins plus null, or the frequent values."""
    tokens, counts = [], []
    for column, cuts in zip(view.numbers.T, edges, strict=True):
        place = np.searchsorted(cuts, column, "right")
        tokens.append(np.where(np.isnan(column), len(cuts) + 1, place).astype(np.int64))
        counts.append(len(cuts) + 2)
    for codes, size in zip(view.codes.T, sizes, strict=True):
        tokens.append(np.minimum(codes, VALUES).astype(np.int64))
        counts.append(min(size, VALUES + 1))
    return tokens, counts


def _rank_correlation(numbers: Floats) -> Floats:
    """Spearman's correlation of the columns, (D, D); nulls take the middle rank, a constant column correlates 0."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(column, nan_policy="omit") for column in numbers.T], axis=1)
    ranks -= np.nanmean(ranks, axis=0) if len(ranks) else 0
    ranks = np.nan_to_num(ranks)
    length = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(length > 0, length, 1)
    return np.asarray(ranks.T @ ranks)


def c2st_auc(views: Views, rng: np.random.Generator) -> float | None:
    """Classifier two-sample test (Lopez-Paz & Oquab 2017) against the holdout rows, ROC AUC by 5-fold prediction.

    As many rows of each side; gradient-boosted trees, which see nulls as such and categories by frequency rank.
    """
    from sklearn.model_selection import StratifiedKFold

    count = min(len(views.holdout), len(views.synthetic), CLASSIFIER_ROWS)
    if count < 10 or not views.names:
        return None
    sides = [_draw(view, count, rng) for view in (views.holdout, views.synthetic)]
    inputs = np.vstack([np.hstack([side.numbers, side.codes]) for side in sides])
    made = np.repeat([False, True], count)
    folds = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
    scores = np.zeros(2 * count)
    for fitted, left in folds.split(inputs, made):
        model = boosting("classification", 0, max_iter=60, max_leaf_nodes=15).fit(inputs[fitted], made[fitted])
        scores[left] = model.predict_proba(inputs[left])[:, 1]
    return area(scores, made)


def _draw(view: View, count: int, rng: np.random.Generator) -> View:
    return view.take(rng.permutation(len(view))[:count])


def tstr(views: Views, rng: np.random.Generator) -> float | None:
    """Train on synthetic, test on real (Esteban et al. 2017): gradient-boosted trees that predict the target.

    ROC AUC (mean over the classes) or R squared on the test rows. No more rows are learnt from than train has.
    """
    if unlearnable(views, views.target):
        return None
    features = Features.fit(views)
    inputs, outputs = features.pairs(_draw(views.synthetic, rows(views)["tstr_rows"], rng))
    asked, truth = features.pairs(views.test)
    if len(truth) < 2 or len(np.unique(truth)) < 2:
        return None
    if features.task == "regression":
        if len(outputs) < 2:
            return 0.0
        return determination(truth, boosting("regression", 0).fit(inputs, outputs).predict(asked))
    if len(np.unique(outputs)) < 2:
        return 0.5  # a model that knows one class ranks nothing
    classes = np.unique(truth)
    model = boosting("classification", 0).fit(inputs, outputs)
    return ranking(truth, probabilities(model, asked, classes), classes)
