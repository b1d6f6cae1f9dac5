"""Captions of pictures as words of a small vocabulary that is learnt from them, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import vocabulary
from synth.codecs.columns import flat
from synth.conditions import Asked, Between
from synth.errors import ConfigError, InputError
from synth.layout import CAPTION_END, ColumnLayout
from synth.schema import Column

VOCABULARY = 1022  # words and pieces of words at most, of which 256 are single bytes
MOST = 48  # words of a caption
END, NONE, FIRST = CAPTION_END, 1, 2  # words: a caption has ended, there is none; the first of the vocabulary


@dataclass(frozen=True)
class CaptionCodec:
    """A column of captions, each `length` words; pieces of words that few rows have are spelt in smaller ones.

    tokenizer: see `synth.codecs.vocabulary.pieces`; its words are numbered after END and NONE
    used: words that the training captions have, of which others are drawn
    """

    column: Column
    dtype: pa.DataType
    tokenizer: Any
    length: int
    used: tuple[int, ...]

    @classmethod
    def fit(cls, chunks: pa.ChunkedArray, column: Column) -> CaptionCodec:
        """Learn vocabulary and greatest length of the training captions; InputError for one that is too long."""
        texts = pc.drop_null(flat(chunks)).to_pylist()
        tokenizer = vocabulary.pieces(texts, VOCABULARY, column.least, spaced=True)
        encoded = [found.ids for found in tokenizer.encode_batch(texts, add_special_tokens=False)]
        words = list(map(len, encoded))
        used = {END, *([NONE] if column.nullable else []), *(FIRST + word for ids in encoded for word in ids)}
        longest = int(np.argmax(words)) if words else 0
        if words and words[longest] > MOST:
            raise InputError(
                f"column {column.name!r}: a caption of {words[longest]} words and pieces of words; at most {MOST} can "
                "be learnt: shorten it, or drop the column"
            )
        return cls(column, chunks.type, tokenizer, max(words, default=0) + 1, tuple(sorted(used)))

    @property
    def columns(self) -> list[ColumnLayout]:
        """What a model is told: of each place the words that may stand there."""
        size = FIRST + self.tokenizer.get_vocab_size()
        features, embedded = np.zeros((size, 0), np.float32), np.ones(size, dtype=bool)
        nominal, shares = np.full(size, np.nan, np.float32), np.zeros(size, np.float32)
        shares[list(self.used)] = 1 / len(self.used)
        name = self.column.name
        return [ColumnLayout(f"{name}[{i}]", features, embedded, nominal, shares) for i in range(self.length)]

    def encode(self, chunks: pa.ChunkedArray) -> NDArray[np.int64]:
        """(N, T) words; a caption that is longer than those learnt from is cut."""
        texts = flat(chunks).to_pylist()
        found = np.full((len(texts), self.length), END, dtype=np.int64)
        there = [i for i, text in enumerate(texts) if text is not None]
        encoded = self.tokenizer.encode_batch([texts[i] for i in there], add_special_tokens=False)
        for i, one in zip(there, encoded, strict=True):
            words = one.ids[: self.length]
            found[i, : len(words)] = np.array(words, dtype=np.int64) + FIRST
        found[[i for i, text in enumerate(texts) if text is None], 0] = NONE
        return found

    def decode(self, words: NDArray[np.int64]) -> pa.Array:
        """The captions of (N, T) words."""
        texts = self.tokenizer.decode_batch([list(_before_end(row)) for row in words.tolist()])
        captions = [
            None if row[0] == NONE else text.removeprefix(" ") for row, text in zip(words.tolist(), texts, strict=True)
        ]
        if not self.column.nullable:
            captions = [caption or "" for caption in captions]
        return pa.array(captions, pa.string()).cast(self.dtype)

    def asked(self, asked: Asked) -> NDArray[np.int64]:
        """(M, T) words of the captions that are asked for; ConfigError for one that is no text, or too long."""
        name, texts = self.column.name, () if isinstance(asked, Between) else asked.values
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"where: {name!r}: expected a caption or a list of captions, found {asked}")
        encoded = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for text, one in zip(texts, encoded, strict=True):
            if len(one.ids) >= self.length:
                raise ConfigError(
                    f"where: {name!r}: {text!r} has {len(one.ids)} words and pieces of words; captions of at most "
                    f"{self.length - 1} were learnt"
                )
        return self.encode(pa.chunked_array([pa.array(texts, pa.string())]))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"tokenizer": self.tokenizer.to_str(), "length": self.length, "used": list(self.used)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> CaptionCodec:
        """What `state` gave."""
        tokenizer = vocabulary.of_state(state["tokenizer"])
        return cls(column, dtype, tokenizer, int(state["length"]), tuple(state["used"]))


def _before_end(words: list[int]) -> Iterator[int]:
    for word in words:
        if word < FIRST:
            return
        yield word - FIRST
