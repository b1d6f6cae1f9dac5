"""Texts as pages of tokens and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.codecs.corpus import FIRST, TextCodec
from synth.conditions import Between, OneOf
from synth.detection import detect
from synth.errors import ConfigError
from synth.layout import TEXT_END, TEXT_NONE, TEXT_PAD

TEXTS = [
    "the cat says meow",
    "the dog says bark",
    "Ein großes ß — 数字 7",
    "a <end> <0x41> <|endoftext|>",
    "",
    "\n two\r\n",
]


def table(texts: list[str | None], **columns: list) -> pa.Table:
    return pa.table({**columns, "text": pa.array(texts, pa.string())})


def codec(rows: pa.Table, **how) -> TextCodec:
    schema = detect(rows, kinds={"text": "text"})
    return TextCodec.fit(rows, schema, 0, **{"page": 16, **how})


def padded(parts: list[np.ndarray]) -> np.ndarray:
    width = max(map(len, parts)) + 1
    return np.stack([np.pad(part, (0, width - len(part)), constant_values=TEXT_END) for part in parts])


def decoded(found: TextCodec, written: np.ndarray, tokens: np.ndarray | None = None) -> pa.Table:
    tokens = np.zeros((len(written), 0), dtype=np.int64) if tokens is None else tokens
    rows = range(len(written))
    return found.decode({"text": written, "tokens": tokens}, rows=rows, rng=np.random.default_rng(0))


@pytest.mark.parametrize("tokens", ["characters", "pieces"])
def test_every_text_comes_back_whatever_it_is_made_of(tokens):
    rows = table([*TEXTS, None] * 20)
    found = codec(rows, tokens=tokens)
    assert decoded(found, padded(list(found._tokens(rows)))).equals(rows)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30).filter(lambda text: "�" not in text), min_size=1, max_size=6))
def test_texts_that_were_never_seen_come_back(texts):
    rows = table(texts)
    for found in (CHARACTERS, PIECES):
        assert decoded(found, padded(list(found._tokens(rows)))).column("text").to_pylist() == texts


CHARACTERS, PIECES = (codec(table(TEXTS * 20), tokens=tokens) for tokens in ("characters", "pieces"))


def test_pages_hold_every_text_once_with_the_columns_beside_it():
    labels = ["a", "b", "c"] * 40
    texts = [f"text number {i} " + "x" * (i % 40) for i in range(120)]
    rows = table(texts, label=labels)
    found = codec(rows, tokens="characters")
    arrays = found.pages(rows)
    assert arrays["text"].shape[1:] == (17,)
    assert arrays["tokens"].shape == (len(arrays["text"]), 16, 1)
    assert np.array_equal(arrays["text"][1:, 0], arrays["text"][:-1, -1])
    stream = arrays["text"][:, 1:].flatten()
    owner = arrays["tokens"][..., 0].flatten()[stream != TEXT_PAD]
    stream = stream[stream != TEXT_PAD]
    ends = np.flatnonzero(stream == TEXT_END)
    parts = np.split(stream, ends + 1)[:-1]
    assert arrays["text"][0, 0] == TEXT_END
    assert len(parts) == 120
    assert decoded(found, padded(parts), owner[ends][:, None]).equals(rows)
    assert all(len(set(owner[a + 1 : b + 1])) == 1 for a, b in zip([-1, *ends[:-1]], ends, strict=True))


def test_each_row_has_pages_of_its_own_that_count_every_token_once():
    texts = ["", "short", "y" * 16, "abcdefgh" * 9]
    rows = table(texts * 10)
    found = codec(rows, tokens="characters")
    arrays = found.encode(rows.slice(0, 4))
    assert sorted(set(arrays["row"])) == [0, 1, 2, 3]
    for row, text in enumerate(texts):
        pages = np.flatnonzero(arrays["row"] == row)
        counted = [arrays["text"][page, 1:][arrays["known"][page] :] for page in pages]
        tokens = np.concatenate(counted)
        tokens = tokens[tokens != TEXT_PAD]
        assert tokens[-1] == TEXT_END
        assert len(tokens) == len(text) + 1
        assert np.array_equal(tokens[:-1], list(found._tokens(rows))[row])
    assert len(arrays["row"]) > 8


def test_a_character_or_piece_of_too_few_rows_is_no_token():
    texts = ["a small thing", "a large thing"] * 300 + ["a Zanzibarquark Ω thing"]
    rows = table(texts)
    for tokens in ("characters", "pieces"):
        vocabulary = codec(rows, tokens=tokens).tokenizer.get_vocab()
        assert not [word for word in vocabulary if "Zan" in word or "Ω" in word]


def test_bytes_that_are_no_text_are_left_out():
    rows = table(["plain words here"] * 30)
    found = codec(rows, tokens="characters")
    byte = FIRST + found.tokenizer.token_to_id("<0xC3>")
    written = np.array([[byte, FIRST + found.tokenizer.token_to_id("p"), TEXT_END]])
    assert decoded(found, written).column("text").to_pylist() == ["p"]


def test_the_state_gives_the_same_codec():
    rows = table(TEXTS * 20, label=["a", "b", "c"] * 40)
    found = codec(rows)
    again = TextCodec.from_state(found.state(), found.schema)
    assert again.layout.longest == found.layout.longest
    for name, array in found.pages(rows).items():
        assert np.array_equal(again.pages(rows)[name], array)


def test_null_is_no_empty_text():
    rows = table(["", None] * 30)
    found = codec(rows)
    assert [part.tolist() for part in list(found._tokens(rows))[:2]] == [[], [TEXT_NONE]]
    assert found.layout.frequency[TEXT_NONE] > 0
    assert codec(table(["", "a"] * 30)).layout.frequency[TEXT_NONE] == 0


def test_beginnings_can_be_asked_for_and_nothing_else():
    found = codec(table(TEXTS * 20), tokens="characters")
    asked = found.beginnings(OneOf(("the*", "a*")))
    assert asked.shape == (2, 3)
    assert (asked[1] >= 0).tolist() == [True, False, False]
    for wrong in (OneOf(("the cat",)), OneOf((None,)), Between(1, 2)):
        with pytest.raises(
            ConfigError, match=r"where: 'text' holds texts, of which a beginning can be asked for, such"
        ):
            found.beginnings(wrong)
