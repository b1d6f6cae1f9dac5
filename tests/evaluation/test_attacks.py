"""A generator that leaks is caught by every attack, one that draws afresh by none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from synth.evaluation import attacks
from synth.evaluation.attacks import linkability, membership, singling_out
from synth.evaluation.attacks.attribute_inference import guessed
from synth.evaluation.encoding import View, Views
from synth.evaluation.measurements import evaluate
from synth.evaluation.neighbours import Space

CHANCE = {"membership_tpr_1": 0.01, "membership_tpr_01": 0.001, "membership_auc": 0.5}
NAMES = [metric.name for metric in attacks.METRICS]
PROVABLE = [name for name in NAMES if name != "membership_tpr_01"]  # that takes 3,688 unseen rows


def leaky(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """A bootstrap of rows, numbers moved by a hundredth of their deviation."""
    rng = np.random.default_rng(seed)
    rows = frame.sample(len(frame), replace=True, random_state=seed).reset_index(drop=True)
    numbers = rows.select_dtypes("number")
    return rows.assign(**(numbers + rng.normal(size=numbers.shape) * 0.01 * numbers.std().to_numpy()))


def found(views: Views, seed: int = 0) -> dict:
    """All figures."""
    return attacks.attack(views, np.random.SeedSequence(seed))


@pytest.fixture(scope="module")
def leak(draws, fresh) -> dict:
    return found(draws(leaky(fresh(1500, 1))).views)


@pytest.fixture(scope="module")
def honest(draws) -> dict:
    return found(draws().views)


@pytest.mark.parametrize("name", PROVABLE)
def test_a_bootstrap_with_noise_is_caught_by_every_attack(leak, name):
    assert leak[name].low > CHANCE.get(name, 0.0) + 0.02


@pytest.mark.parametrize("name", NAMES)
def test_fresh_draws_are_caught_by_none(honest, name):
    assert honest[name].low <= CHANCE.get(name, 0.0) <= honest[name].high


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_caught_nearly_always(draws, fresh, name):
    assert found(draws(fresh(1500, 1)).views)[name].value > 0.97


def test_chance_is_chance_over_many_populations(make_tables, fresh):
    values = [
        found(make_tables(fresh(400, 3 * seed), fresh(400, 3 * seed + 2), fresh(400, 3 * seed + 1)).views, seed)
        for seed in range(20, 35)
    ]
    for name in NAMES:
        rates = [value[name] for value in values]
        assert np.mean([rate.value for rate in rates]) == pytest.approx(CHANCE.get(name, 0.0), abs=0.03), name
        assert sum(rate.low > CHANCE.get(name, 0.0) for rate in rates) <= 3, name


def test_members_are_found_at_a_thousandth_where_there_are_unseen_rows_enough(make_tables, fresh):
    tables = make_tables(fresh(4000, 1), fresh(4000, 1), fresh(4500, 2))
    rng = np.random.default_rng(0)
    assert membership.attack(tables.views, rng)["membership_tpr_01"].low > 0.9
    other = membership.attack(
        tables.views.with_synthetic(make_tables(fresh(4000, 1), fresh(4000, 3)).views.synthetic), rng
    )
    assert other["membership_tpr_01"].low <= 0.001


def test_the_same_seed_gives_the_same_figures(draws, leak, fresh):
    views = draws(leaky(fresh(1500, 1))).views
    assert found(views) == leak
    assert found(views, seed=1) != leak


@pytest.mark.parametrize("holdout", [0, 12])
def test_without_unseen_rows_there_is_no_control(make_tables, fresh, holdout):
    train = fresh(100, 1)
    tables = make_tables(train, train, holdout=fresh(100, 2).head(holdout), test=train.head(0))
    entries = evaluate(tables, repeats=2)["attacks"]
    for metric in attacks.METRICS:
        entry = entries[metric.name]
        if holdout and metric.name == "singling_out":
            assert entry["value"] is not None
        else:
            assert entry["value"] is entry["low"] is entry["high"] is None
            assert entry["reason"] == metric.undefined


def test_columns_that_say_nothing_change_nothing(draws, make_tables, fresh, honest):
    parts = [fresh(1500, seed).assign(constant=1, empty=None) for seed in (1, 4, 2, 3)]
    assert found(make_tables(*parts, kinds={"empty": "empty"}, target="target").views) == honest


@pytest.mark.parametrize("empty", [["x"], ["x", "y"], ["city"], ["x", "y", "group", "city", "target"]])
def test_columns_that_the_generator_left_empty_are_no_trouble(draws, fresh, empty):
    figures = found(draws(fresh(1500, 4).assign(**dict.fromkeys(empty)), rows=300).views)
    for name in NAMES:
        assert figures[name] is None or figures[name].low <= CHANCE.get(name, 0.0) + 0.01


def test_numbers_alone_and_categories_alone(make_tables, fresh):
    for names in (["x", "y"], ["group", "city"], ["x"]):
        tables = [fresh(400, seed)[names] for seed in (1, 1, 2)]
        figures = found(make_tables(*tables).views)
        assert figures["membership_auc"].low > 0.5 or names == ["group", "city"]  # a copy; all categories have twins
        assert figures["near_identical"].high > 0
    assert figures["linkability"] is figures["attribute_inference"] is None  # of one column


def test_predicates_are_true_of_the_row_they_were_read_from_alone(draws):
    views = draws().views
    table = singling_out.columns(views.synthetic)
    rng = np.random.default_rng(0)
    makers: list[Callable] = [singling_out.multivariate, singling_out.univariate]
    for make in makers:
        predicates = make(table, len(views.numbers), rng)
        assert len(predicates) > 100
        assert {len(predicate.matches(table)) for predicate in predicates} == {1}


def test_a_null_is_matched_by_nulls_alone():
    view = View(np.array([[np.nan], [0.0], [5.0]]), np.zeros((3, 0), dtype=np.int32))
    table = singling_out.columns(view)
    low, high = singling_out._around(table[:, 0], np.sort(table))
    assert singling_out.Predicate(np.array([0]), low, high).matches(table).tolist() == [0]


def test_halves_share_what_identifies(make_tables):
    frame = pd.DataFrame({name: np.arange(60) % values for name, values in zip("abcd", (60, 50, 3, 2), strict=True)})
    assert linkability.halves(make_tables(frame).views, np.random.default_rng(0)) == (("a", "c"), ("b", "d"))


def test_a_secret_is_guessed_from_all_other_columns(make_tables):
    synthetic = pd.DataFrame({"n": [1.0, 2.0, 3.0], "c": ["a", "b", "c"]})
    views = make_tables(synthetic.assign(c=["a", "b", "b"]), synthetic, holdout=synthetic).views
    space = Space.fit(views.synthetic, np.random.default_rng(0))
    assert guessed(space, views.train, views.synthetic, "c", views).tolist() == [True, True, False]


def test_rows_looked_at_are_said(draws):
    said = attacks.rows(draws().views)
    assert said["membership_members"] == said["membership_others"] == said["singling_out_rows"] == 1500
    assert said["linkability_targets"] == 1500


def test_each_entry_stands_beside_real_rows_and_a_copy(draws):
    for name, entry in evaluate(draws(rows=300), repeats=2)["attacks"].items():
        assert set(entry) == {"value", "low", "high", "floor", "independent", "copy"}
        assert abs(entry["floor"] - CHANCE.get(name, 0.0)) < 0.15 < entry["copy"]
