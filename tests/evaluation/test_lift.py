"""Lift is found where it was put, and said to be missing where it is not there."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from synth.errors import InputError
from synth.evaluation import gains, learners, rebalance
from synth.evaluation.lift import lift


@pytest.fixture(scope="module")
def helped(draws, fresh):
    return lift(draws(fresh(1200, 4), rows=700), rows=[30, 80], seeds=3)


def test_fresh_rows_help_where_few_are_real(helped):
    assert helped["found"]
    assert helped["found_at"][0] == 30
    assert helped["conclusion"].startswith("Lift was found.")
    assert "learnt from all 700 training rows" in helped["conclusion"]
    few, more = (helped["figures"][count]["roc_auc"]["synthetic"] for count in ("30", "80"))
    assert few["low"] > 0.02
    assert few["value"] > more["value"]


def test_baselines_stand_beside(helped):
    assert set(helped["figures"]["30"]["roc_auc"]) == {"synthetic", "class_weights", "oversampling", "smote"}
    assert "threshold" in helped["figures"]["30"]["balanced_accuracy"]
    for entry in helped["figures"]["30"]["balanced_accuracy"].values():
        assert entry["low"] <= entry["value"] <= entry["high"]
        mean = np.mean([learner["value"] for learner in entry["learners"].values()])
        assert entry["value"] == pytest.approx(mean, abs=1e-5)
    assert len(helped["learners"]) == 3


def test_the_recall_of_the_rarer_class_stands_at_its_precision(helped, draws):
    target = draws().train["target"]
    assert helped["minority"] == target.value_counts().index[-1]
    assert helped["precision"] == 0.8
    entries = helped["figures"]["30"]["recall_at_precision"]
    assert set(entries) == {"synthetic", "class_weights", "oversampling", "smote"}
    assert entries["synthetic"]["value"] > 0.05
    assert f"At a precision of 80% the recall of {helped['minority']!r} changes by +" in helped["conclusion"]


def scored(synthetic, smote):
    """Scores of three seeds at two row counts, with these gains over real rows alone."""
    bare, noise = np.array([0.7, 0.72, 0.74]), np.array([0.0, 0.002, -0.002])
    gained = {"nothing": (0.0, 0.0), "synthetic": synthetic, "smote": smote}
    return {
        (count, "forest", strategy, metric): list(bare + gained.get(strategy, (0.0, 0.0))[place] + noise * (place + 1))
        for place, count in enumerate((50, 500))
        for strategy in ("nothing", "synthetic", "class_weights", "threshold", "oversampling", "smote")
        for metric in ("roc_auc", "balanced_accuracy")
    }


@pytest.mark.parametrize(
    ("synthetic", "smote", "said"),
    [
        (
            (0.1, 0.0),
            (0.05, 0.0),
            "They help with 50 real rows, more than every baseline with 50; they do not with 500.",
        ),
        ((0.1, 0.1), (0.1, 0.2), "They help with 50 and 500 real rows, but not more than the best baseline."),
        ((0.0, -0.1), (0.0, 0.0), "They do not help with 50 and 500 real rows."),
    ],
    ids=["few rows", "a baseline is ahead", "nowhere"],
)
def test_where_rows_help_is_said_in_words(synthetic, smote, said):
    found = gains.Gains("classification", (50, 500), ["forest"], scored(synthetic, smote))
    assert said in gains.conclusion(found, 500)


def test_a_generator_sees_the_drawn_rows_and_no_others(draws):
    seen = []

    def generate(frame, seed):
        seen.append((len(frame), seed, tuple(frame["x"])))
        return frame

    data = draws(rows=300)
    found = lift(data, rows=[20, 40], seeds=2, generate=generate)
    assert [length for length, _, _ in seen] == [20, 20, 40, 40]
    assert len({seed for _, seed, _ in seen}) == len({rows for _, _, rows in seen}) == 4
    assert {value for _, _, rows in seen for value in rows} <= set(data.train["x"])
    assert found["synthetic_rows"] == 20
    assert "has learnt from the same real rows and no others" in found["conclusion"]
    assert lift(data, rows=[20], seeds=2)["scores"]["20"] == found["scores"]["20"]  # whatever the generator


def test_recall_at_a_precision_by_hand():
    truth = np.array([1, 1, 0, 1, 0, 0, 1], dtype=bool)
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.2, 0.1])
    # thresholds .9, .8, .7, .6, .2, .1: precision 1, 1, 2/3, 3/5, 1/2, 4/7
    assert learners.recall_at(scores, truth, 0.9) == 2 / 4
    assert learners.recall_at(scores, truth, 0.6) == 3 / 4
    assert learners.recall_at(scores, truth, 0.5) == 4 / 4
    assert learners.recall_at(-scores, truth, 0.99) == 1 / 4
    assert learners.recall_at(np.zeros(7), truth, 0.8) == 0
    assert np.isnan(learners.recall_at(scores, np.zeros(7, dtype=bool), 0.8))


def test_the_curve_repeats_the_figures(helped):
    assert {point["rows"] for point in helped["curve"]} == {30, 80}
    first = next(point for point in helped["curve"] if point["strategy"] == "synthetic")
    assert first["lift"] == helped["figures"]["30"]["roc_auc"]["synthetic"]["value"]
    json.dumps(helped, allow_nan=False)


def test_rows_without_relations_are_no_lift_and_it_is_said(draws, fresh, shuffle):
    found = lift(draws(shuffle(fresh(700, 1)), rows=700), rows=[100], seeds=3)
    assert found["found"] is False
    assert found["found_at"] == []
    assert found["conclusion"].startswith("No lift was found.")
    assert found["figures"]["100"]["roc_auc"]["synthetic"]["value"] < 0


def test_a_copy_of_the_same_rows_is_no_lift(draws, fresh):
    found = lift(draws(fresh(300, 1), rows=300), rows=[10_000], seeds=3)
    assert found["rows"] == [300]  # all there are
    assert found["found"] is False


def test_the_same_seed_gives_the_same_lift(draws, fresh):
    first, second = (lift(draws(fresh(200, 4), rows=300), rows=[40], seeds=2, seed=7) for _ in range(2))
    assert first == second


def test_numbers_are_predicted_by_regressors(make_tables):
    rng = np.random.default_rng(0)

    def frame(rows):
        x = rng.normal(size=(rows, 3))
        return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": np.where(x[:, 2] > 0, "u", "v"), "z": x.sum(axis=1)})

    data = make_tables(frame(400), frame(800), test=frame(500), target="z")
    found = lift(data, rows=[25], seeds=3)
    assert found["task"] == "regression"
    assert found["metrics"] == ["r2"]
    assert set(found["figures"]["25"]["r2"]) == {"synthetic", "jitter"}
    assert found["found"]


def test_several_and_rare_classes(make_tables):
    rng = np.random.default_rng(0)
    label = np.repeat(["a", "b", "c"], [150, 140, 10])
    frame = pd.DataFrame({"x": rng.normal(size=300) + (label == "b"), "y": rng.normal(size=300), "k": label})
    found = lift(make_tables(frame, target="k"), rows=[20, 300], seeds=2)
    json.dumps(found, allow_nan=False)
    assert found["task"] == "classification"


@pytest.mark.parametrize(
    ("change", "kinds", "target", "reason"),
    [
        ({}, {}, None, "no target column"),
        ({"t": 1}, {}, "t", "one single value"),
        ({"t": [f"k{i}" for i in range(60)]}, {"t": "identifier"}, "t", "an identifier"),
        ({"t": [f"k{i}" for i in range(60)]}, {}, "t", "60 values; at most 50"),
        ({"t": None}, {"t": "empty"}, "t", "null alone"),
    ],
    ids=["none", "constant", "identifier", "many classes", "empty"],
)
def test_a_target_that_cannot_be_predicted(make_tables, fresh, change, kinds, target, reason):
    frame = fresh(60, 1).assign(**change)
    found = lift(make_tables(frame, kinds=kinds, target=target), rows=[20], seeds=2)
    assert reason in found["undefined"]
    assert found["found"] is False
    assert reason in found["conclusion"]


def test_wrong_arguments_are_named(draws):
    with pytest.raises(InputError, match="at least 2 seeds; found"):
        lift(draws(), rows=[100], seeds=1)
    with pytest.raises(InputError, match="row counts of at least 2"):
        lift(draws(), rows=[1], seeds=5)
    with pytest.raises(InputError, match="precision: expected a share above 0 and up to 1, found 80"):
        lift(draws(), rows=[100], precision=80)


def test_the_interval_is_students():
    values = np.array([0.1, 0.2, 0.4])
    found = gains.interval(values)
    margin = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
    assert found["value"] == pytest.approx(0.7 / 3, abs=1e-6)
    assert found["high"] - found["low"] == pytest.approx(2 * margin, abs=2e-6)


def test_oversampling_balances_with_rows_that_exist():
    inputs, outputs = np.arange(10.0)[:, None], np.repeat([0.0, 1.0], [8, 2])
    more, labels = rebalance.oversample(inputs, outputs, np.random.default_rng(0))
    assert np.bincount(labels.astype(int)).tolist() == [8, 8]
    assert set(more[labels == 1, 0]) == {8.0, 9.0}


@pytest.mark.parametrize("nominal", [[], [1], [0, 1]], ids=["numbers", "mixed", "categories"])
@pytest.mark.parametrize("rare", [1, 2, 6])
def test_smote_copes_with_any_columns_and_any_rarity(nominal, rare):
    rng = np.random.default_rng(0)
    inputs = np.stack([rng.integers(0, 4, 40), rng.integers(0, 3, 40)], axis=1).astype(float)
    outputs = np.repeat([0.0, 1.0], [40 - rare, rare])
    more, labels = rebalance.smote(inputs, outputs, np.array(nominal, dtype=np.int64), 0)
    assert np.bincount(labels.astype(int)).tolist() == [40 - rare] * 2
    assert not np.isnan(more).any()
    for column in nominal:
        assert set(more[:, column]) <= set(inputs[:, column])
