"""Series to tokens and back: lengths, times, nulls, types, and what a calendar has."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from walks import walks

from synth.codecs.series import SeriesCodec
from synth.detection import detect
from synth.errors import InputError
from synth.nest import nest
from synth.series import flatten, lengths


def fitted(nested: pa.Table) -> SeriesCodec:
    schema = detect(nested, rare_values=0)
    codec = SeriesCodec.fit(nested, schema, 0)
    return SeriesCodec.from_state(json.loads(json.dumps(codec.state())), schema)


def again(codec: SeriesCodec, nested: pa.Table) -> pa.Table:
    arrays = codec.encode(nested, places=True)
    return codec.decode(arrays, rows=range(nested.num_rows), rng=np.random.default_rng(0))


@pytest.mark.parametrize("regular", [True, False])
def test_series_come_back(regular):
    nested = nest(walks(300, regular=regular), entity=["id"], time="at")
    codec = fitted(nested)
    made = again(codec, nested)
    assert made.schema.equals(nested.schema, check_metadata=True)
    assert (lengths(made) == lengths(nested)).all()
    real, ours = flatten(nested).to_pandas(), flatten(made).to_pandas()
    assert (real["kind"] == ours["kind"]).all()
    assert (real["state"] == ours["state"]).all()
    assert (real["count"].isna() == ours["count"].isna()).all()
    assert np.median(np.abs(real["value"] - ours["value"])) < 0.02
    gaps = [frame.groupby("id", sort=False)["at"].diff().dropna() for frame in (real, ours)]
    assert (gaps[0].to_numpy() == gaps[1].to_numpy()).all()
    assert not set(ours["id"]) & set(real["id"])


def test_any_tokens_give_strictly_later_steps_inside_the_times_and_nothing_behind_the_last_one():
    nested = nest(walks(300), entity=["id"], time="at")
    codec = fitted(nested)
    rng, layout = np.random.default_rng(0), codec.layout
    once = np.stack([rng.integers(0, K, 400) for K in layout.cardinalities], 1)
    each = np.stack([rng.integers(0, K, (400, layout.longest)) for K in layout.steps.cardinalities], -1)
    made = codec.decode({"tokens": once, "steps": each}, rows=range(400), rng=rng)
    assert (lengths(made) == layout.lengths[once[:, layout.length]]).all()
    times = [np.array(series.as_py()) for series in made.column("at")]
    assert all((np.diff(series) > pd.Timedelta(0)).all() for series in times)
    assert max(series[-1] for series in times) <= max(flatten(nested).column("at").to_pylist())


@pytest.mark.parametrize(("days", "cycles"), [(3, 1), (200, 2), (740, 3)])
def test_hours_and_weekdays_are_where_they_were_and_a_cycle_that_came_once_is_none(days, cycles):
    times = pd.date_range("2023-01-01", periods=24 * days, freq="h")
    value = np.sin(2 * np.pi * times.hour / 24) * 5 + np.random.default_rng(0).normal(size=len(times)).cumsum() * 0.01
    nested = nest(pa.table({"at": times, "value": np.round(value, 3)}), time="at", window=48, stride=24)
    codec = fitted(nested)
    assert len(codec.layout.cycles) == cycles
    made = again(codec, nested)
    pairs = zip(nested.column("at").to_pylist(), made.column("at").to_pylist(), strict=True)
    for real, ours in pairs:
        assert (real[0].hour, real[0].weekday()) == (ours[0].hour, ours[0].weekday())
        assert abs(real[0] - ours[0]) < pd.Timedelta(days=8)


@pytest.mark.parametrize(
    "times",
    [
        pa.array(range(400), pa.int32()),
        pa.array(np.arange(400) / 8),
        pa.array(pd.date_range("2020-01-01", periods=400).date),
        pa.array(pd.date_range("2020-01-01", periods=400).strftime("%d.%m.%Y")),
        pa.array(pd.date_range("1600-01-01", periods=400, unit="us")),
        pa.array(pd.date_range("2020-01-01", periods=400, freq="15min", tz="Europe/Berlin")),
    ],
    ids=["integers", "floats", "dates", "texts", "far", "zone"],
)
def test_times_of_all_kinds(times):
    value = np.random.default_rng(0).normal(size=400).cumsum()
    nested = nest(pa.table({"at": times, "value": value}), time="at", window=20, stride=5)
    made = flatten(again(fitted(nested), nested))
    assert made.schema.field("at").type == times.type
    assert made.column("at").null_count == 0
    assert set(made.column("at").to_pylist()) <= set(times.to_pylist()) or len(nested) < 400


def test_one_column_that_is_null_and_one_that_never_changes():
    rows = walks(100)
    rows = rows.append_column("none", pa.nulls(rows.num_rows, pa.float64()))
    rows = rows.append_column("one", pa.array([7] * rows.num_rows))
    nested = nest(rows, entity=["id"], time="at")
    made = flatten(again(fitted(nested), nested))
    assert made.column("none").null_count == made.num_rows
    assert set(made.column("one").to_pylist()) == {7}


def test_a_series_that_is_too_long_is_named():
    nested = nest(pa.table({"id": ["a"] * 5000 + ["b"] * 3, "x": np.arange(5003.0)}), entity=["id"])
    with pytest.raises(InputError, match="a series has 5,000 steps; 4,096 are learnt at most: cut it into windows"):
        fitted(nested)


def test_a_column_may_be_called_as_what_is_made():
    table = walks(300).rename_columns(["id", "kind", "at", "gap", "state", "count"])
    nested = nest(table, entity=["id"], time="at")
    made = again(fitted(nested), nested)
    real, ours = flatten(nested).to_pandas(), flatten(made).to_pandas()
    gaps = [frame.groupby("id", sort=False)["at"].diff().dropna() for frame in (real, ours)]
    assert (gaps[0].to_numpy() == gaps[1].to_numpy()).all()
    assert np.median(np.abs(real["gap"] - ours["gap"])) < 0.02


@pytest.mark.parametrize(("dtype", "size"), [(pa.decimal128(38, 18), 1000), (pa.uint64(), 2**63), (pa.int64(), 2**62)])
def test_numbers_that_need_more_than_64_bits_come_back(dtype, size):
    rng = np.random.default_rng(0)
    walk = 1.5 + 0.01 * rng.normal(size=(200, 12)).cumsum(1)
    numbers = [Decimal(repr(value)) * size for value in walk.clip(1.2, 1.8).ravel().tolist()]
    exact = numbers if pa.types.is_decimal(dtype) else [int(number) for number in numbers]
    ids = pa.array(np.repeat(np.arange(200), 12).astype(str))
    nested = nest(pa.table({"id": ids, "x": pa.array(exact, dtype)}), entity=["id"])
    codec = fitted(nested)
    assert codec.innovations.names == ["x"]
    ours = flatten(again(codec, nested)).column("x").to_pylist()
    off = [abs(float(one) / float(other) - 1) for one, other in zip(ours, exact, strict=True)]
    assert np.median(off) < 1e-3
    assert max(ours) <= max(exact)
