"""Figures of texts: known answers, and floors between copies and nonsense."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from corpora import labelled

from synth.detection import detect
from synth.evaluation import writing
from synth.evaluation.measurements import evaluate
from synth.evaluation.ngrams import NGrams
from synth.evaluation.tables import Tables
from synth.evaluation.text_features import FEATURES, features
from synth.evaluation.writing import longest_match
from synth.frames import to_pandas


def tables(made: pa.Table) -> Tables:
    train = labelled(600)
    parts = {role: to_pandas(labelled(300, seed)) for role, seed in (("holdout", 1), ("test", 2))}
    schema = detect(train, target="animal", kinds={"text": "text"})
    return Tables(train=to_pandas(train), **parts, synthetic=to_pandas(made), schema=schema)


def test_chances_of_all_texts_add_up_to_one_but_for_unknown_characters_and_long_ones():
    model = NGrams.fit(["abab", "ba", "", "aab"], 3)
    texts = ["".join(text) for length in range(12) for text in product("ab", repeat=length)]
    assert 0.95 < sum(2 ** -(model.bits([text]) * max(len(text), 1)) for text in texts) < 1


def test_bits_of_known_sources():
    rng = np.random.default_rng(0)
    random = ["".join(rng.choice(list("abcd"), 100)) for _ in range(400)]
    assert NGrams.fit(random[:300], 3).bits(random[300:]) == pytest.approx(2 + 6.6 / 100, abs=0.08)
    fixed = ["abcdefgh" * 10] * 50
    ends = -(9 * math.log2(0.9) + math.log2(0.1))  # at which of its ten h the text ends
    assert NGrams.fit(fixed, 4).bits(fixed[:1]) == pytest.approx(ends / 80, abs=0.005)
    assert NGrams.fit(["aaaa"], 2).bits(["☃"]) > 15


def test_texts_that_counts_write_look_like_what_was_counted():
    made = NGrams.fit(labelled(800)["text"].to_pylist(), 6).sample(200, 80, np.random.default_rng(0))
    assert sum(text.startswith("the ") and "says" in text for text in made) > 180
    assert len(set(made)) > 150
    assert max(map(len, made)) <= 80


def test_the_longest_shared_run_is_found_and_ends_with_its_text():
    assert longest_match(["xxabcdeyy"], ["zzabcdez", "abc"]) == 5
    assert longest_match(["ab", "cd"], ["abcd"]) == 2
    assert longest_match(["abcd"], ["ab", "cd"]) == 2
    assert longest_match([""], ["abc"]) == longest_match([], []) == 0
    assert longest_match(["Straße ☃ 数字"], ["in der Straße ☃ 数"]) == 10
    rng = np.random.default_rng(0)
    first, second = ("".join(rng.choice(list("ab"), 3000)) for _ in range(2))
    found = longest_match([first], [second])
    runs = {n: {second[i : i + n] for i in range(len(second) - n + 1)} for n in (found, found + 1)}
    assert any(first[i : i + found] in runs[found] for i in range(len(first)))
    assert not any(first[i : i + found + 1] in runs[found + 1] for i in range(len(first) - found))


def test_features_follow_from_each_text_alone():
    texts = pa.chunked_array([pa.array(["one text", None, "", "Another text, 12!", "one text"])])
    found = features(texts)
    assert found.shape == (5, FEATURES)
    assert np.isnan(found[1]).all()
    assert np.array_equal(found[0], found[4])
    assert np.isfinite(found[[0, 2, 3]]).all()
    assert np.array_equal(features(texts[3:4]), found[3:4])
    assert not np.array_equal(found[0], found[3])


def test_real_copied_and_poor_texts_are_told_apart():
    unseen, copied = (evaluate(tables(rows), repeats=2) for rows in (labelled(600, 7), labelled(600)))
    poor = labelled(600, 8)
    poor = poor.set_column(1, "text", pa.array(["the cat says purr at 1:00"] * 600))
    poor = evaluate(tables(poor), repeats=2)
    figures = {name: [one["writing"][name]["value"] for one in (unseen, copied, poor)] for name in unseen["writing"]}
    assert figures["length_error"][0] < 0.1 < figures["length_error"][2]
    assert figures["word_error"][0] < 0.15 < figures["word_error"][2]
    assert figures["character_error"][0] < 0.05 < figures["character_error"][2]
    assert figures["distinct_2"][0] == pytest.approx(1, abs=0.1)
    assert figures["distinct_2"][2] < 0.1
    assert figures["ngram_bits"][2] > figures["ngram_bits"][0] + 1
    assert figures["longest_match"][0] == pytest.approx(1, abs=0.25)
    assert figures["longest_match"][1] >= 1
    assert unseen["quality"]["c2st_auc"]["value"] < 0.6 < poor["quality"]["c2st_auc"]["value"]
    assert unseen["privacy"]["identical_share"]["value"] < 0.05
    assert copied["privacy"]["identical_share"]["value"] == 1
    assert copied["privacy"]["dcr_share"]["value"] > 0.9
    assert math.isfinite(unseen["writing"]["ngram_bits"]["copy"])


def test_no_text_at_all_has_no_figures():
    views = tables(labelled(50)).views
    rng = np.random.default_rng(0)
    none = views.synthetic.take(np.zeros(0, dtype=int))
    assert set(writing.measure(views.with_synthetic(none), rng).values()) == {None}


def test_the_likeliest_character_is_the_one_that_followed_most_often():
    told = NGrams.fit(["abcabcabd"] * 3, 3).likeliest(["abcab", ""])
    assert told[1] == ""
    assert told[0][1:] == "bcab"
