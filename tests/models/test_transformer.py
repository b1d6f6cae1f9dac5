"""The transformer: what it writes, under which conditions, and how likely it says that it is."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from corpora import SOUNDS, grammatical, labelled

from synth import Synthesizer
from synth.errors import ConfigError
from synth.frames import to_pandas
from synth.models import transformer

SMALL = {"width": 64, "layers": 2, "page": 64, "tokens": "characters", "vocabulary": 512, "dropout": 0.0}


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    return Synthesizer("transformer", epochs=14, min_steps=700, **SMALL).fit(labelled(1200), target="animal")


def test_texts_follow_the_grammar_and_the_columns_beside_them(fitted):
    drawn = to_pandas(fitted.sample_table(300, seed=1))
    assert drawn.text.map(grammatical).mean() > 0.8
    right = [
        any(sound in text for sound in SOUNDS[animal]) for animal, text in zip(drawn.animal, drawn.text, strict=True)
    ]
    assert np.mean(right) > 0.97
    assert len(set(drawn.text)) > 100
    assert set(drawn.text) - set(labelled(1200).column("text").to_pylist())
    assert 0.4 < (drawn.animal == "cat").mean() < 0.6
    assert drawn.weight[drawn.animal == "cat"].mean() == pytest.approx(4, abs=1.5)
    assert drawn.weight[drawn.animal == "dog"].mean() == pytest.approx(20, abs=1.5)


def test_log_prob_is_near_the_entropy_of_the_grammar_and_low_for_other_texts(fitted):
    unseen = labelled(400, seed=5)
    sounds = np.mean([1, 2, 3]) * math.log(3)
    weight = 0.5 * math.log(2 * math.pi * math.e)
    entropy = math.log(2) + math.log(3) + sounds + math.log(24 * 60) + weight
    found = -fitted.log_prob(unseen)
    assert entropy - 0.3 < found.mean() < entropy + 1.0
    strange = unseen.set_column(1, "text", pa.array(["the cat says moo at midnight"] * 400))
    assert (-fitted.log_prob(strange)).mean() > found.mean() + 10
    swapped = unseen.set_column(
        0, "animal", pa.array([{"cat": "dog", "dog": "cat"}[a] for a in unseen["animal"].to_pylist()])
    )
    assert (-fitted.log_prob(swapped)).mean() > found.mean() + 5


def test_a_row_is_as_likely_whatever_rows_it_is_asked_with(fitted):
    rows = labelled(30, seed=2)
    np.testing.assert_allclose(fitted.log_prob(rows)[7:11], fitted.log_prob(rows.slice(7, 4)), atol=1e-4)


def test_conditions_on_columns_and_beginnings_are_kept(fitted):
    drawn = to_pandas(
        fitted.sample_table(40, where={"animal": "dog", "text": ["the dog says whine*", "the dog says bark*"]})
    )
    assert set(drawn.animal) == {"dog"}
    assert drawn.text[::2].str.startswith("the dog says whine").all()
    assert drawn.text[1::2].str.startswith("the dog says bark").all()
    even = fitted.sample_table(10, balance="animal").column("animal").to_pylist()
    assert even.count("cat") == even.count("dog") == 5
    with pytest.raises(ConfigError, match="holds texts, of which a beginning can be asked for"):
        fitted.sample_table(4, where={"text": "the dog"})


def test_seeds_shards_and_files(fitted, tmp_path):
    once = fitted.sample_table(300, seed=3)
    assert once.equals(fitted.sample_table(300, seed=3))
    assert once.slice(0, 20).equals(fitted.sample_table(20, seed=3))
    assert not once.equals(fitted.sample_table(300, seed=4))
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model", device="cpu")
    assert again.sample_table(300, seed=3).equals(once)
    assert once.schema.equals(labelled(1).schema)


def test_the_same_seed_gives_the_same_weights():
    states = []
    for seed in (0, 0, 1):
        model = Synthesizer("transformer", seed=seed, epochs=1, min_steps=0, **SMALL).fit(labelled(60)).model_
        states.append(torch.cat([tensor.flatten() for tensor in model.state_dict().values()]).numpy().tobytes())
    assert states[0] == states[1] != states[2]


def test_the_cache_writes_what_all_tokens_read_anew_for_every_one_do(fitted, monkeypatch):
    model = fitted.model_
    history = []

    def anew(last, vectors, place, cache):
        history.append(last)
        so_far = torch.stack(history, 1)
        return model.decoder(so_far, vectors[:, None].expand(-1, so_far.shape[1], -1), None, None)[:, -1]

    def written():
        with torch.inference_mode():
            return model.sample(8, torch.Generator().manual_seed(0))["text"].numpy().tobytes()

    quick = written()
    monkeypatch.setattr(transformer, "CROWD", 0.0)
    monkeypatch.setattr(model.decoder, "step", anew)
    assert written() == quick


def test_texts_alone_empty_ones_nulls_and_one_long_line_are_learnt():
    rows = pa.table({"text": pa.array([*(["", None, "a few plain words"] * 30), "on and on " * 3000])})
    fitted = Synthesizer("transformer", epochs=2, min_steps=0, longest=50, **SMALL).fit(rows)
    drawn = fitted.sample_table(40)
    assert drawn.schema.equals(rows.schema)
    assert all(text is None or len(text) <= 50 for text in drawn.column("text").to_pylist())
    assert np.isfinite(fitted.log_prob(rows)).all()


def test_guidance_temperature_and_nucleus_are_kept_to(fitted, monkeypatch):
    model, config = fitted.model_, fitted.model_.config

    def under(**changed):
        monkeypatch.setattr(model, "config", config.model_copy(update=changed))
        return fitted.sample_table(60, seed=8, balance="animal")

    plain, likeliest = under(), under(top_p=1e-6)
    assert likeliest.equals(under(temperature=1e-3))
    assert not likeliest.equals(plain)
    assert fitted.log_prob(likeliest).mean() > fitted.log_prob(plain).mean()
    assert not under(guidance=3.0).equals(plain)


def test_tables_and_pictures_are_not_for_it():
    with pytest.raises(ConfigError, match="'transformer' does not learn data of the modality 'table'"):
        Synthesizer("transformer").fit(labelled(60).select(["weight"]))
