"""Captions as words and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from digits import table

from synth import Synthesizer
from synth.codecs.captions import END, NONE, CaptionCodec
from synth.conditions import Between, OneOf
from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.schema import Column

TEXTS = ["a small seven", "a large three by hand", "the digit nine", "a small three, tilted"] * 20


def column(**facts) -> Column:
    return Column(name="caption", kind="text", dtype="string", **{"least": 2, **facts})


def codec(texts, **facts) -> CaptionCodec:
    return CaptionCodec.fit(pa.chunked_array([pa.array(texts, pa.string())]), column(**facts))


def test_captions_come_back_whatever_they_are_made_of():
    found = codec(TEXTS)
    asked = [*TEXTS[:4], "a large nine", "Ein großes ß — 数字 7", "", "two  spaces"]
    words = found.encode(pa.chunked_array([pa.array(asked)]))
    assert words.shape == (8, found.length)
    fits = [i for i, row in enumerate(words) if END in row]
    assert set(fits) >= {0, 1, 2, 3, 4, 6}
    back = found.decode(words).to_pylist()
    assert [back[i] for i in fits] == [asked[i] for i in fits]


def test_no_text_of_a_user_has_a_meaning_for_the_tokenizer():
    texts = ["a <end> in the <none> middle", "<unk> <0x41> <|endoftext|>"] * 20
    found = codec(texts)
    assert found.decode(found.encode(pa.chunked_array([pa.array(texts)]))).to_pylist() == texts


def test_the_state_gives_the_same_codec():
    found = codec(TEXTS)
    again = CaptionCodec.from_state(found.state(), column(), pa.string())
    asked = pa.chunked_array([pa.array(TEXTS[:4])])
    assert np.array_equal(again.encode(asked), found.encode(asked))
    assert again.used == found.used
    assert [layout.name for layout in again.columns] == [f"caption[{i}]" for i in range(found.length)]


def test_a_word_of_too_few_rows_is_no_word_of_the_vocabulary():
    secret = "a small Zanzibarquark"
    found = codec([*TEXTS, secret], least=5)
    assert not [word for word in found.tokenizer.get_vocab() if "Zanz" in word or "quark" in word]
    assert found.decode(found.encode(pa.chunked_array([pa.array([secret])]))).to_pylist() == [secret]


def test_a_null_is_a_caption_of_its_own_where_there_are_some():
    texts = [*TEXTS, None]
    found = codec(texts, null_rate=0.01)
    words = found.encode(pa.chunked_array([pa.array(texts, pa.string())]))
    assert words[-1, 0] == NONE
    assert found.decode(words).to_pylist() == texts
    assert codec(TEXTS).decode(words[-1:]).to_pylist() == [""]


def test_what_can_be_asked_for():
    found = codec(TEXTS)
    assert np.array_equal(found.asked(OneOf(tuple(TEXTS[:2]))), found.encode(pa.chunked_array([pa.array(TEXTS[:2])])))
    with pytest.raises(ConfigError, match="expected a caption or a list of captions"):
        found.asked(Between(1, 2))
    with pytest.raises(ConfigError, match="expected a caption or a list of captions"):
        found.asked(OneOf((None,)))
    with pytest.raises(ConfigError, match=r"has \d+ words and pieces of words; captions of at most \d+ were learnt"):
        found.asked(OneOf(("a small seven " * 9,)))


def test_text_of_several_words_beside_pictures_is_a_caption():
    rows = table(80).append_column("caption", pa.array(TEXTS))
    rows = rows.append_column("short", pa.array(["by hand", "typed"] * 40))
    found = detect(rows, target="label")
    assert {c.name: c.kind for c in found.columns} == {
        "image": "image",
        "label": "category",
        "caption": "text",
        "short": "category",
    }
    assert detect(rows, target="caption")["caption"].kind == "category"
    assert detect(rows.select(["caption", "label"]))["caption"].kind == "category"
    with pytest.raises(InputError, match="'caption' and 'other' both hold texts"):
        detect(rows.append_column("other", pa.array(TEXTS)))
    assert detect(rows.select(["caption", "label"]), kinds={"caption": "text"}).modality == "text"


def test_a_caption_that_is_too_long_is_refused():
    rows = table(80).append_column("caption", pa.array([*TEXTS[:-1], "word by word and on " * 30]))
    with pytest.raises(InputError, match=r"column 'caption': a caption of .* at most 48 can be learnt"):
        Synthesizer("image_gan").fit(rows, target="label")
