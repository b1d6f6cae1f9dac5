"""Tables that break tools of this kind: few rows, one column, many columns, odd labels, many values."""

from __future__ import annotations

import re
import resource
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from round_trips import round_trip, stored

from synth.codecs.table import TableCodec
from synth.detection import detect
from synth.errors import InputError
from synth.frames import from_pandas

LABELS = [
    "plain",
    "with space",
    "emoji 🎈",
    "日本",
    "a.*[b](c)$|^\\d+?",
    "quo\"te's",
    "comma, semicolon; tab\t",
    "n" * 200,
    "",
    "None",
    "__index_level_0__",
]


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    """One column of each common dtype."""
    rng = np.random.default_rng(seed)
    hole = rng.random(rows) < 0.2
    return pd.DataFrame(
        {
            "amount": np.where(hole, np.nan, rng.normal(size=rows)),
            "price": rng.integers(100, 99999, rows) / 100,
            "count": rng.integers(0, 5000, rows),
            "maybe": pd.array(np.where(hole, None, rng.integers(0, 9, rows)), dtype="Int64"),
            "flag": rng.random(rows) < 0.3,
            "city": pd.Series(rng.choice(["Oslo", "Roma", "東京"], rows), dtype="category"),
            "note": pd.Series(np.where(hole, None, rng.choice(["", "x", "y"], rows)), dtype="string"),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
            "text": [f"20{n % 90 + 10}-0{n % 9 + 1}-1{n % 10}" for n in range(rows)],
            "key": [f"K-{n:07d}" for n in rng.permutation(10**6)[:rows]],
        }
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 100, 101, 3000])
def test_any_number_of_rows(rows):
    trip = round_trip(mixed(rows))
    assert trip.result.num_rows == 2 * rows + 7


def test_ranges_decimals_and_formats_hold_for_every_row():
    frame = mixed(3000)
    made = round_trip(frame, rows=20_000).frame
    for name in ("amount", "price", "count", "maybe", "day"):
        assert frame[name].min() <= made[name].min()
        assert made[name].max() <= frame[name].max()
    np.testing.assert_array_equal(made["price"], made["price"].round(2))
    assert (made["day"] == made["day"].dt.normalize()).all()
    assert made["text"].str.fullmatch(r"20\d\d-0\d-1\d").all()
    assert made["key"].str.fullmatch(r"K-\d{7}").all()
    assert made["key"].is_unique
    assert set(made["note"].dropna()) == {"", "x", "y"}


def test_numbers_alone_categories_alone_and_one_column():
    frame = mixed(100)
    round_trip(frame[["amount", "price", "count"]])
    round_trip(frame[["flag", "city", "note"]])
    for name in frame:
        round_trip(frame[[name]])


def test_500_columns():
    frame = pd.concat([mixed(60, seed).add_suffix(str(seed)) for seed in range(50)], axis=1)
    trip = round_trip(frame)
    assert trip.result.num_columns == 500


def test_identifiers_alone_are_made_from_row_numbers():
    trip = round_trip(mixed(300)[["key"]].assign(number=np.arange(300) + 7))
    assert trip.codec.layout.columns == ()
    assert trip.frame["key"].is_unique
    assert trip.frame["number"].is_unique


@pytest.mark.parametrize("label", LABELS)
def test_column_labels_are_kept(label):
    frame = pd.DataFrame({label: [1, 2, 2], "other": ["a", "b", "b"]})
    assert list(round_trip(frame).frame.columns) == [label, "other"]


def test_integer_labels_come_back_as_integers():
    frame = pd.DataFrame([[1.5, "a"], [2.5, "b"]] * 3)
    assert list(round_trip(frame, target="1").frame.columns) == [0, 1]
    frame.columns = [7, "b"]
    assert list(round_trip(frame).frame.columns) == [7, "b"]


@pytest.mark.parametrize("label", [None, 1.5, True, ("a", "b"), pd.Timestamp("2020-01-01")])
def test_other_labels_are_refused(label):
    frame = pd.DataFrame({"x": [1]})
    frame.columns = pd.Index([label], dtype=object, tupleize_cols=False)
    with pytest.raises(InputError, match=f"column {re.escape(repr(label))}: expected text or an integer as label"):
        round_trip(frame)


@pytest.mark.parametrize("labels", [["a", "a"], [1, "1"], [0, 0]])
def test_a_label_twice_is_refused(labels):
    with pytest.raises(InputError, match=f"column '{labels[1]}' stands twice"):
        round_trip(pd.DataFrame([[1, 2]], columns=labels))
    with pytest.raises(InputError, match="column 'x' stands twice"):
        round_trip(pa.table([[1], [2]], names=["x", "x"]))


def test_a_rare_category_keeps_its_frequency():
    frame = pd.DataFrame({"x": ["common"] * 999 + ["rare"]})
    made = round_trip(frame, rows=50_000, rare_values=0).frame["x"]
    assert set(made) == {"common", "rare"}
    assert abs((made == "rare").sum() - 50) < 4 * np.sqrt(50)


def test_integers_declared_as_categories_stay_among_those_seen():
    frame = pd.DataFrame({"code": [100, 207, 999] * 50})
    for kinds in ({}, {"code": "category"}):
        assert set(round_trip(frame, kinds=kinds).values("code")) == {100, 207, 999}


def test_empty_text_and_null_are_told_apart():
    made = round_trip(pd.DataFrame({"x": ["", None, "a", ""] * 20})).values("x")
    assert set(made) == {"", None, "a"}


def test_the_callers_frame_is_left_alone():
    frame = mixed(30).set_index(pd.Index(range(100, 130), name="row"))
    frame.attrs["note"] = {"a": [1]}
    before = frame.copy(deep=True)
    made = round_trip(frame).frame
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == {"note": {"a": [1]}}
    assert made.attrs == {}
    assert isinstance(made.index, pd.RangeIndex)


def test_the_target_is_modelled_and_named():
    frame = mixed(50)
    trip = round_trip(frame, target="flag")
    assert trip.schema.target == "flag"
    with pytest.raises(InputError, match=r"target 'nobody' is not a column; there are: amount, .*key"):
        round_trip(frame, target="nobody")


@pytest.mark.parametrize(("continuous", "place"), [(1, "last"), (3, "first")])
def test_the_target_comes_first_where_most_other_columns_are_continuous(continuous, place):
    rng = np.random.default_rng(0)
    numbers = {f"number{i}": rng.normal(size=500) for i in range(continuous)}
    words = {f"word{i}": rng.choice(["x", "y"], 500) for i in range(2)}
    table = from_pandas(pd.DataFrame({**words, "target": rng.choice(["a", "b"], 500), **numbers}))
    layout = TableCodec.fit(table, detect(table, target="target"), seed=0).layout
    names = [column.name for column in layout.columns]
    assert names.index("target") == {"first": 0, "last": len(names) - 1}[place]


def test_no_rows_and_no_columns_are_refused():
    with pytest.raises(InputError, match="no rows"):
        round_trip(pd.DataFrame({"x": pd.Series([], dtype="int64")}))
    with pytest.raises(InputError, match="no columns"):
        round_trip(pd.DataFrame(index=range(3)))


def test_unseen_values_find_a_token():
    frame = mixed(400)
    table = from_pandas(frame)
    codec = TableCodec.fit(table, detect(table), 0)
    other = mixed(400, seed=1)
    other["amount"] *= 1e300
    other["price"] = -other["price"]
    other["count"] = 2**62
    other["city"] = pd.Categorical(["Atlantis"] * 400)
    other["note"] = pd.array(["z"] * 400, dtype="string")
    other["day"] = pd.Timestamp("2250-01-01 12:34:56.789")
    other["text"] = "no date"
    other["key"] = None
    tokens = codec.encode(from_pandas(other))["tokens"]
    assert (tokens >= 0).all()
    assert (tokens < np.array(codec.layout.cardinalities)).all()
    codec.decode({"tokens": tokens}, rows=range(400), rng=np.random.default_rng(0))


def test_nulls_where_there_were_none_find_a_token():
    table = from_pandas(mixed(100))
    codec = TableCodec.fit(table, detect(table), 0)
    nulls = pa.table([pa.nulls(5, dtype) for dtype in table.schema.types], schema=table.schema)
    tokens = codec.encode(nulls)["tokens"]
    made = codec.decode({"tokens": tokens}, rows=range(5), rng=np.random.default_rng(0))
    for name in ("price", "count", "flag", "city", "day", "text"):
        assert made.column(name).null_count == 0
    for name in ("amount", "maybe", "note"):
        assert made.column(name).null_count == 5


def test_300_000_unique_texts_are_an_identifier_in_bounded_time_and_memory(caplog):
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 2**16, (300_000, 2)).tolist()
    frame = pd.DataFrame({"x": [f"{a:08x}-{b:04x}/{i}" for i, (a, b) in enumerate(numbers)]})
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    trip = round_trip(frame, rows=300_000)
    assert time.process_time() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2_000_000  # KiB
    assert trip.schema["x"].kind == "identifier"
    assert "column 'x'" in caplog.text
    assert "treated as an identifier" in caplog.text
    assert len(str(trip.codec.state())) < 400_000  # a byte for each value: what must not come out
    assert trip.frame["x"].is_unique


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_50_000_values_in_many_rows(dtype):
    values = pd.Series([f"name {i}" for i in range(50_000)] * 3, dtype=dtype)
    start = time.process_time()
    trip = round_trip(pd.DataFrame({"x": values}), rows=10_000)
    assert time.process_time() - start < 30
    assert trip.schema["x"].kind == "identifier"


def test_50_000_integers_declared_as_categories():
    frame = pd.DataFrame({"x": np.arange(50_000) * 7 % 2**31})
    start = time.process_time()
    made = round_trip(frame, kinds={"x": "category"}, rows=10_000, rare_values=0).values("x")
    assert time.process_time() - start < 20
    assert set(made) <= set(frame["x"])


def test_chunks_make_no_difference():
    table = from_pandas(mixed(200))
    chunked = pa.concat_tables([table.slice(0, 70), table.slice(70, 0), table.slice(70)])
    for data in (chunked, chunked.slice(0, 200)):
        assert round_trip(data).result.equals(round_trip(table).result)
    one = pa.chunked_array([["b", "a"], ["c", "a"]]).dictionary_encode()
    other = pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()])
    for column in (one, other):
        trip = round_trip(pa.table({"x": column}))
        assert trip.values("x") == trip.expected.column("x").to_pylist()


def test_parts_with_other_dictionaries_are_read_as_one(tmp_path):
    from synth.storage import read_parquet, write_parquet

    for i, values in enumerate((["a", "b"], ["c", "a"])):
        write_parquet(tmp_path / f"{i}.parquet", pa.table({"x": pa.array(values).dictionary_encode()}))
    assert read_parquet(tmp_path).column("x").to_pylist() == ["a", "b", "c", "a"]


def test_decoding_a_part_gives_the_identifiers_of_the_whole():
    table = from_pandas(mixed(100)[["key"]])
    codec = TableCodec.fit(table, detect(table), 0)
    tokens = {"tokens": np.zeros((1000, 0), dtype=np.int64)}
    whole = codec.decode(tokens, rows=range(1000), rng=np.random.default_rng(0))
    part = codec.decode({"tokens": tokens["tokens"][:10]}, rows=range(500, 510), rng=np.random.default_rng(0))
    assert part.equals(whole.slice(500, 10))
    assert stored(whole).equals(whole)
