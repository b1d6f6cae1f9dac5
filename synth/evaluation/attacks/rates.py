"""How often an attack succeeds, with the interval that its own counts give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import Floats

CONFIDENCE = 0.95
LEAST = 20  # unseen rows, below which an attack has nothing to compare with


class Rate(NamedTuple):
    """A figure and the low and high end of its 95 % interval."""

    value: float
    low: float
    high: float


def clopper_pearson(hits: int | NDArray[np.int64], count: int) -> tuple[Floats, Floats]:
    """Exact interval of a binomial proportion (Clopper & Pearson 1934), from counts of any shape."""
    from scipy.stats import beta

    hits, tail = np.asarray(hits), (1 - CONFIDENCE) / 2
    low = np.where(hits > 0, beta.ppf(tail, np.maximum(hits, 1), count - hits + 1), 0.0)
    high = np.where(hits < count, beta.ppf(1 - tail, hits + 1, np.maximum(count - hits, 1)), 1.0)
    return low, high


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Centre and half width of the score interval of a binomial proportion (Wilson 1927)."""
    from scipy.stats import norm

    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    width = z * (hits * (count - hits) / count + z**2 / 4) ** 0.5
    return (hits + z**2 / 2) / (count + z**2), width / (count + z**2)


def advantage(hits: int, count: int, control_hits: int, control_count: int) -> Rate:
    """(p - c) / (1 - c): what success against the training rows (p) adds to that against unseen ones (c).

    Rates and interval as Giomi et al. 2023, section 4: Wilson's centres, their half widths propagated. Unlike there a
    negative value stays, so that the interval of an attack without any advantage reaches 0 from both sides.
    """
    (p, p_width), (c, c_width) = wilson(hits, count), wilson(control_hits, control_count)
    value = (p - c) / (1 - c)
    width = float(np.hypot(p_width / (1 - c), c_width * (1 - p) / (1 - c) ** 2))
    return Rate(value, value - width, min(1.0, value + width))


def true_positive_rate(members: Floats, others: Floats, false_positive_rate: float) -> Rate:
    """Share of members above the threshold that at most the given share of the non-members is above.

    members, others: (n,), (m,) scores, higher for a member. A score equal to the threshold is not above it, so ties
    never raise the false positives. The value takes the threshold that these non-members give. The ends of the interval
    are Clopper and Pearson's at thresholds whose false positive rate, by Clopper and Pearson too, is surely below
    and surely above the one asked for: without enough non-members to prove any (368 for 1 %) the low end is 0.
    """
    falling = np.sort(others)[::-1]
    false_low, false_high = clopper_pearson(np.arange(len(others)), len(others))
    sure = np.flatnonzero(false_high <= false_positive_rate)
    loose = np.flatnonzero(false_low >= false_positive_rate)

    def above(false_positives: int) -> int:
        return int((members > falling[false_positives]).sum())

    return Rate(
        above(int(false_positive_rate * len(others))) / len(members),
        float(clopper_pearson(above(sure[-1]), len(members))[0]) if len(sure) else 0.0,
        float(clopper_pearson(above(loose[0]), len(members))[1]) if len(loose) else 1.0,
    )


def ranked(members: Floats, others: Floats) -> Rate:
    """Area under the ROC curve of the scores, ties half, with the interval of Hanley & McNeil 1982."""
    from scipy.stats import norm, rankdata

    n, m = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))
    auc = float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
    two_members, two_others = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n - 1) * (two_members - auc**2) + (m - 1) * (two_others - auc**2)
    width = float(norm.ppf((1 + CONFIDENCE) / 2)) * (max(variance, 0.0) / (n * m)) ** 0.5
    return Rate(auc, max(0.0, auc - width), min(1.0, auc + width))
