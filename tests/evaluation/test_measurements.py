"""All figures together: JSON that is whole, floors and trivial generators beside each value, the same for a seed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from synth.evaluation.measurements import AREAS, evaluate
from synth.evaluation.measurements import METRICS as ALL

METRICS = {area: metrics for area, metrics in ALL.items() if area in {*AREAS, "attacks"}}  # of tables


@pytest.fixture(scope="module")
def honest(draws):
    return evaluate(draws(), seed=3, repeats=3)


def test_every_figure_stands_beside_its_floor(honest):
    for area, metrics in METRICS.items():
        assert list(honest[area]) == [metric.name for metric in metrics]
        for entry in honest[area].values():
            assert set(entry) == {"value", "low", "high", "floor", "independent", "copy"}
            assert all(isinstance(number, float) for number in entry.values())
            assert entry["low"] <= entry["value"] <= entry["high"]


def test_fresh_draws_are_as_good_as_real_rows(honest):
    quality, privacy = honest["quality"], honest["privacy"]
    assert quality["c2st_auc"]["value"] == pytest.approx(0.5, abs=0.04)
    assert quality["trend_error"]["value"] == pytest.approx(quality["trend_error"]["floor"], abs=0.02)
    assert quality["tstr"]["value"] == pytest.approx(quality["tstr"]["floor"], abs=0.03)
    assert quality["tstr"]["floor"] == quality["tstr"]["copy"]
    assert privacy["dcr_share"]["value"] == pytest.approx(0.5, abs=0.04)


def test_the_trivial_generators_are_what_they_are(honest):
    assert honest["quality"]["shape_error"]["copy"] == honest["quality"]["shape_error"]["independent"] == 0
    assert honest["quality"]["c2st_auc"]["independent"] > 0.75
    assert honest["privacy"]["dcr_share"]["copy"] == 1
    assert honest["privacy"]["identical_excess"]["copy"] == 1


def test_a_copy_has_perfect_quality_and_failed_privacy(draws, fresh):
    found = evaluate(draws(fresh(1500, 1)), repeats=2)
    assert found["quality"]["shape_error"]["value"] == 0
    assert found["privacy"]["dcr_share"]["value"] > found["privacy"]["dcr_share"]["floor"] + 0.4
    assert found["privacy"]["identical_excess"]["value"] == 1


def test_independent_columns_fail_pairs_and_two_sample_test(draws, fresh, shuffle):
    found = evaluate(draws(shuffle(fresh(1500, 1))), repeats=2)["quality"]
    assert found["shape_error"]["value"] <= found["shape_error"]["floor"]
    assert found["trend_error"]["value"] > 3 * found["trend_error"]["floor"]
    assert found["c2st_auc"]["value"] > 0.75


def test_the_same_seed_gives_the_same_figures(draws, fresh, honest):
    again = evaluate(draws(fresh(1500, 4)), seed=3, repeats=3)
    assert json.dumps(again, allow_nan=False) == json.dumps(honest, allow_nan=False)
    other = evaluate(draws(), seed=4, repeats=3)
    assert other["quality"]["c2st_auc"] != honest["quality"]["c2st_auc"]


def test_intervals_cover_what_other_draws_give(draws, fresh, honest):
    entry = honest["quality"]["c2st_auc"]
    assert 0 < entry["high"] - entry["low"] < 0.3
    assert entry["low"] < evaluate(draws(fresh(1500, 9)), repeats=2)["quality"]["c2st_auc"]["value"] < entry["high"]


def test_worst_columns_and_pairs_come_first(draws, fresh):
    broken = fresh(1500, 4).assign(city="A")
    found = evaluate(draws(broken), repeats=2)
    assert next(iter(found["columns"])) == "city"
    assert "city" in found["pairs"][0]["columns"]
    assert found["columns"]["city"]["shape_error"] > 10 * found["columns"]["city"]["floor"]


def test_rows_read_are_said(honest):
    said = honest["subsample"]
    assert said["train"] == said["synthetic"] == said["neighbour_rows"] == 1500
    assert said["pairs"] == 10
    assert "3 random halves" in honest["interval"]


def test_columns_without_a_figure_are_listed_and_change_nothing(draws, make_tables, fresh):
    extra = {"constant": 1, "empty": None, "key": [f"k{i}" for i in range(1500)]}
    parts = [fresh(1500, seed).assign(**extra) for seed in (1, 4, 2, 3)]
    kinds = {"empty": "empty", "key": "identifier"}
    found = evaluate(make_tables(*parts, kinds=kinds, target="target"), seed=3, repeats=3)
    assert set(found["undefined"]) == {"constant", "empty", "key"}
    assert set(found["columns"]) == {"x", "y", "group", "city", "target"}
    plain = evaluate(draws(), seed=3, repeats=3)
    assert {area: found[area] for area in METRICS} == {area: plain[area] for area in METRICS}


def test_only_identifiers(make_tables):
    frame = pd.DataFrame({"id": [f"a{i}" for i in range(20)]})
    found = evaluate(make_tables(frame, kinds={"id": "identifier"}), repeats=2)
    json.dumps(found, allow_nan=False)
    for area in METRICS:
        for entry in found[area].values():
            assert entry["value"] is None
            assert entry["reason"]
    assert list(found["undefined"]) == ["id"]


@pytest.mark.parametrize("rows", [1, 2, 3, 12])
def test_tiny_tables(make_tables, fresh, rows):
    frame = fresh(rows, 1)
    json.dumps(evaluate(make_tables(frame, target="target"), repeats=2), allow_nan=False)


def test_without_unseen_rows(make_tables, fresh):
    frame = fresh(60, 1)
    found = evaluate(make_tables(frame, holdout=frame.iloc[:0], test=frame.iloc[:0], target="target"), repeats=2)
    assert found["quality"]["shape_error"]["floor"] is None
    assert found["quality"]["c2st_auc"]["value"] is None
    assert found["quality"]["tstr"]["value"] is None
    assert found["quality"]["shape_error"]["value"] == 0


def test_one_unseen_table_for_both_parts_is_halved(make_tables, fresh):
    unseen = fresh(1000, 2)
    found = evaluate(make_tables(fresh(1000, 1), fresh(1000, 4), unseen, unseen, target="target"), repeats=2)
    assert found["subsample"]["holdout"] == found["subsample"]["test"] == 500
    assert found["privacy"]["dcr_share"]["floor"] == pytest.approx(0.5, abs=0.06)
    assert found["quality"]["c2st_auc"]["floor"] == pytest.approx(0.5, abs=0.06)


def test_every_kind_of_column_at_once(make_tables):
    rng = np.random.default_rng(0)
    rows = 120
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=rows),
            "nullable": pd.array([None if i % 3 else i for i in range(rows)], dtype="Int64"),
            "flag": pd.array(rng.random(rows) < 0.5, dtype="boolean"),
            "when": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 99, rows), unit="h"),
            "length": pd.to_timedelta(rng.integers(0, 99, rows), unit="s"),
            "nested": [{"a": int(i)} for i in rng.integers(0, 3, rows)],
            "word": pd.Categorical(rng.choice(["u", "v"], rows)),
        }
    )
    kinds = {"flag": "boolean", "when": "datetime", "length": "datetime"}
    found = evaluate(make_tables(frame, kinds=kinds, target="flag"), repeats=2)
    assert set(found["columns"]) == set(frame)
    assert found["quality"]["shape_error"]["value"] == 0
