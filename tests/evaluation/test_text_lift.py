"""Lift of texts: beside nothing, edited copies and counts, with words as inputs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from synth.detection import detect
from synth.evaluation import text_lift
from synth.evaluation.lift import lift
from synth.evaluation.tables import Tables
from synth.frames import from_pandas
from tests.corpora import labelled

TEXTS = np.array(["one two three four five six", "a b", "", "alone", "x, y; z"], dtype=object)


def written(rows, seed):
    """Texts of two topics that share most of their words, of which a few tell the topic."""
    rng = np.random.default_rng(seed)
    common, telling = (
        [f"w{i}" for i in range(60)],
        {"tea": [f"t{i}" for i in range(40)], "rum": [f"r{i}" for i in range(40)]},
    )
    topics = rng.choice(["tea", "rum"], rows)
    texts = [" ".join(rng.permutation([*rng.choice(common, 8), *rng.choice(telling[topic], 2)])) for topic in topics]
    return pd.DataFrame({"topic": topics, "text": texts})


def tables(train, made, unseen, target="topic"):
    schema = detect(from_pandas(train), target=target, kinds={"text": "text"})
    return Tables(train=train, holdout=unseen, test=unseen, synthetic=made, schema=schema)


@pytest.fixture(scope="module")
def helped():
    data = tables(written(600, 0), written(1500, 1), written(400, 2))
    return lift(data, rows=[20, 600], seeds=3)


def test_new_texts_help_where_few_are_labelled(helped):
    assert helped["found_at"][0] == 20
    few, all_of_them = (helped["figures"][count]["roc_auc"]["synthetic"] for count in ("20", "600"))
    assert few["low"] > 0.1 > all_of_them["value"]
    assert helped["learners"] == ["logistic_regression", "naive_bayes"]


def test_what_a_practitioner_tries_stands_beside(helped):
    figures = helped["figures"]["20"]
    assert list(figures["roc_auc"]) == ["synthetic", "class_weights", "oversampling", "eda", "ngrams"]
    assert list(figures["balanced_accuracy"])[2:] == ["threshold", "oversampling", "eda", "ngrams"]
    gained = {name: figures["roc_auc"][name]["value"] for name in ("synthetic", "eda", "ngrams")}
    assert gained["synthetic"] > max(gained["eda"], gained["ngrams"]) + 0.1  # these say nothing new


def test_texts_without_a_relation_to_the_label_are_no_lift():
    made = written(800, 1)
    made["topic"] = np.random.default_rng(0).permutation(made["topic"])
    found = lift(tables(written(300, 0), made, written(300, 2)), rows=[100], seeds=3)
    assert not found["found"]
    assert found["figures"]["100"]["roc_auc"]["synthetic"]["value"] < 0


def test_a_number_beside_texts_is_told_from_their_features():
    train, made, unseen = (labelled(300, seed).to_pandas() for seed in range(3))
    found = lift(tables(train, made, unseen, "weight"), rows=[50], seeds=2)
    assert found["task"] == "regression"
    assert found["scores"]["50"]["r2"]["ridge"] > 0.5


def test_missing_and_empty_texts_and_labels_are_no_crash():
    frame = written(200, 0)
    frame.loc[::5, "text"], frame.loc[1::5, "text"], frame.loc[2::7, "topic"] = None, "", None
    found = lift(tables(frame, frame, frame), rows=[10, 100], seeds=2)
    assert found["train_rows"] == int(frame["text"].notna().mul(frame["topic"].notna()).sum())


def test_edits_keep_the_words_and_the_labels():
    labels = np.arange(5.0)
    made, outputs = text_lift.edited(TEXTS, labels, 100, np.random.default_rng(0))
    assert made[:5].tolist() == TEXTS.tolist()
    assert len(made) == len(outputs) == 5 + 16 * 5
    for text, label in zip(made, outputs, strict=True):
        words = [word for word in text.split() if word not in text_lift.SIGNS]
        assert not Counter(words) - Counter(TEXTS[int(label)].split())
    assert len(set(made)) > 20
    assert len(text_lift.edited(TEXTS, labels, 7, np.random.default_rng(0))[0]) == 12


def test_counts_write_texts_of_each_class():
    table = labelled(300)
    animals = np.array(table["animal"].to_pylist()) == "dog"
    texts = np.array(table["text"].to_pylist(), dtype=object)
    made, outputs = text_lift.continued(texts, animals.astype(float), 200, np.random.default_rng(0))
    assert 198 <= len(made) - 300 <= 200
    right = [("dog" if label else "cat") in text for text, label in zip(made[300:], outputs[300:], strict=True)]
    assert np.mean(right) > 0.95
