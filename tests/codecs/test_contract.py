"""What every kind of column promises, kinds that come later included, and what holds for any values."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Context, Decimal
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.codecs.columns import ColumnCodec, codec, kinds
from synth.codecs.columns.number import to_line
from synth.codecs.table import TableCodec
from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.schema import Kind

ROWS = np.random.default_rng(0)
CANDIDATES = {
    "integers": pa.array(ROWS.integers(0, 10**6, 400)),
    "floats with nulls": pa.array([None if i % 7 == 0 else i**1.5 for i in range(400)]),
    "few texts": pa.array([["a", "b", None, "ü"][i % 4] for i in range(400)]),
    "many texts": pa.array([f"x{i * 7919 % 10007:05d}" for i in range(400)]),
    "booleans": pa.array([True, None, False, False] * 100),
    "moments": pa.array(ROWS.integers(0, 10**9, 400)).cast(pa.timestamp("s", "Europe/Oslo")),
    "nulls": pa.nulls(400, pa.float32()),
    "dictionary": pa.array(["a", "b", "c", None] * 100).dictionary_encode(),
}


def fits(kind: str) -> list[str]:
    """The candidates that a kind accepts; it may refuse one at detection or at fit."""
    accepted = []
    for name, array in CANDIDATES.items():
        try:
            schema = detect(pa.table({"x": array}), kinds={"x": kind})
            TableCodec.fit(pa.table({"x": array}), schema, 0)
        except InputError:
            continue
        if schema["x"].kind == kind:
            accepted.append(name)
    return accepted


def test_every_kind_of_the_schema_has_a_file_and_the_other_way_round():
    whole = {"image", "text"}  # have codecs of their own, which are no column's
    assert set(kinds()) == set(get_args(Kind)) - whole
    assert not whole & set(kinds())
    with pytest.raises(ConfigError, match="kind 'nonsense' is unknown; there are: boolean, category"):
        codec("nonsense")


@pytest.mark.parametrize("kind", kinds())
def test_contract(kind):
    assert issubclass(codec(kind), ColumnCodec)
    assert fits(kind)
    for name in fits(kind):
        array = CANDIDATES[name]
        schema = detect(pa.table({"x": array}), kinds={"x": kind})
        column = schema["x"]
        fitted = codec(kind).fit(array, column, np.random.default_rng(3))
        state = json.loads(json.dumps(fitted.state(), allow_nan=False))
        loaded = codec(kind).from_state(state, column, array.type)
        assert loaded.state() == fitted.state()
        layout = fitted.layout("x")
        tokens = None
        if layout is not None:
            K = layout.cardinality
            assert layout.features.shape[0] == len(layout.embedded) == len(layout.ordered) == K
            assert np.isfinite(layout.features).all()
            assert np.isclose(layout.frequency.sum(), 1)
            placed = layout.ordered[~np.isnan(layout.ordered)]
            assert ((placed >= 0) & (placed <= 1)).all()
            tokens = fitted.encode(array)
            assert tokens.dtype == np.int64
            assert tokens.shape == (400,)
            assert 0 <= tokens.min() <= tokens.max() < K
            np.testing.assert_allclose(np.bincount(tokens, minlength=K) / 400, layout.frequency, atol=1e-6)
        rows = np.arange(1000, 1400)
        first = fitted.decode(tokens, rows, np.random.default_rng(5))
        again = loaded.decode(tokens, rows, np.random.default_rng(5))
        assert first.to_pylist() == again.to_pylist()
        assert len(first) == 400
        assert [value is None for value in first.to_pylist()] == [value is None for value in array.to_pylist()]
        if tokens is not None:
            decodable = pa.table({"x": first.cast(array.type) if array.type != first.type else first})
            np.testing.assert_array_equal(fitted.encode(decodable.column(0).combine_chunks()), tokens)


@pytest.mark.parametrize("kind", kinds())
def test_values_that_were_not_fitted_get_a_token(kind):
    for name in fits(kind):
        array = CANDIDATES[name]
        column = detect(pa.table({"x": array.slice(0, 60)}), kinds={"x": kind})["x"]
        fitted = codec(kind).fit(array.slice(0, 60), column, np.random.default_rng(0))
        layout = fitted.layout("x")
        if layout is not None:
            for strange in (array, pa.nulls(5, array.type)):
                tokens = fitted.encode(strange)
                assert 0 <= tokens.min() <= tokens.max() < layout.cardinality


def values(strategy):
    """Lists of up to 300 values with nulls, and repetitions of few ones."""
    optional = st.one_of(st.none(), strategy)
    return st.one_of(
        st.lists(optional, min_size=1, max_size=300),
        st.lists(optional, min_size=1, max_size=4).map(lambda few: few * 40),
    )


TYPED = st.one_of(
    values(st.integers(-(2**63), 2**63 - 1)).map(lambda v: pa.array(v, pa.int64())),
    values(st.integers(0, 2**64 - 1)).map(lambda v: pa.array(v, pa.uint64())),
    values(st.integers(-128, 127)).map(lambda v: pa.array(v, pa.int8())),
    values(st.floats(allow_infinity=False)).map(lambda v: pa.array(v, pa.float64())),
    values(st.floats(allow_infinity=False, width=32)).map(lambda v: pa.array(v, pa.float32())),
    values(st.integers(0, 10**7).map(lambda v: v / 100)).map(lambda v: pa.array(v, pa.float64())),
    values(st.decimals(-(10**20), 10**20, places=4)).map(lambda v: pa.array(v, pa.decimal128(30, 4))),
    values(st.booleans()).map(lambda v: pa.array(v, pa.bool_())),
    values(st.dates()).map(lambda v: pa.array(v, pa.date32())),
    values(st.datetimes()).map(lambda v: pa.array(v, pa.timestamp("us", "Asia/Kolkata"))),
    values(st.times()).map(lambda v: pa.array(v, pa.time64("us"))),
    values(st.integers(-(2**62), 2**62)).map(lambda v: pa.array(v, pa.duration("ns"))),
)


def key(value: object) -> object:
    """Something that can be compared, NaN and null aside."""
    if isinstance(value, float | Decimal | int | dt.date | dt.time | dt.timedelta):
        return value
    return getattr(value, "value", value)


def known(array: pa.Array) -> list[object]:
    """The values that are neither null nor NaN, durations as numbers."""
    array = array.cast(pa.int64()) if pa.types.is_duration(array.type) else array
    return [key(value) for value in array.to_pylist() if value is not None and value == value]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(TYPED, st.integers(0, 2**32))
def test_any_numbers_and_moments_stay_in_their_range_with_their_nulls(array, seed):
    table = pa.table({"x": array})
    schema = detect(table)
    fitted = TableCodec.fit(table, schema, seed)
    loaded = TableCodec.from_state(json.loads(json.dumps(fitted.state(), allow_nan=False)), schema)
    arrays = fitted.encode(table)
    out = fitted.decode(arrays, rows=range(len(array)), rng=np.random.default_rng(seed))
    again = loaded.decode(arrays, rows=range(len(array)), rng=np.random.default_rng(seed))
    assert repr(out.to_pylist()) == repr(again.to_pylist())
    assert out.schema.equals(table.schema)
    real, made = known(array), known(out.column(0).combine_chunks())
    assert len(real) == len(made)
    if real and schema["x"].kind != "identifier":
        assert min(real) <= min(made)
        assert max(made) <= max(real)
    if len(set(real)) <= 20:
        assert set(made) <= set(real)
    if schema["x"].kind == "number" and schema["x"].decimals is not None and pa.types.is_floating(array.type):
        assert all(round(value, schema["x"].decimals) == value for value in made if array.type == pa.float64())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(values(st.text(max_size=12)))
def test_any_texts_come_out_as_they_are_or_as_new_ones(texts):
    table = pa.table({"x": pa.array(texts, pa.string())})
    schema = detect(table)
    fitted = TableCodec.fit(table, schema, 0)
    out = fitted.decode(fitted.encode(table), rows=range(len(texts)), rng=np.random.default_rng(0))
    made = out.column(0).to_pylist()
    assert [value is None for value in made] == [value is None for value in texts]
    if schema["x"].kind == "category":
        assert made == texts


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**30), 10**30) | st.integers(2**61 - 2, 2**61 + 2) | st.integers(-9, 9), min_size=1))
def test_decimals_of_any_width_are_the_same_integers(whole):
    """In 64 bits where all of them are far from the ends, as Python's own otherwise."""
    values = [Decimal(value).scaleb(-2, Context(prec=60)) for value in whole]
    for dtype in (pa.decimal128(38, 2), pa.decimal256(60, 2)):
        line = to_line(pa.array([Decimal(7), *values], dtype).slice(1), 2)
        assert line.tolist() == whole
        assert line.dtype == (np.int64 if max(map(abs, whole)) < 2**61 else object)
