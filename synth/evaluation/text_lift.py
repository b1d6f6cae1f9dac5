"""What lift of texts is measured with: words as inputs, and what a practitioner tries against few labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.encoding import Floats, View, Views
from synth.evaluation.learners import Features, Task
from synth.evaluation.ngrams import NGrams
from synth.evaluation.zoo import Learner

TOKEN = re.compile(r"\w+|[^\w\s]")
SIGNS = (".", ";", "?", ":", "!", ",")
EDITS = ((500, 0.05, 16), (2000, 0.05, 8))  # up to so many texts: share of the words edited, copies of each text
MORE_EDITS = (0.1, 4)
ORDER = 6
LONGEST = 1000  # characters of a sample

Texts = NDArray[np.object_]


@dataclass(frozen=True)
class TextFeatures:
    """The text of a row as its inputs, and a class as its output."""

    features: Features
    task: ClassVar[Task] = "classification"
    most: ClassVar[int] = 4000  # texts that join the real ones, and that are scored

    def known(self, view: View) -> NDArray[np.bool_]:
        """(n,) Whether a row has a text and a class."""
        written = np.array([text is not None for text in _texts(view)], dtype=bool)
        return np.asarray(self.features.known(view) & written)

    def pairs(self, view: View) -> tuple[Texts, Floats]:
        """Texts (n,) and classes (n,) of the rows that have both."""
        known = self.known(view)
        return _texts(view)[known], view.codes[known, self.features.target].astype(np.float64)


def _texts(view: View) -> Texts:
    assert view.texts is not None  # noqa: S101 - `features_of` has looked
    return view.texts


def features_of(views: Views) -> Features | TextFeatures:
    """How the rows of these tables become inputs and outputs."""
    features = Features.fit(views)
    written = views.train.texts is not None and features.task == "classification"
    return TextFeatures(features) if written else features


def text_learners() -> dict[str, Learner]:
    """Logistic regression and naive Bayes over words and pairs of words, weighted by TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    def words() -> Any:
        return TfidfVectorizer(analyzer=tokens, sublinear_tf=True)

    def linear(state: int, weight: str | None) -> Any:
        return make_pipeline(
            words(), LogisticRegression(C=10.0, max_iter=1000, random_state=state, class_weight=weight)
        )

    def bayes(_: int, weight: str | None) -> Any:
        return make_pipeline(words(), MultinomialNB(alpha=0.1, fit_prior=weight is None))

    return {"logistic_regression": Learner(linear, _same), "naive_bayes": Learner(bayes, _same)}


def _same(texts: Any) -> Any:
    return texts


def tokens(text: str) -> list[str]:
    """Words and pairs of words of a text, and one token that every text has, so that an empty one has some."""
    words = TOKEN.findall(text.lower())
    return ["", *words, *(f"{first} {second}" for first, second in pairwise(words))]


def edited(texts: Texts, outputs: Floats, most: int, rng: np.random.Generator) -> tuple[Texts, Floats]:
    """Every text and edited copies of it: words swapped or deleted (EDA, Wei & Zou 2019, as often as they advise; its
    synonyms need a thesaurus and are left out), signs put between words (AEDA, Karimi et al. 2021)."""
    share, copies = _edits(len(texts))
    chosen = np.tile(np.arange(len(texts)), copies)[:most]
    edits: tuple[Callable[[list[str], float, np.random.Generator], list[str]], ...] = (_swapped, _deleted, _punctuated)
    made = [" ".join(edits[place % 3](texts[i].split(), share, rng)) for place, i in enumerate(chosen.tolist())]
    return _joined(texts, made), np.concatenate([outputs, outputs[chosen]])


def _edits(count: int) -> tuple[float, int]:
    return next(((share, copies) for bound, share, copies in EDITS if count <= bound), MORE_EDITS)


def _swapped(words: list[str], share: float, rng: np.random.Generator) -> list[str]:
    found = list(words)
    for _ in range(max(1, round(share * len(words))) if len(words) > 1 else 0):
        i, j = rng.integers(len(found), size=2)
        found[i], found[j] = found[j], found[i]
    return found


def _deleted(words: list[str], share: float, rng: np.random.Generator) -> list[str]:
    kept = [word for word, chance in zip(words, rng.random(len(words)), strict=True) if chance >= share]
    return kept or words[:1]


def _punctuated(words: list[str], share: float, rng: np.random.Generator) -> list[str]:
    found = list(words)
    for _ in range(max(1, round(share * len(words)))):
        found.insert(int(rng.integers(len(found) + 1)), SIGNS[rng.integers(len(SIGNS))])
    return found


def continued(texts: Texts, outputs: Floats, most: int, rng: np.random.Generator) -> tuple[Texts, Floats]:
    """Every text, and as many as `edited` makes that counts of characters write, of each class by its own counts."""
    _, copies = _edits(len(texts))
    made: list[str] = []
    labels: list[Floats] = []
    for label in np.unique(outputs):
        own = texts[outputs == label]
        count = min(copies * len(texts), most) * len(own) // len(texts)
        longest = min(max(map(len, own)), LONGEST)
        made += NGrams.fit(own.tolist(), ORDER).sample(count, longest, rng)
        labels.append(np.full(count, label))
    return _joined(texts, made), np.concatenate([outputs, *labels])


def _joined(texts: Texts, more: Sequence[str]) -> Texts:
    return np.concatenate([texts, np.array([*more, None], dtype=object)[:-1]])
