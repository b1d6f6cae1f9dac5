"""A generator that copies is caught, one that does not is left alone, and a million rows stay in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from synth.evaluation import privacy
from synth.evaluation.encoding import View
from synth.evaluation.measurements import measure


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_copy_is_caught(draws, fresh, rng):
    figures = privacy.measure(draws(fresh(1500, 1)).views, rng)
    assert figures == {"identical_share": 1.0, "identical_excess": 1.0, "dcr_share": 1.0, "nndr": 0.0}


def test_fresh_draws_are_at_chance(draws, rng):
    figures = privacy.measure(draws().views, rng)
    assert figures["identical_share"] == 0.0
    assert figures["dcr_share"] == pytest.approx(0.5, abs=0.04)
    assert figures["nndr"] > 0.5


@pytest.mark.parametrize(("train", "holdout"), [(3000, 1000), (1000, 3000)])
def test_sizes_do_not_move_the_share(make_tables, fresh, rng, train, holdout):
    tables = make_tables(fresh(train, 1), fresh(2000, 4), fresh(holdout, 2))
    assert privacy.measure(tables.views, rng)["dcr_share"] == pytest.approx(0.5, abs=0.05)
    copies = make_tables(fresh(train, 1), fresh(train, 1), fresh(holdout, 2))
    assert privacy.measure(copies.views, rng)["dcr_share"] == 1.0


def test_rows_near_the_holdout_are_below_chance(draws, fresh, rng):
    assert privacy.measure(draws(fresh(1500, 2)).views, rng)["dcr_share"] == 0.0


def test_a_copier_of_every_fourth_row_shows(make_tables, fresh, rng):
    mixed = pd.concat([fresh(1500, 1).head(375), fresh(1125, 4)])
    figures = privacy.measure(make_tables(fresh(1500, 1), mixed, fresh(1500, 2)).views, rng)
    assert figures["identical_excess"] == 0.25
    assert figures["dcr_share"] == pytest.approx(0.25 + 0.75 / 2, abs=0.04)


def test_small_noise_on_copies_shows(draws, fresh, rng):
    noisy = fresh(1500, 1)
    noisy["x"] += rng.normal(0, 0.01, len(noisy))
    figures = privacy.measure(draws(noisy).views, rng)
    assert figures["identical_share"] == 0.0
    assert figures["dcr_share"] > 0.9
    assert figures["nndr"] < 0.3


def test_likeness_by_chance_is_no_excess(make_tables, rng):
    frames = [pd.DataFrame({"a": rng.choice(list("abcd"), 800), "b": rng.choice(list("xy"), 800)}) for _ in range(3)]
    figures = privacy.measure(make_tables(frames[0], frames[1], frames[2]).views, rng)
    assert figures["identical_share"] == 1.0
    assert figures["identical_excess"] == 0.0
    assert figures["dcr_share"] == pytest.approx(0.5, abs=0.03)  # every distance is 0 on both sides
    assert figures["nndr"] is None


def test_keys_of_equal_rows_only():
    first = View(np.array([[0.0, np.nan], [1.0, 2.0], [2.0, 1.0]]), np.array([[1], [1], [1]], dtype=np.int32))
    negative = View(np.array([[-0.0, -np.nan]]), np.array([[1]], dtype=np.int32))
    keys = privacy.row_keys(first)
    assert len(set(keys)) == 3
    assert privacy.row_keys(negative)[0] == keys[0]


def test_identifiers_do_not_hide_a_copy(make_tables):
    train = pd.DataFrame({"id": [f"a{i}" for i in range(50)], "v": np.arange(50.0)})
    fresh_ids = train.assign(id=[f"b{i}" for i in range(50)])
    tables = make_tables(train, fresh_ids, holdout=train.assign(v=train.v + 100), kinds={"id": "identifier"})
    assert privacy.identical_rows(tables.views) == (1.0, 1.0)


def test_without_unseen_rows_only_what_needs_none_is_defined(make_tables, rng):
    train = pd.DataFrame({"v": np.arange(50.0)})
    figures = privacy.measure(make_tables(train, train, holdout=train.iloc[:0]).views, rng)
    assert figures["identical_share"] == 1.0
    assert figures["identical_excess"] is None
    assert figures["dcr_share"] is None


def test_a_million_rows_in_bounded_memory(make_tables, rng):
    big = pd.DataFrame({"n": rng.normal(size=1_000_000), "c": rng.choice(["a", "b", "c"], 1_000_000)})
    views = make_tables(big, big, holdout=big.head(500_000), test=big.head(1000)).views
    tracemalloc.start()
    measure(views, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6  # the rows alone, as arrays, are 12 MB a table
    said = privacy.rows(views)
    assert said["privacy_train_rows"] == said["privacy_holdout_rows"] == privacy.REFERENCE_ROWS
    assert said["privacy_rows"] == privacy.DISTANCES // (2 * privacy.REFERENCE_ROWS)
