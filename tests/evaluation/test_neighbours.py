"""Distances in chunks equal distances at once, and equal what one gets by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth.evaluation import neighbours
from synth.evaluation.neighbours import Space, distances, radii, two_nearest


@pytest.fixture
def placed(draws):
    views = draws(rows=300).views
    return views, Space.fit(views, 1000, np.random.default_rng(0))


def whole(space, rows, others):
    return np.vstack([found for _, found in distances(space, rows, others)])


def test_distance_by_hand(make_tables):
    train = pd.DataFrame({"n": [0.0, 1.0, 2.0, 3.0, None], "c": ["a", "a", "b", "b", "b"]})
    views = make_tables(train).views
    space = Space.fit(views, 10, np.random.default_rng(0))
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
