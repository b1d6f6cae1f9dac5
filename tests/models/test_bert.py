"""BERT: what it puts into gaps, what its vectors tell apart, and what it says of the columns beside a text."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
import torch
from corpora import SOUNDS, grammatical, labelled

from synth import Synthesizer
from synth.errors import ConfigError
from synth.text_tools import classify, embed, infill

SMALL = {"width": 64, "layers": 2, "page": 64, "vocabulary": 512, "dropout": 0.0}


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    return Synthesizer("bert", epochs=14, min_steps=700, **SMALL).fit(labelled(1200), target="animal")


def with_texts(rows: pa.Table, texts: list[str | None]) -> pa.Table:
    return rows.set_column(1, "text", pa.array(texts, pa.string()))


def test_gaps_are_filled_by_what_fits_on_both_sides(fitted):
    rows = labelled(200, 3)
    animals = rows["animal"].to_pylist()
    gap = {"cat": "the [MASK] says meow and purr at 3:15", "dog": "the [MASK] says bark and whine at 3:15"}
    filled = infill(fitted, with_texts(rows, [gap[animal] for animal in animals]))["text"].to_pylist()
    assert np.mean([text.split()[1] == animal for text, animal in zip(filled, animals, strict=True)]) > 0.9
    sounds = infill(fitted, with_texts(rows, [f"the {animal} says [MASK] at 3:15" for animal in animals]))
    right = [
        text.split()[3] in SOUNDS[animal] for text, animal in zip(sounds["text"].to_pylist(), animals, strict=True)
    ]
    assert np.mean(right) > 0.8
    assert len({text.split()[3] for text in sounds["text"].to_pylist()}) >= 5


def test_all_but_the_gaps_stays_to_the_letter(fitted):
    rows = with_texts(labelled(4), ["write to jane@doe.org, the cat [MASK] meow", None, "", "no gap here"])
    made = infill(fitted, rows)["text"].to_pylist()
    assert made[0].startswith("write to jane@doe.org, the cat ")
    assert made[0].endswith(" meow")
    assert "[MASK]" not in made[0]
    assert made[1:] == [None, "", "no gap here"]
    assert infill(fitted, rows).schema.equals(rows.schema)


def test_gaps_of_a_text_of_several_pages_are_filled_at_their_ends_too(fitted):
    gaps = " ".join(["the cat [MASK] meow"] * 80)  # one in four tokens, so that some stand at the end of a page
    made = infill(fitted, with_texts(labelled(1), [gaps]))["text"][0].as_py()
    assert "[MASK]" not in made
    said = re.fullmatch(" ".join(["the cat (.*?) ?meow"] * 80), made)
    assert said is not None
    assert np.mean([word == "says" for word in said.groups()]) > 0.2  # such a text was never seen


def test_a_gap_of_characters_is_one_character():
    config = {**SMALL, "tokens": "characters"}
    model = Synthesizer("bert", epochs=2, min_steps=0, **config).fit(pa.table({"text": ["a b  c d"] * 300}))
    made = infill(model, pa.table({"text": ["a [MASK]b[MASK]", "[MASK]" * 8, "a [MASK][MASK]c d"]}))["text"].to_pylist()
    assert [len(text) for text in made] == [5, 8, 7]


def test_labels_are_told_from_texts_alone(fitted):
    unseen = labelled(300, 4)
    known = list(fitted.schema_["animal"].categories)
    chances = classify(fitted, unseen, "animal")
    assert chances.shape == (300, 2)
    np.testing.assert_allclose(chances.sum(1), 1, atol=1e-5)
    truth = np.array([known.index(animal) for animal in unseen["animal"].to_pylist()])
    assert (chances.argmax(1) == truth).mean() > 0.97
    other = unseen.set_column(0, "animal", pa.array(["cat"] * 300))
    np.testing.assert_allclose(classify(fitted, other, "animal"), chances)
    with pytest.raises(ConfigError, match="classify: 'weight' is a number; it takes a category"):
        classify(fitted, unseen, "weight")


def test_vectors_tell_what_texts_are_about_and_do_not_depend_on_other_rows(fitted):
    unseen = labelled(100, 5)
    vectors = embed(fitted, unseen)
    assert vectors.shape == (100, 64)
    np.testing.assert_allclose(embed(fitted, unseen.slice(40, 10)), vectors[40:50], atol=1e-4)
    long = with_texts(labelled(2), ["the cat says meow " * 60, "the dog says bark " * 60])
    assert np.isfinite(embed(fitted, long)).all()


def test_it_draws_nothing_and_what_others_cannot_is_told(fitted, tmp_path):
    with pytest.raises(ConfigError, match="bert fills gaps in texts and draws none"):
        fitted.sample_table(3)
    writer = Synthesizer("transformer", epochs=1, min_steps=0, tokens="characters", **SMALL).fit(labelled(60))
    for tool in (infill, embed):
        with pytest.raises(ConfigError, match="the family 'transformer' "):
            tool(writer, labelled(3))
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model", device="cpu")
    gaps = with_texts(labelled(20, 6), ["the [MASK] says [MASK] at [MASK]"] * 20)
    assert infill(again, gaps, seed=5).equals(infill(fitted, gaps, seed=5))
    assert not infill(again, gaps, seed=6).equals(infill(fitted, gaps, seed=5))


def test_the_same_seed_gives_the_same_weights():
    states = []
    for seed in (0, 0, 1):
        model = Synthesizer("bert", seed=seed, epochs=1, min_steps=0, **SMALL).fit(labelled(60)).model_
        states.append(torch.cat([tensor.flatten() for tensor in model.state_dict().values()]).numpy().tobytes())
    assert states[0] == states[1] != states[2]


def test_hidden_tokens_are_told_better_than_by_their_frequency(fitted):
    assert grammatical(labelled(1)["text"][0].as_py())
    losses = [epoch.validation_loss for epoch in fitted.history_.epochs]
    assert losses[-1] < 0.6 * losses[0]
