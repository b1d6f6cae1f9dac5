"""Singling out: predicates read off the synthetic rows that are true of one single training row (Giomi et al. 2023)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synth.evaluation.attacks.rates import Rate, advantage
from synth.evaluation.encoding import Floats, Rows, View, Views
from synth.evaluation.metric import Metric

COMBINATIONS = 2_000  # predicates over several columns
VALUES = 500  # predicates over one column
ISOLATED = 100  # surroundings of a number that are tried, the farthest from others first
BAND = 0.02  # of a number in a predicate over several columns, to both sides, as a share of the rows
ROWS = 200_000  # of each table: of a million training rows a leak of few shows in many alone
LEAST = 20  # predicates, below which there is no rate

METRICS = (
    Metric(
        "singling_out",
        "lower",
        "People singled out",
        "How much more often a value, or a combination of values, that one synthetic row alone has is true of exactly "
        "one training row than of exactly one unseen row: 0 is chance, 1 is always.",
        f"no unseen real rows, or fewer than {LEAST} combinations that a single synthetic row has",
        low=None,
    ),
)


class Predicate(NamedTuple):
    """`low <= value <= high` for all of `columns`."""

    columns: Rows
    low: Floats
    high: Floats

    def matches(self, table: Floats) -> Rows:
        """Places of the rows of a table, (D, n), of which it is true."""
        found = np.arange(table.shape[1])
        for column, low, high in zip(*self, strict=True):
            values = table[column, found]
            found = found[(values >= low) & (values <= high)]
        return found


def attack(views: Views, rng: np.random.Generator) -> dict[str, Rate | None]:
    """The figure of `METRICS`. Training and unseen rows are as many, so that chance is the same on both sides."""
    count = min(len(views.train), len(views.holdout), ROWS)
    if not views.names or not count:
        return {"singling_out": None}
    synthetic = columns(views.synthetic.draw(ROWS, rng))
    train, control = (columns(view.draw(count, rng)) for view in (views.train, views.holdout))
    numbers = len(views.numbers)
    predicates = multivariate(synthetic, numbers, rng) + univariate(synthetic, numbers, rng)
    if len(predicates) < LEAST:
        return {"singling_out": None}
    hits, control_hits = (
        sum(len(predicate.matches(table)) == 1 for predicate in predicates) for table in (train, control)
    )
    return {"singling_out": advantage(hits, len(predicates), control_hits, len(predicates))}


def columns(view: View) -> Floats:
    """(D, n): every column as numbers, those of categories their codes, a null below all others."""
    numbers = np.where(np.isnan(view.numbers), -np.inf, view.numbers)
    return np.ascontiguousarray(np.hstack([numbers, view.codes]).T)


def multivariate(synthetic: Floats, numbers: int, rng: np.random.Generator) -> list[Predicate]:
    """What a synthetic row says of columns in random order, as many as it takes until it is true of that row alone.

    synthetic: (D, n), the first `numbers` columns numbers. A row that has a twin in all columns gives none.
    """
    ordered = np.sort(synthetic[:numbers], axis=1)
    found = []
    for row in rng.choice(synthetic.shape[1], min(COMBINATIONS, synthetic.shape[1]), replace=False):
        order = rng.permutation(len(synthetic))
        low, high = _around(synthetic[:, row], ordered)
        alike = np.arange(synthetic.shape[1])
        for used, column in enumerate(order, 1):
            alike = alike[(synthetic[column, alike] >= low[column]) & (synthetic[column, alike] <= high[column])]
            if len(alike) == 1:
                found.append(Predicate(order[:used], low[order[:used]], high[order[:used]]))
                break
    return found


def _around(values: Floats, ordered: Floats) -> tuple[Floats, Floats]:
    """Ends of the predicate of each column: a band around a number, a category or a null itself. (D,) each."""
    low, high = values.copy(), values.copy()
    reach = int(BAND * ordered.shape[1])
    for column, sorted_values in enumerate(ordered):
        if np.isfinite(values[column]):
            first, last = (np.searchsorted(sorted_values, values[column], side) for side in ("left", "right"))
            known = np.searchsorted(sorted_values, -np.inf, "right")
            low[column] = sorted_values[max(first - reach, known)]
            high[column] = sorted_values[min(last - 1 + reach, len(sorted_values) - 1)]
    return low, high


def univariate(synthetic: Floats, numbers: int, rng: np.random.Generator) -> list[Predicate]:
    """Values that one synthetic row has, and the surroundings of numbers that are far from all others.

    The value itself is what the paper tries. The surroundings reach half the way to the next value, and find what has
    been moved a little.
    """
    found = []
    for column, values in enumerate(synthetic):
        unique, count = np.unique(values[np.isfinite(values)], return_counts=True)
        alone, reach = unique[count == 1], np.zeros((count == 1).sum())
        if column < numbers:
            far = _reach(unique)[count == 1]
            drawn, isolated = rng.permutation(len(alone))[:VALUES], np.argsort(-far, kind="stable")[:ISOLATED]
            reach = np.concatenate([reach[drawn], far[isolated]])
            alone = alone[np.concatenate([drawn, isolated])]
        found += [
            Predicate(np.array([column]), np.array([value - way]), np.array([value + way]))
            for value, way in zip(alone, reach, strict=True)
        ]
    return [found[place] for place in rng.permutation(len(found))[:VALUES]]


def _reach(unique: Floats) -> Floats:
    """(n,) Half the way from each of sorted values to the nearest other one; 0 for a value that is alone."""
    if len(unique) < 2:
        return np.zeros(len(unique))
    gaps = np.concatenate([[np.inf], np.diff(unique), [np.inf]])
    return np.asarray(np.minimum(gaps[:-1], gaps[1:]) / 2)


def rows(views: Views) -> dict[str, int]:
    """How many rows the attack looks at."""
    return {
        "singling_out_rows": min(len(views.train), len(views.holdout), ROWS),
        "singling_out_synthetic_rows": min(len(views.synthetic), ROWS),
    }
