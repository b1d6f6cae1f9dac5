"""Personal data inside of texts is found by its form, never learnt, and made up anew."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from synth import Synthesizer
from synth.codecs.corpus import FIRST, TextCodec
from synth.codecs.mentions import FOUND, KINDS, Mentions
from synth.detection import detect

PEOPLE = [f"jane{i}.doe@mail{i % 7}.org" for i in range(60)]
PHONES = [f"+49 30 {1234567 + 91 * i}" for i in range(60)]
TEXTS = [f"Dear team, write to {mail} or call {phone} today" for mail, phone in zip(PEOPLE, PHONES, strict=True)]


def kinds(text: str) -> list[str]:
    return [KINDS[part] for part in Mentions.fit([text], 0).parts(text) if isinstance(part, int)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mail a.b+c@x-y.co.uk, please", ["email"]),
        ("see https://example.org/a?b=c#d. Or www.example.com/x", ["url", "url"]),
        ("from 192.168.0.17 and 2001:db8:0:0:0:0:0:1", ["ip", "ip"]),
        ("pay DE89 3704 0044 0532 0130 00 now", ["iban"]),
        ("card 4111 1111 1111 1111 expires", ["credit_card"]),
        ("call +1 (212) 555-0147, 212-555-0147 or (030) 901820", ["phone", "phone", "phone"]),
        ("a@b.de wrote to c@d.de from 10.0.0.1", ["email", "email", "ip"]),
        ("in 1998-2003, at 3:45, 3.14 or 1,000,000 of 2024-01-02", []),
        ("version 1.2.3, order 1234 5678 9012 3456, DE00 3704 0044 0532 0130 00, 300.1.1.1", []),
        ("@home, e.g. this / that, 12:30:45", []),
    ],
)
def test_what_has_the_form_of_personal_data_is_found_and_nothing_else(text, found):
    assert kinds(text) == found


def test_what_stands_between_is_kept_to_the_letter():
    mentions = Mentions.fit(TEXTS, 0)
    parts = list(mentions.parts(TEXTS[0]))
    assert parts == ["Dear team, write to ", KINDS.index("email"), " or call ", KINDS.index("phone"), " today"]
    assert list(mentions.parts("")) == [""]


def test_made_up_ones_follow_from_the_row_and_are_no_real_ones():
    mentions = Mentions.fit(TEXTS, 0)
    asked = [np.array([KINDS.index("email"), KINDS.index("phone")])] * 200
    made = mentions.made(asked, range(200))
    assert mentions.made(asked[:5], range(100, 105)) == made[100:105]
    mails, phones = zip(*made, strict=True)
    assert len(set(mails)) > 50
    assert not set(mails) & set(PEOPLE)
    assert not set(phones) & set(PHONES)
    assert all(FOUND.fullmatch(mail).lastgroup == "email" for mail in mails)
    assert all(phone.startswith("+") for phone in phones)
    again = Mentions.from_state(json.loads(json.dumps(mentions.state())))
    assert again.made(asked, range(200)) == made


@pytest.mark.parametrize("tokens", ["characters", "pieces"])
def test_a_codec_knows_marks_in_their_place(tokens):
    rows = pa.table({"text": TEXTS})
    found = TextCodec.fit(rows, detect(rows, kinds={"text": "text"}), 0, tokens=tokens, page=64)
    written = list(found._tokens(rows))
    assert all(((row < FIRST).sum()) == 2 for row in written)
    assert all(found.layout.frequency[sorted(row[row < FIRST])].all() for row in written)
    again = TextCodec.from_state(found.state(), found.schema)
    width = max(map(len, written)) + 1
    arrays = {
        "text": np.stack([np.pad(row, (0, width - len(row))) for row in written]),
        "tokens": np.zeros((60, 0), int),
    }
    texts = again.decode(arrays, rows=range(60), rng=np.random.default_rng(0)).column("text").to_pylist()
    assert all(text.startswith("Dear team, write to ") and text.endswith(" today") for text in texts)
    assert not any(real in text for text in texts for real in (*PEOPLE, *PHONES))


def test_neither_model_nor_samples_have_what_was_mentioned(tmp_path):
    small = {"width": 32, "layers": 1, "page": 64, "tokens": "characters", "epochs": 2, "min_steps": 60}
    fitted = Synthesizer("transformer", **small).fit(pa.table({"text": TEXTS * 5}))
    fitted.save(tmp_path / "model")
    raw = b"".join(file.read_bytes() for file in (tmp_path / "model").iterdir())
    drawn = "\n".join(fitted.sample_table(60).column("text").to_pylist())
    for real in (*PEOPLE, *PHONES):
        assert real.encode() not in raw
        assert real not in drawn
