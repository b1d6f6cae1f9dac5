"""What a model is told of a table: how many tokens a column has, and what is known of each token.

Codecs make it and models read it; neither needs the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CAPTION_END = 0  # the word that a caption has ended
# Tokens of texts: one ends and the next begins, there is none, nothing is here, what is here is not told.
TEXT_END, TEXT_NONE, TEXT_PAD, TEXT_GAP = range(4)


@dataclass(frozen=True)
class ColumnLayout:
    """One modelled column, whose values are the tokens 0 .. K-1.

    name: for messages only
    features: (K, F) float32, continuous inputs that stand for each token (position on the number line);
        F may be 0, and tokens without a position (nulls, categories) have rows of zeros
    embedded: (K,) bool, tokens that want a learnt embedding (categories, atoms, nulls); numeric bins do not
    ordered: (K,) float32, the place of each token on the number line scaled to [0, 1], NaN where it has none;
        all NaN for a nominal column
    frequency: (K,) float32, share of training rows, sums to 1
    nullable: whether the last token stands for no value
    """

    name: str
    features: NDArray[np.float32]
    embedded: NDArray[np.bool_]
    ordered: NDArray[np.float32]
    frequency: NDArray[np.float32]
    nullable: bool = False

    @property
    def cardinality(self) -> int:
        """Number of tokens K."""
        return len(self.frequency)

    @property
    def values(self) -> int:
        """Tokens that stand for a value, the first ones."""
        return self.cardinality - self.nullable


@dataclass(frozen=True)
class TableLayout:
    """The modelled columns in the order in which an autoregressive model should take them.

    target: place among them of the one that users of the data will predict, None where there is none
    """

    columns: tuple[ColumnLayout, ...]
    target: int | None = None

    @property
    def cardinalities(self) -> list[int]:
        """Tokens of each column, (D,)."""
        return [column.cardinality for column in self.columns]

    @property
    def labels(self) -> TableLayout:
        """The same without columns that are words of a text."""
        return self


@dataclass(frozen=True)
class TextLayout(TableLayout):
    """Texts as tokens 0 .. V-1, and the columns beside them, of which there may be none.

    frequency: (V,) float32, share of each token among the training texts, TEXT_END included; 0 of one that never came
    page: tokens of a training row, and how far back the next token is told from
    longest: tokens of a text at most, without the end
    own: of the tokens, the first ones, that are in no vocabulary: ends, gaps, what stands for personal data
    """

    frequency: NDArray[np.float32] = field(default_factory=lambda: np.ones(1, np.float32))
    page: int = 1
    longest: int = 0
    own: int = 4

    @property
    def vocabulary(self) -> int:
        """Number of tokens V."""
        return len(self.frequency)


@dataclass(frozen=True)
class Cycle:
    """What comes round in time: a day, a week, a year.

    column: place among a series' own columns of the one that says where in it the first step is
    phases: (K,) float32, where in it each of that column's tokens is, 0 to 1
    advance: how much of it a step takes
    """

    column: int
    phases: NDArray[np.float32]
    advance: float


class Observer(Protocol):
    """What is known of series while they are drawn: the states that the ranks of their steps are told by."""

    def begin(self, tokens: NDArray[np.int64], places: NDArray[np.float32]) -> Any:
        """States of series with these own columns (B, S)."""

    def seen(self, states: Any) -> NDArray[np.float32]:
        """(B, F) features of them."""

    def after(self, states: Any, tokens: NDArray[np.int64], places: NDArray[np.float32]) -> Any:
        """States after one more step (B, D)."""


@dataclass(frozen=True)
class SeriesLayout(TableLayout):
    """Series: the columns that each has once, how many steps it has among them, and those of every step.

    steps: the columns of a step
    length: place of the column that says how many steps there are; lengths: (K,) int64, at most, by its tokens
    known: places of the columns that the source has
    cycles: of the calendar, where steps are nearly regular
    observer: of states while drawing; states: their number F
    """

    steps: TableLayout = field(default_factory=lambda: TableLayout(()))
    length: int = 0
    lengths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    known: tuple[int, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    observer: Observer | None = None
    states: int = 0

    @property
    def longest(self) -> int:
        """Steps of a series at most."""
        return int(self.lengths.max())


@dataclass(frozen=True)
class ImageLayout(TableLayout):
    """Pictures of one size, and the columns of their labels, of which there may be none.

    channels: 1 (grey) or 3 (red, green, blue); height, width: in pixels
    caption: how many of the columns, the last ones, are the words of a caption
    """

    channels: int = 1
    height: int = 1
    width: int = 1
    caption: int = 0

    @property
    def labels(self) -> ImageLayout:
        """The same without the words."""
        return replace(self, columns=self.columns[: len(self.columns) - self.caption], caption=0)


@dataclass(frozen=True)
class Condition:
    """What sampled rows must keep, in the layout's columns.

    spans: column -> (K, 2) float64, from where to where inside each token a value may lie, 0 to 1; (0, 1) allows all
        of a token, (1, 0) none of it. The same for every row
    tokens: (n, D) int64, the token that a row has in a column; -1 where it is free. None where all are
    places: (n, D) float32, places of these tokens
    beginnings: (n, T) int64, the first tokens of each row's text; -1 after them. None where all are free
    particles: candidates per row of a family that chooses among some by their likelihood
    """

    spans: Mapping[int, NDArray[np.floating[Any]]] = field(default_factory=dict)
    tokens: NDArray[np.int64] | None = None
    places: NDArray[np.float32] | None = None
    beginnings: NDArray[np.int64] | None = None
    particles: int = 32

    def of_rows(self, chosen: NDArray[np.int64]) -> Condition:
        """The condition of some of the rows (M,)."""
        parts = {name: getattr(self, name) for name in ("tokens", "places", "beginnings")}
        return replace(self, **{name: part[chosen] for name, part in parts.items() if part is not None})
