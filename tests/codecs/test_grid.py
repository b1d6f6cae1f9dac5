"""The number line: every value has a token, atoms are exact, bins stay between their ends."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from synth.codecs.columns.number import relative, stride, widen
from synth.codecs.grid import BINS, FEW, KNOTS, Grid, thin

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LINES = st.one_of(
    st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=400).map(lambda v: np.array(v, dtype=np.int64)),
    st.lists(st.integers(-5, 5), min_size=1, max_size=400).map(lambda v: np.array(v, dtype=np.int64)),
    st.lists(st.integers(-(10**30), 10**30), min_size=1, max_size=100).map(lambda v: np.array(v, dtype=object)),
    st.lists(FLOATS, min_size=1, max_size=400).map(lambda v: np.array(v) + 0.0),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(LINES, st.integers(0, 5), st.integers(0, 2**32))
def test_any_line_of_numbers(line, nulls, seed):
    grid = Grid.fit(line, nulls)
    K = len(grid.counts)
    assert grid.counts.sum() == len(line) + nulls
    null = np.zeros(len(line), dtype=bool)
    tokens = grid.encode(line, null)
    np.testing.assert_array_equal(np.bincount(tokens, minlength=K)[: K - grid.nulls], grid.counts[: K - grid.nulls])
    loaded = Grid.from_state(json.loads(json.dumps(grid.state(), allow_nan=False)))
    values, empty = grid.decode(tokens, np.random.default_rng(seed))
    again, _ = loaded.decode(tokens, np.random.default_rng(seed))
    assert not empty.any()
    assert values.tolist() == again.tolist()
    assert line.min() <= values.min()
    assert values.max() <= line.max()
    np.testing.assert_array_equal(grid.encode(values, null), tokens)
    exact = tokens < len(grid.atoms)
    assert values[exact].tolist() == line[exact].tolist()
    layout = grid.layout("x")
    assert np.isfinite(layout.features).all()
    assert layout.cardinality == K


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**64), min_size=1, max_size=50), st.integers(1, 10**6))
def test_offset_and_step_are_taken_out_and_put_back(numbers, factor):
    line = np.array([number * factor for number in numbers], dtype=object)
    offset, step = stride(line)
    assert step % factor == 0 or len(set(numbers)) == 1
    assert widen(relative(line, offset, step), offset, step).tolist() == line.tolist()


def test_nulls_have_the_last_token_and_come_out_as_nulls():
    grid = Grid.fit(np.array([1, 2]), 3)
    tokens = grid.encode(np.array([1, 0, 2]), np.array([False, True, False]))
    assert tokens.tolist() == [0, 2, 1]
    assert grid.decode(tokens, np.random.default_rng(0))[1].tolist() == [False, True, False]


def test_many_values_are_bins_and_a_frequent_one_beside_them_is_exact():
    rng = np.random.default_rng(0)
    line = np.concatenate([rng.normal(size=9000), np.zeros(1000)])
    grid = Grid.fit(line, 0)
    assert grid.atoms.tolist() == [0.0]
    assert len(grid.knots) == BINS
    assert max(map(len, grid.knots)) <= KNOTS
    values, _ = grid.decode(grid.encode(line, np.zeros(len(line), dtype=bool)), rng)
    assert (values == 0).mean() == 0.1
    assert abs(np.quantile(values, [0.1, 0.5, 0.9]) - np.quantile(line, [0.1, 0.5, 0.9])).max() < 0.02


def test_a_bin_holds_no_source_row_in_order():
    line = np.random.default_rng(0).normal(size=50_000)
    grid = Grid.fit(line, 0)
    assert sum(map(len, grid.knots)) < 0.05 * len(line)


@pytest.mark.parametrize("distinct", [1, 2, FEW])
def test_few_values_are_always_exact(distinct):
    line = np.arange(distinct) * 3.7
    grid = Grid.fit(line, 0)
    assert grid.knots == ()
    far = grid.encode(line + 0.1, np.zeros(distinct, dtype=bool))
    assert far.tolist() == list(range(distinct))


@settings(max_examples=100, deadline=None)
@given(LINES)
def test_the_place_of_a_value_gives_the_value_back(line):
    grid = Grid.fit(line, 0)
    tokens = grid.encode(line, np.zeros(len(line), dtype=bool))
    places = grid.places(line, tokens)
    assert ((places >= 0) & (places <= 1)).all()
    values, _ = grid.decode(tokens, np.random.default_rng(0), places)
    np.testing.assert_array_equal(grid.encode(values, np.zeros(len(line), dtype=bool)), tokens)
    widest = max((float(knots[-1]) - float(knots[0]) for knots in grid.knots), default=0.0)
    if np.isfinite(widest):
        far = np.abs(values.astype(np.float64) - line.astype(np.float64))
        assert (far <= 1 + 1e-4 * widest).all()


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_the_place_of_a_value_among_equal_knots_is_no_overflow(dtype):
    line = np.minimum(np.arange(1500) ** 2, 1495**2).astype(dtype)
    grid = Grid.fit(line, 0)
    far = np.append(line, [10**15]).astype(dtype)
    assert any((np.diff(knots) == 0).any() for knots in grid.knots)
    with np.errstate(all="raise"):
        places = grid.places(far, grid.encode(far, np.zeros(len(far), dtype=bool)))
    assert ((places >= 0) & (places <= 1)).all()


def test_places_of_a_smooth_column_are_uniform_and_densities_known():
    line = np.random.default_rng(0).normal(size=200_000)
    grid = Grid.fit(line, 0)
    tokens = grid.encode(line, np.zeros(len(line), dtype=bool))
    assert kstest(grid.places(line, tokens), "uniform").pvalue > 0.001
    share = np.log(grid.counts / grid.counts.sum())[tokens]
    entropy = -(share + grid.log_density(line, tokens)).mean()
    assert entropy == pytest.approx(0.5 * np.log(2 * np.pi * np.e), rel=0.01)


def test_probabilities_of_the_integers_of_a_bin_sum_to_one():
    line = np.random.default_rng(0).integers(0, 3000, 2500)
    grid = Grid.fit(line, 0)
    for token in range(len(grid.atoms), len(grid.counts)):
        knots = grid.knots[token - len(grid.atoms)]
        every = np.arange(knots[0], knots[-1] + 1)
        mass = np.exp(grid.log_density(every, np.full(len(every), token)))
        assert mass.sum() == pytest.approx(1)


@settings(max_examples=150, deadline=None)
@given(LINES, st.integers(2, 9))
def test_no_knot_is_a_rare_value(line, least):
    line = thin(line, least)
    grid = Grid.fit(line, 0, least)
    null = np.zeros(len(line), dtype=bool)
    tokens = grid.encode(line, null)
    np.testing.assert_array_equal(np.bincount(tokens, minlength=len(grid.counts)), grid.counts)
    distinct, counts = np.unique(line, return_counts=True)
    rare = set(distinct[counts < least].tolist()) - {line.min(), line.max()}
    for knots in grid.knots:
        assert (knots[:-1] <= knots[1:]).all()
        assert line.min() <= knots[0]
        assert knots[-1] <= line.max()
        if line.dtype != np.float64:  # where no integer is free, one with company is as good as another
            near = {value for value in rare if rare & {value - 2, value - 1, value + 1, value + 2}}
            assert not (rare - near) & set(knots.tolist())
    assert all(low[-1] < high[0] for low, high in zip(grid.knots, grid.knots[1:], strict=False))


def test_knots_of_a_sparse_column_are_no_source_values_and_keep_its_distribution():
    for line in (np.random.default_rng(0).normal(size=5000), np.random.default_rng(0).integers(0, 10**9, 5000)):
        kept = thin(line, 5)
        grid = Grid.fit(kept, 0, 5)
        knots = np.concatenate(grid.knots)
        assert set(knots.tolist()) & set(line.tolist()) == {kept.min(), kept.max()}
        values, _ = grid.decode(grid.encode(kept, np.zeros(5000, dtype=bool)), np.random.default_rng(1))
        assert kstest(values, kept).pvalue > 0.9
