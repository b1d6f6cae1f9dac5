"""Texts in a table: one column of them as pages of tokens, the other columns as what each is told by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import vocabulary
from synth.codecs.columns import flat
from synth.codecs.mentions import KINDS, Mentions
from synth.codecs.table import Arrays, Labelled, Spans, TableCodec, restore
from synth.conditions import Asked, OneOf
from synth.errors import ConfigError
from synth.layout import TEXT_END, TEXT_GAP, TEXT_NONE, TEXT_PAD, TextLayout
from synth.schema import Column, Schema
from synth.stored import AnyTable

FIRST = 4 + len(KINDS)  # token of the vocabulary's first; before it are the marks of personal data
MARK = 4
REST = "*"  # ends the beginning of a text that is asked for
GAP = "[MASK]"  # one token of a text that is to be filled

Tokens = Literal["characters", "pieces"]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class TextCodec(Labelled):
    """One column of texts, and a table codec of the columns beside it.

    tokenizer: see `synth.codecs.vocabulary`; its tokens are numbered from FIRST on
    shares: of the tokens among the training texts, (V,)
    mentions: what stands for personal data inside of texts
    page, longest: see `TextLayout`
    damaged: whether a character that is no text was among the training ones, so that it may come out
    """

    schema: Schema
    text: Column
    labels: TableCodec
    tokenizer: Any
    mentions: Mentions
    shares: tuple[float, ...]
    page: int
    longest: int
    damaged: bool = False

    @classmethod
    def fit(
        cls,
        table: AnyTable,
        schema: Schema,
        seed: int,
        *,
        tokens: Tokens = "pieces",
        vocabulary_size: int = 4096,
        tokenizer: str | None = None,
        page: int = 256,
        longest: int = 2048,
    ) -> TextCodec:
        """Learn the vocabulary of the training texts, and fit the codec of the columns beside them.

        tokens, vocabulary_size: characters, or so many pieces of words at most
        tokenizer: the file of one that is known already, in their place
        page: tokens of a training row; longest: tokens of a drawn text at most
        """
        column = _text(schema)
        texts = pc.drop_null(flat(table.column(column.name))).to_pylist()
        mentions = Mentions.fit(texts, seed)
        plain = [part for text in texts for part in mentions.parts(text) if isinstance(part, str)]
        if tokenizer is not None:
            words = vocabulary.of_file(tokenizer)
        elif tokens == "characters":
            words = vocabulary.characters(plain, column.least)
        else:
            words = vocabulary.pieces(plain, vocabulary_size, column.least)
        counts = np.zeros(FIRST + words.get_vocab_size())
        most = 0
        for ids in _encoded(words, mentions, texts):
            counts += np.bincount(ids, minlength=len(counts))
            most = max(most, len(ids))
        counts[TEXT_END] = table.num_rows
        counts[TEXT_NONE] = table.num_rows - len(texts)
        damaged = any(vocabulary.DAMAGED in text for text in texts)
        labels = TableCodec.fit(table, beside(schema), seed)
        shares = tuple((counts / counts.sum()).tolist())
        return cls(schema, column, labels, words, mentions, shares, page, min(most, longest), damaged)

    @property
    def layout(self) -> TextLayout:
        """What a model is told."""
        told = self.labels.layout
        shares = np.array(self.shares, dtype=np.float32)
        return TextLayout(told.columns, told.target, frequency=shares, page=self.page, longest=self.longest, own=FIRST)

    def pages(self, table: pa.Table) -> dict[str, NDArray[Any]]:
        """Texts one after the other, cut into rows for training: {"text": (P, L + 1), "tokens": (P, L, D)} int64.

        Place i of `text` says what is read, place i + 1 what shall come next, and place i of `tokens` the columns
        beside the text that this belongs to. TEXT_END stands before every text and after the last.
        """
        table = restore(table, self.schema)
        parts = list(self._tokens(table))
        stream = np.concatenate([[TEXT_END], *chain.from_iterable((part, [TEXT_END]) for part in parts)])
        owner = np.repeat(np.arange(len(parts)), [len(part) + 1 for part in parts])
        count = -(-len(owner) // self.page)
        gap = count * self.page - len(owner)
        stream = np.pad(stream, (0, gap), constant_values=TEXT_PAD)
        owners = np.pad(owner, (0, gap), mode="edge").reshape(count, self.page)
        places = np.arange(count)[:, None] * self.page + np.arange(self.page + 1)
        return {"text": stream[places], "tokens": self._told(table)[owners]}

    def encode(self, table: pa.Table, *, places: bool = False, gaps: bool = False) -> dict[str, NDArray[Any]]:
        """Every text on pages of its own: {"text": (P, L + 1), "tokens": (P, D), "row": (P,), "known": (P,)} int64.

        row: number of the row that a page is of, and every row has one; known: places at its beginning that stand on
        an earlier page, half of them on all but the first
        gaps: whether GAP in a text is a token that is to be filled; no place stands on two pages then
        """
        table, half = restore(table, self.schema), self.page if gaps else max(self.page // 2, 1)
        pages, rows, known = [], [], []
        for row, tokens in enumerate(self._tokens(table, gaps)):
            text = np.concatenate([[TEXT_END], tokens, [TEXT_END]])
            for start in range(0, max(len(text) - 1 - (self.page - half), 1), half):
                part = text[start : start + self.page + 1]
                pages.append(np.pad(part, (0, self.page + 1 - len(part)), constant_values=TEXT_PAD))
                rows.append(row)
                known.append(min(start, self.page - half))
        text = np.stack(pages) if pages else np.zeros((0, self.page + 1), dtype=np.int64)
        row_numbers = np.array(rows, dtype=np.int64)
        return {
            "text": text,
            "tokens": self._told(table)[row_numbers],
            "row": row_numbers,
            "known": np.array(known, dtype=np.int64),
        }

    def _told(self, table: pa.Table) -> Codes:
        """(N, D) tokens of the columns beside the texts."""
        if not self.labels.schema.columns:
            return np.zeros((table.num_rows, 0), dtype=np.int64)
        return self.labels.encode(table, places=False)["tokens"]

    def _tokens(self, table: pa.Table, gaps: bool = False) -> Iterator[Codes]:
        """Of each row (T,), without the ends."""
        texts = flat(table.column(self.text.name)).to_pylist()
        encoded = _encoded(self.tokenizer, self.mentions, [text for text in texts if text is not None], gaps)
        return (np.array([TEXT_NONE]) if text is None else next(encoded) for text in texts)

    def log_density(self, table: pa.Table, tokens: Codes) -> NDArray[np.float64]:
        """(N,) as `TableCodec.log_density`, of the columns beside the text."""
        told = self._told(table)
        return self.labels.log_density(table, told) if told.shape[1] else np.zeros(table.num_rows)

    def decode(
        self, arrays: Arrays, *, rows: range, rng: np.random.Generator, spans: Mapping[int, Spans] | None = None
    ) -> pa.Table:
        """A table of the source's Arrow schema from {"tokens": (n, D), "text": (n, T)} and the rows' global numbers."""
        labels = self.labels.decode({"tokens": arrays["tokens"]}, rows=rows, rng=rng, spans=spans)
        columns = dict(zip(labels.column_names, labels.columns, strict=True))
        columns[self.text.name] = self._texts(arrays["text"], rows)
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema.arrow_schema)

    def _texts(self, tokens: Codes, rows: range) -> pa.Array:
        """The texts of (n, T), each up to its end."""
        ends = [int(stop.argmax()) if stop.any() else len(stop) for stop in tokens <= TEXT_PAD]
        known = [row[:end] for row, end in zip(tokens, ends, strict=True)]
        places = [np.flatnonzero(row < FIRST) for row in known]
        parts = [np.split(row - FIRST, place) for row, place in zip(known, places, strict=True)]
        plain = [part[part >= 0].tolist() for split in parts for part in split]
        read = iter(self.tokenizer.decode_batch(plain))
        made = self.mentions.made([row[place] - MARK for row, place in zip(known, places, strict=True)], rows)
        texts: list[str | None] = [
            "".join(chain.from_iterable(zip(values, (next(read) for _ in values), strict=True)))
            for values in (["", *each] for each in made)
        ]
        if not self.damaged:
            texts = [text and text.replace(vocabulary.DAMAGED, "") for text in texts]
        if self.text.nullable and tokens.shape[1]:
            texts = [None if gone else text for gone, text in zip(tokens[:, 0] == TEXT_NONE, texts, strict=True)]
        return pa.array(texts, pa.large_string()).cast(self.schema.arrow_schema.field(self.text.name).type)

    def filled(self, text: str, tokens: Codes, row: int) -> str:
        """A text with what the tokens (G,) stand for in its gaps, one after the other."""
        pieces, spaced = text.split(GAP), vocabulary.spaced(self.tokenizer)
        passages = self._texts(tokens[:, None], range(row, row + len(tokens))).to_pylist()
        found = [
            part.removeprefix(" ") if spaced and piece.endswith(" ") else part
            for piece, part in zip(pieces, passages, strict=False)
        ]
        return "".join(chain.from_iterable(zip_longest(pieces, found, fillvalue="")))

    def beginnings(self, asked: Asked) -> Codes:
        """(M, T) first tokens of texts that begin as asked for, -1 after them; ConfigError for anything else."""
        values = asked.values if isinstance(asked, OneOf) else ()
        if not values or not all(isinstance(value, str) and value.endswith(REST) for value in values):
            raise ConfigError(
                f"where: {self.text.name!r} holds texts, of which a beginning can be asked for, such as 'Once{REST}'; "
                f"found {asked}"
            )
        begun = [value[: -len(REST)] for value in values]
        parts = [ids[: self.longest] for ids in _encoded(self.tokenizer, self.mentions, begun)]
        found = np.full((len(parts), max(map(len, parts))), -1, dtype=np.int64)
        for i, part in enumerate(parts):
            found[i, : len(part)] = part
        return found

    def empty(self) -> pa.Table:
        """No row, in the source's Arrow schema."""
        count = len(self.labels.layout.columns)
        arrays = {"tokens": np.zeros((0, count), dtype=np.int64), "text": np.zeros((0, 0), dtype=np.int64)}
        return self.decode(arrays, rows=range(0), rng=np.random.default_rng(0))

    def state(self) -> dict[str, Any]:
        """As JSON, by column name."""
        own = ("shares", "page", "longest", "damaged")
        text = {"tokenizer": self.tokenizer.to_str(), "mentions": self.mentions.state()}
        text |= {name: getattr(self, name) for name in own}
        return {**self.labels.state(), self.text.name: text}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], schema: Schema) -> TextCodec:
        """What `state` gave."""
        column = _text(schema)
        own = dict(state[column.name])
        tokenizer = vocabulary.of_state(own.pop("tokenizer"))
        mentions, labels = Mentions.from_state(own.pop("mentions")), TableCodec.from_state(state, beside(schema))
        return cls(schema, column, labels, tokenizer, mentions, tuple(own.pop("shares")), **own)


def _encoded(tokenizer: Any, mentions: Mentions, texts: list[str], gaps: bool = False) -> Iterator[Codes]:
    """Tokens of each text, (T,)."""
    for start in range(0, len(texts), 1000):
        spaced = vocabulary.spaced(tokenizer)
        split = [list(_parts(text, mentions, gaps, spaced)) for text in texts[start : start + 1000]]
        plain = [part for parts in split for part in parts if isinstance(part, str)]
        found = iter(tokenizer.encode_batch(plain, add_special_tokens=False))
        for parts in split:
            each = [[part] if isinstance(part, int) else np.array(next(found).ids) + FIRST for part in parts]
            yield np.concatenate(each).astype(np.int64)


def _parts(text: str, mentions: Mentions, gaps: bool, spaced: bool) -> Iterator[str | int]:
    """Plain text, and the tokens between; where words are spaced, a gap takes the space before it."""
    pieces = text.split(GAP) if gaps else [text]
    for place, piece in enumerate(pieces):
        if place:
            yield TEXT_GAP
        if spaced and place < len(pieces) - 1:
            piece = piece.removesuffix(" ")
        yield from (MARK + part if isinstance(part, int) else part for part in mentions.parts(piece))


def _text(schema: Schema) -> Column:
    return next(column for column in schema.columns if column.kind == "text")


def beside(schema: Schema) -> Schema:
    """The schema of the columns beside the text."""
    return schema.only([column.name for column in schema.columns if column.kind != "text"])
