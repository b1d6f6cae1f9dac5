"""Conditions: what users write, which part of each token it allows, and rows that keep it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth import Synthesizer
from synth.codecs.table import TableCodec
from synth.conditions import Between, OneOf, asked, parse
from synth.detection import detect
from synth.errors import ConfigError
from synth.requests import KEPT_BLOCK
from synth.sampling import write_samples
from synth.storage import read_parquet

FLOATS = st.floats(-1e6, 1e6, allow_nan=False)
COLUMNS = st.one_of(
    st.lists(st.integers(-(10**6), 10**6), min_size=30, max_size=300),
    st.lists(FLOATS, min_size=30, max_size=300),
    st.lists(st.integers(0, 10**5).map(lambda i: i / 100), min_size=30, max_size=300),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sex=Female", ("sex", OneOf(("Female",)))),
        ("age=30..40", ("age", Between(30, 40))),
        ("age=30..", ("age", Between(30, None))),
        ("day=..2020-01-31", ("day", Between(None, "2020-01-31"))),
        ("city=[Oslo, Rome]", ("city", OneOf(("Oslo", "Rome")))),
        ("code=007", ("code", OneOf(("007",)))),
        ("x=-1.5..2e3", ("x", Between(-1.5, 2000.0))),
        ("note=null", ("note", OneOf((None,)))),
        ("a=b=c", ("a", OneOf(("b=c",)))),
    ],
)
def test_what_users_write(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((40, 30), r"'x': the range 40..30 is empty"),
        ([], "an empty list allows nothing"),
        ((1, 2, 3), "a range has two ends"),
        ({"least": 1}, "expected a value, a list, or min and max"),
        ((None, None), "at least one end"),
        ((1, "a"), "cannot be compared"),
    ],
)
def test_what_is_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        asked("x", value)


@settings(max_examples=100, deadline=None)
@given(COLUMNS, st.data())
def test_values_drawn_inside_a_span_are_inside_the_range(values, data):
    table = pa.table({"x": values})
    codec = TableCodec.fit(table, detect(table, kinds={"x": "number"}), 0)
    low, high = sorted(data.draw(st.tuples(st.sampled_from(values), st.sampled_from(values))))
    spans = codec.spans("x", Between(low, high))
    tokens = np.repeat(np.flatnonzero(spans[:, 1] >= spans[:, 0]), 20)
    assert len(tokens)
    drawn = codec.decode(
        {"tokens": tokens[:, None]}, rows=range(len(tokens)), rng=np.random.default_rng(0), spans={0: spans}
    )
    out = drawn.column("x").to_numpy()
    slack = 1e-9 * max(abs(low), abs(high), 1) if isinstance(low, float) else 0
    assert out.min() >= low - slack
    assert out.max() <= high + slack


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 3000
    sex = rng.choice(["F", "M"], n)
    age = np.where(sex == "F", rng.integers(18, 60, n), rng.integers(30, 80, n))
    wage = np.round(age * 100 + rng.normal(0, 300, n), 2)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D")
    rare = np.where(rng.random(n) < 0.01, "yes", "no")
    income = np.where(wage + 1000 * (sex == "M") > 6000, "high", "low")
    return pd.DataFrame({"sex": sex, "age": age, "wage": wage, "day": day, "rare": rare, "income": income})


@pytest.fixture(scope="module")
def model(rows) -> Synthesizer:
    return Synthesizer(seed=0, epochs=8).fit(rows, target="income")


def test_every_row_keeps_every_condition(model):
    out = model.sample(
        700,
        where={"sex": "F", "age": (30, 40), "wage": (3000.5, None), "day": ("2020-03-01", "2020-12-31"), "rare": "yes"},
    )
    assert len(out) == 700
    assert set(out["sex"]) == {"F"}
    assert set(out["rare"]) == {"yes"}
    assert out["age"].between(30, 40).all()
    assert (out["wage"] >= 3000.5).all()
    assert out["day"].between("2020-03-01", "2020-12-31").all()
    assert out.duplicated().mean() < 0.05


def test_rows_under_a_condition_are_those_of_the_joint_distribution(model, rows):
    """P(income | ...) and the ages of high incomes, though both come after or before what is asked."""
    free = model.sample(60_000)
    asked_for = model.sample(3000, where={"income": "high"})
    expected = free[free["income"] == "high"]
    assert asked_for["age"].mean() == pytest.approx(expected["age"].mean(), abs=0.8)
    assert (asked_for["sex"] == "M").mean() == pytest.approx((expected["sex"] == "M").mean(), abs=0.03)
    assert asked_for["wage"].std() == pytest.approx(expected["wage"].std(), rel=0.1)


def test_classes_come_equally_often_and_a_list_allows_each(model):
    out = model.sample(1001, balance="rare", where={"sex": ["F", "M"]})
    assert abs((out["rare"] == "yes").sum() - 500) <= 1
    assert set(out["sex"]) == {"F", "M"}
    assert (model.sample(5, where={"wage": 4321.25})["wage"] == 4321.25).all()


def test_the_same_rows_for_any_length_and_number_of_shards(model, tmp_path):
    request = model.request({"income": "high"}, None)
    whole = model.sample(2500, where={"income": "high"})
    pd.testing.assert_frame_equal(model.sample(300, where={"income": "high"}), whole.head(300))
    write_samples(model, 2500, tmp_path / "parts", shards=3, request=request)
    parts = read_parquet(tmp_path / "parts")
    assert parts.num_rows == 2500 > 2 * KEPT_BLOCK
    assert parts.to_pandas()["wage"].tolist() == whole["wage"].tolist()
    assert parts.schema.metadata[b"where"] == b"income: 'high'"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"sex": "X"}, r"'sex': 'X' is not among its values; there are: 'F', 'M'"),
        ({"age": (200, 300)}, r"'age': no value is 200\.\.300; the training rows go from 18 to 79"),
        ({"day": ("2031-01-01", None)}, r"'day': no value is 2031-01-01\.\.; there are 2020-01-.* to 2022-"),
        ({"day": "soon"}, "'day': 'soon' is not of type timestamp"),
        ({"wages": 1}, r"column 'wages' is unknown; there are: sex, age"),
        ({"age": "old"}, "is no range of numbers"),
    ],
)
def test_a_condition_outside_the_domain_is_refused_by_name(model, where, message):
    with pytest.raises(ConfigError, match=message):
        model.sample(1, where=where)


def test_balance_of_a_number_and_a_condition_on_a_key_are_refused(model, rows):
    with pytest.raises(ConfigError, match="balance: 'age' is a number; it takes a category"):
        model.sample(1, balance="age")
    keyed = Synthesizer(epochs=1, min_steps=0).fit(rows.head(100).assign(id=[f"K{i:04d}" for i in range(100)]))
    with pytest.raises(ConfigError, match="'id' is made anew, not learnt"):
        keyed.sample(1, where={"id": "K0001"})


def test_gaps_are_filled_and_nothing_else_is_touched(model, rows):
    holes = rows.head(400).copy()
    rng = np.random.default_rng(1)
    for name in holes:
        holes.loc[rng.random(400) < 0.3, name] = None
    holes["age"] = holes["age"].astype("Int64")
    table = pa.Table.from_pandas(holes, preserve_index=False)
    filled = model.impute(table)
    assert not filled.isna().to_numpy().any()
    for name in rows:
        kept = holes[name].notna().to_numpy()
        assert (filled[name][kept].astype(str) == rows.head(400)[name][kept].astype(str)).all(), name
    likely = model.impute(table, draws=16)
    gaps = holes["wage"].isna().to_numpy()
    errors = [(np.abs(x["wage"] - rows.head(400)["wage"])[gaps] ** 2).mean() for x in (filled, likely)]
    plain = ((rows["wage"].mean() - rows.head(400)["wage"])[gaps] ** 2).mean()
    assert errors[1] < errors[0]
    assert errors[1] < 0.6 * plain
    pd.testing.assert_frame_equal(model.impute(table), filled)


def test_log_prob_sums_to_one_over_a_discrete_table_and_is_low_for_odd_rows():
    rng = np.random.default_rng(0)
    a = rng.choice(["x", "y"], 2000)
    b = np.where(a == "x", rng.integers(0, 3, 2000), rng.integers(2, 5, 2000))
    model = Synthesizer(epochs=6).fit(pd.DataFrame({"a": a, "b": b}))
    every = pd.DataFrame([(x, y) for x in ("x", "y") for y in range(5)], columns=["a", "b"])
    log_prob = model.log_prob(every)
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)
    assert log_prob[4] < log_prob[0] - 3  # (x, 4) was never seen


def test_log_prob_of_a_gaussian_is_its_known_value_within_one_per_cent():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200_000)
    frame = pd.DataFrame({"x": x, "y": 0.8 * x + 0.6 * rng.normal(size=len(x))})
    model = Synthesizer(epochs=2, batch_size=1024).fit(frame)
    u = rng.normal(size=20_000)
    fresh = pd.DataFrame({"x": u, "y": 0.8 * u + 0.6 * rng.normal(size=20_000)})
    known = -np.log(2 * np.pi * 0.6) - fresh["x"] ** 2 / 2 - (fresh["y"] - 0.8 * fresh["x"]) ** 2 / 0.72
    assert model.log_prob(fresh).mean() == pytest.approx(known.mean(), rel=0.01)
