"""The filter of real values: what it keeps out, how little it tells, and that every number has a candidate."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.deniable import GROUP, LEAST, PER_VALUE, Deniable, choose

REAL = pa.array([f"user{i}@mail.org" for i in range(20_000)])
OTHER = np.array([f"user{i}@mail.net" for i in range(20_000)])


@pytest.fixture(scope="module")
def fitted() -> Deniable:
    """The filter of REAL."""
    return Deniable.fit(REAL)


def test_no_real_value_is_allowed_and_a_known_share_of_others_is(fitted):
    assert not fitted.allows(np.array(REAL.to_pylist())).any()
    free = math.exp(-1 / PER_VALUE) / 4  # a random quarter, without the buckets of real values
    assert abs(fitted.allows(OTHER).mean() - free) < 4 * math.sqrt(free / len(OTHER))
    assert 1 / (1 - free) < 4 / 3  # how much likelier to be real a banned value is


def test_a_bucket_without_a_real_value_is_banned_as_often_as_the_docstring_says(fitted):
    bits = np.unpackbits(fitted.bitmap)
    assert len(bits) == PER_VALUE * len(REAL)
    assert abs(bits.mean() - math.exp(-1 / PER_VALUE) / 4) < 0.005


def test_the_quarter_comes_from_all_values_and_the_file_has_none(fitted):
    again = Deniable.fit(REAL)
    assert again.state() == fitted.state()
    less = Deniable.fit(REAL.slice(1))
    assert less.salt != fitted.salt
    state = json.dumps(fitted.state())
    assert "user" not in state
    assert (Deniable.from_state(json.loads(state)).allows(OTHER) == fitted.allows(OTHER)).all()
    assert Deniable.from_state(None) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=400), min_size=1, max_size=40))
def test_any_real_text_is_banned(texts):
    clean = [text.encode("utf-8", "ignore").decode() for text in texts]
    found = Deniable.fit(pa.array(clean))
    assert len(found.bitmap) * 8 == LEAST
    assert not found.allows(np.array(clean)).any()


def test_every_number_has_an_allowed_candidate_of_its_own(fitted):
    def allows(candidates):
        return fitted.allows(np.strings.add("id", candidates.astype(np.str_)))

    numbers = np.arange(50 * GROUP)
    chosen = choose(allows, numbers)
    assert len(set(chosen.tolist())) == len(numbers)
    assert allows(chosen).all()
    some = np.array([4000, 7, 4001, 7])
    assert choose(allows, some).tolist() == chosen[some].tolist()
    assert choose(allows, numbers[:0]).tolist() == []
