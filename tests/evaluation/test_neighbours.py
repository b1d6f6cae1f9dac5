"""Distances in chunks equal distances at once, and equal what one gets by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from synth.evaluation import neighbours
from synth.evaluation.encoding import View
from synth.evaluation.neighbours import Space, distances, nearest, radii, two_nearest


@pytest.fixture
def placed(draws):
    views = draws(rows=300).views
    return views, Space.fit(views.train, np.random.default_rng(0))


def whole(space, rows, others):
    return np.vstack([found for _, found in distances(space, rows, others)])


def test_distance_by_hand(make_tables):
    train = pd.DataFrame({"n": [0.0, 1.0, 2.0, 3.0, None], "c": ["a", "a", "b", "b", "b"]})
    views = make_tables(train).views
    space = Space.fit(views.train, np.random.default_rng(0))
    found = whole(space, views.train, views.train)
    assert found[0, 1] == pytest.approx(0.25**2)  # one rank of four apart
    assert found[1, 2] == pytest.approx(0.25**2 + 1)  # and another category
    assert found[0, 4] == pytest.approx(0.375**2 + 1 + 1)  # null is far from every value
    assert np.diag(found).tolist() == [0.0] * 5


def test_chunks_change_nothing(placed, monkeypatch):
    views, space = placed
    once = two_nearest(space, views.synthetic, views.train), radii(space, views.train, 5)
    monkeypatch.setattr(neighbours, "CHUNK", 7 * 300)
    parts = [part for part, _ in distances(space, views.synthetic, views.train)]
    assert len(parts) > 30
    again = two_nearest(space, views.synthetic, views.train), radii(space, views.train, 5)
    for first, second in zip((*once[0], once[1]), (*again[0], again[1]), strict=True):
        np.testing.assert_array_equal(first, second)


def test_nearest_by_brute_force(placed):
    views, space = placed
    found = np.sort(whole(space, views.synthetic, views.train), axis=1)
    first, second, ties = two_nearest(space, views.synthetic, views.train)
    np.testing.assert_array_equal(first, found[:, 0])
    np.testing.assert_array_equal(second, found[:, 1])
    np.testing.assert_array_equal(ties, (found == found[:, [0]]).sum(axis=1))
    own = np.sort(whole(space, views.train, views.train), axis=1)
    np.testing.assert_array_equal(radii(space, views.train, 5), own[:, 5])


def test_no_others(placed):
    views, space = placed
    first, second, ties = two_nearest(space, views.train, views.train.take(np.zeros(0, dtype=np.int64)))
    assert np.isinf(first).all()
    assert np.isinf(second).all()
    assert not ties.any()


def test_the_fast_search_finds_what_the_exact_one_finds(placed, monkeypatch):
    views, space = placed
    monkeypatch.setattr(neighbours, "CHUNK", 7 * 300)
    places, apart = nearest(space, views.synthetic, views.train)
    assert places.shape == apart.shape == (300, 1)
    assert apart[:, 0] == pytest.approx(two_nearest(space, views.synthetic, views.train)[0], abs=1e-6)
    _, five = nearest(space, views.train, views.train, 6)
    assert five.max(axis=1) == pytest.approx(radii(space, views.train, 5), abs=1e-6)


def test_equally_near_rows_are_the_same_ones_in_whatever_order_and_by_however_many_threads_they_are_added():
    rng = np.random.default_rng(0)
    view = View(rng.integers(0, 3, (6000, 6)).astype(float), rng.integers(0, 3, (6000, 6)).astype(np.int32))
    space, turned = Space.fit(view, rng), [3, 1, 5, 0, 4, 2]
    wanted = nearest(space, view, view, 5)[0]
    for threads in (1, 2):
        other = view.select(turned, turned)
        with threadpool_limits(threads):
            np.testing.assert_array_equal(nearest(space.select(turned), other, other, 5)[0], wanted)


def test_rare_categories_are_measured_exactly_once_found():
    codes = np.arange(60, dtype=np.int32)[:, None]
    view = View(np.zeros((60, 0)), codes)
    space = Space.fit(view, np.random.default_rng(0))
    places, apart = nearest(space, view, view)
    assert places[: neighbours.FREQUENT, 0].tolist() == list(range(neighbours.FREQUENT))
    assert set(apart[neighbours.FREQUENT :, 0]) == {0.0, 1.0}  # some share a place with another


def test_the_space_of_some_columns(placed):
    views, space = placed
    train = views.train.select([1], [0])
    _, apart = nearest(space.select([1]), train, train)
    assert np.all(apart == 0)
    assert space.select([1]).order[0] is space.order[1]
