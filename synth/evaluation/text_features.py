"""Texts as vectors that follow from each text alone: what it is made of, and which words and letters come together.

Words and pairs of them, and runs of two to four letters, are hashed, counted, brought to length 1 and projected at
random (Johnson & Lindenstrauss 1984): nothing is learnt, so that figures of different models can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

HASHED = 2**15  # places of the counts
WORDS, LETTERS = 24, 24  # places of each projection
PLAIN = 8
FEATURES = PLAIN + WORDS + LETTERS
WORD = re.compile(r"\w+")

Floats = NDArray[np.float64]


def features(texts: pa.ChunkedArray) -> Floats:
    """(N, FEATURES) of a column of texts; NaN where there is none."""
    values = texts.to_pylist()
    found = np.full((len(values), FEATURES), np.nan)
    there = [place for place, text in enumerate(values) if text is not None]
    if there:
        known = [values[place] for place in there]
        found[there] = np.hstack([_plain(known), *_projected(known)])
    return found


def _plain(texts: Sequence[str]) -> Floats:
    """(N, PLAIN): lengths in letters and words (logarithms), letters of a word, shares of kinds of letters, and the
    share of the words that are different."""
    rows = []
    for text in texts:
        words, length = WORD.findall(text.lower()), max(len(text), 1)
        kinds = (str.isupper, str.isdigit, str.isspace, lambda letter: not (letter.isalnum() or letter.isspace()))
        rows.append(
            [
                np.log1p(len(text)),
                np.log1p(len(words)),
                np.mean([len(word) for word in words]) if words else 0.0,
                *(sum(map(kind, text)) / length for kind in kinds),
                len(set(words)) / max(len(words), 1),
            ]
        )
    return np.array(rows, dtype=np.float64)


def _projected(texts: Sequence[str]) -> list[Floats]:
    """Words and letters, (N, WORDS) and (N, LETTERS)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(n_features=HASHED, ngram_range=(1, 2))
    letters = HashingVectorizer(n_features=HASHED, ngram_range=(2, 4), analyzer="char", lowercase=False)
    pairs = ((words, _matrix(WORDS, 0)), (letters, _matrix(LETTERS, 1)))
    return [np.asarray(vectorizer.transform(texts) @ matrix) for vectorizer, matrix in pairs]


@cache
def _matrix(places: int, seed: int) -> Floats:
    return np.asarray(np.random.default_rng(seed).normal(size=(HASHED, places)) / np.sqrt(places))
