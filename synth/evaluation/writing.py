"""Texts as a whole: lengths, characters and words, how varied they are, what they teach, and what is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import View, Views
from synth.evaluation.metric import Figures, Metric
from synth.evaluation.ngrams import NGrams
from synth.evaluation.quality import number_distance
from synth.evaluation.text_features import WORD

CHARACTERS = 1_000_000  # of each side that are read
COMMON = 2000  # words that are told apart

_NONE = "no unseen real or no synthetic texts"
METRICS = (
    Metric(
        "length_error",
        "lower",
        "Lengths",
        "Kolmogorov-Smirnov distance of the lengths of unseen real and of synthetic texts in characters.",
        _NONE,
    ),
    Metric(
        "character_error",
        "lower",
        "Characters",
        "Total variation between the frequencies of characters in unseen real and in synthetic texts.",
        _NONE,
    ),
    Metric(
        "word_error",
        "lower",
        "Words",
        f"The same of words, of the training texts' {COMMON:,} most frequent ones and of all others together.",
        _NONE,
    ),
    Metric(
        "distinct_2",
        "target",
        "Different pairs of words",
        "How many different pairs of adjacent words there are among so many, divided by the same of unseen real texts "
        "(distinct-2, Li et al. 2016): below 1 texts repeat themselves.",
        _NONE,
        target=1.0,
        high=None,
    ),
    Metric(
        "ngram_bits",
        "lower",
        "Bits per character",
        "Bits that a character of unseen real texts takes when it is told from the five before it by counts in the "
        "synthetic ones. `copy` is what as many training texts give.",
        _NONE,
        high=None,
    ),
    Metric(
        "longest_match",
        "lower",
        "Longest copied passage",
        "Longest run of characters that a synthetic text shares with a training text, divided by the longest that an "
        "unseen real text shares with one: 1 is what chance and quotation give.",
        _NONE,
        high=None,
    ),
)


def measure(views: Views, rng: np.random.Generator) -> Figures:
    """All figures of `METRICS`."""
    train, unseen = (_drawn(view, rng) for view in (views.train, views.holdout if len(views.holdout) else views.test))
    made = _drawn(views.synthetic, rng)
    if not any(unseen) or not any(made):
        return dict.fromkeys(metric.name for metric in METRICS)
    real, ours = _even(unseen, made)
    counts = Counter(word for text in train for word in WORD.findall(text))
    common = {word for word, _ in counts.most_common(COMMON)}
    pairs = [_distinct(texts) for texts in (real, ours)]
    return {
        "length_error": number_distance(_lengths(unseen), _lengths(made)),
        "character_error": _apart(Counter("".join(unseen)), Counter("".join(made))),
        "word_error": _apart(_words(unseen, common), _words(made, common)),
        "distinct_2": pairs[1] / pairs[0] if pairs[0] else None,
        "ngram_bits": NGrams.fit(_even(made, train)[0]).bits(unseen),
        "longest_match": longest_match(ours, train) / max(longest_match(real, train), 1),
    }


def rows(views: Views) -> dict[str, int]:
    """How many characters the figures are read from."""
    sizes = {"train": views.train, "synthetic": views.synthetic}
    return {
        f"writing_{name}_characters": min(sum(len(text or "") for text in _texts(view)), CHARACTERS)
        for name, view in sizes.items()
    }


def longest_match(texts: Sequence[str], known: Sequence[str]) -> int:
    """Characters of the longest run that one of `texts` shares with one of `known`."""
    first, second = _Runs(texts), _Runs(known)
    low, high = 0, min(max(map(len, texts), default=0), max(map(len, known), default=0))
    while low < high:
        middle = (low + high + 1) // 2
        if np.isin(first.of(middle), second.of(middle)).any():
            low = middle
        else:
            high = middle - 1
    return low


class _Runs:
    """Hashes of all runs of one length in some texts, by differences of a polynomial's sums (Karp & Rabin 1987)."""

    BASE = 0x9E3779B97F4A7C15
    INVERSE = pow(BASE, -1, 2**64)

    def __init__(self, texts: Sequence[str]) -> None:
        points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        values = (points.astype(np.uint64) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
        values ^= values >> np.uint64(29)
        count = len(values)
        powers = np.cumprod(np.full(count, self.BASE, dtype=np.uint64), dtype=np.uint64)
        self.sums = np.append(np.uint64(0), np.cumsum(values * powers, dtype=np.uint64))
        self.scale = np.cumprod(np.full(count + 1, self.INVERSE, dtype=np.uint64), dtype=np.uint64)
        self.ends = np.repeat(np.cumsum([len(text) for text in texts]), [len(text) for text in texts])

    def of(self, length: int) -> NDArray[np.uint64]:
        """Of every run that lies inside one text."""
        starts = np.flatnonzero(np.arange(len(self.ends)) + length <= self.ends)
        return (self.sums[starts + length] - self.sums[starts]) * self.scale[starts]


def _texts(view: View) -> list[str | None]:
    return [] if view.texts is None else view.texts.tolist()


def _drawn(view: View, rng: np.random.Generator) -> list[str]:
    """Texts in a random order, of CHARACTERS together at most."""
    texts = _texts(view)
    return _up_to([text for place in rng.permutation(len(texts)) if (text := texts[place]) is not None], CHARACTERS)


def _up_to(texts: list[str], characters: int) -> list[str]:
    """The first of the texts, of so many characters together at most; the first one is cut where it alone is longer."""
    ends = np.cumsum([len(text) for text in texts])
    kept = texts[: int(np.searchsorted(ends, characters, "right"))]
    return kept or [text[:characters] for text in texts[:1]]


def _even(first: list[str], second: list[str]) -> tuple[list[str], list[str]]:
    """As many characters of both."""
    least = min(sum(map(len, first)), sum(map(len, second)))
    return _up_to(first, least), _up_to(second, least)


def _lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([len(text) for text in texts], dtype=np.float64)


def _words(texts: Sequence[str], common: set[str]) -> Counter[str | None]:
    return Counter(word if word in common else None for text in texts for word in WORD.findall(text))


def _apart(real: Counter[Any], made: Counter[Any]) -> float:
    """Total variation of two frequencies."""
    totals = max(real.total(), 1), max(made.total(), 1)
    return sum(abs(real[value] / totals[0] - made[value] / totals[1]) for value in {*real, *made}) / 2


def _distinct(texts: Sequence[str]) -> float:
    """Different ones among the pairs of adjacent words."""
    words = [WORD.findall(text.lower()) for text in texts]
    pairs = [pair for text in words for pair in pairwise(text)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0
