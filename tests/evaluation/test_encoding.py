"""Every kind of column becomes a number or a place in a vocabulary, and what cannot be compared is listed."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth.errors import InputError


def numbers(make_tables, values, kind="number", other=None):
    train = pd.DataFrame({"c": values})
    synthetic = train if other is None else pd.DataFrame({"c": other})
    view = make_tables(train, synthetic, kinds={"c": kind}).views
    return view.train.numbers[:, 0], view.synthetic.numbers[:, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, None, 3.0], [1.5, np.nan, 3.0]),
        (pd.array([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        ([Decimal("1.20"), None, Decimal("3.05")], [1.2, np.nan, 3.05]),
        (pd.array([1, None, 3], dtype=pd.ArrowDtype(pa.int32())), [1, np.nan, 3]),
        ([np.inf, 1.0, 2.0], [np.nan, 1, 2]),
    ],
    ids=["floats", "Int64", "Decimal", "arrow", "infinite"],
)
def test_numbers(make_tables, values, expected):
    np.testing.assert_array_equal(numbers(make_tables, values)[0], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.to_datetime(["1970-01-02", None, "1970-01-01"]), [86400, np.nan, 0]),
        (pd.to_datetime(["1970-01-01 01:00", "1970-01-01 00:00"]).tz_localize("Europe/Oslo"), [0, -3600]),
        (pd.to_timedelta(["1h", None, "2s"]), [3600, np.nan, 2]),
        ([dt.date(1970, 1, 2), None, dt.date(1600, 1, 1)], [86400, np.nan, -11676096000]),
        ([dt.time(0, 1), None, dt.time(0, 0, 2)], [60, np.nan, 2]),
        (["1970-01-02", None, "9999-12-31", "no date"], [86400, np.nan, 253402214400, np.nan]),
    ],
    ids=["timestamps", "zone", "durations", "dates", "times", "text"],
)
def test_dates_are_seconds(make_tables, values, expected):
    np.testing.assert_array_equal(numbers(make_tables, values, "datetime")[0], expected)


def test_numbers_read_back_as_text_are_numbers(make_tables):
    np.testing.assert_array_equal(numbers(make_tables, [1.0, 2.0], other=["2", "x"])[1], [2, np.nan])


def test_a_category_is_one_value_in_every_dtype(make_tables):
    train = pd.DataFrame({"c": [1, 1, 2], "d": pd.Categorical(["u", "v", None])})
    other = pd.DataFrame({"c": [2.0, 1.0, np.nan], "d": ["v", "new", "u"]})
    views = make_tables(train, other, kinds={"c": "category", "d": "category"}).views
    assert views.labels == (("1", "2", None), ("u", "v", None, "new"))
    np.testing.assert_array_equal(views.synthetic.codes, [[1, 1], [0, 3], [2, 0]])


def test_booleans_of_any_spelling_are_the_same(make_tables):
    train = pd.DataFrame({"b": pd.array([True, False, None, True], dtype="boolean")})
    views = make_tables(train, pd.DataFrame({"b": ["True", "FALSE", None]}), kinds={"b": "boolean"}).views
    assert views.labels == (("true", "false", None),)
    np.testing.assert_array_equal(views.synthetic.codes[:, 0], [0, 1, 2])


def test_nested_and_mixed_values_are_categories(make_tables):
    train = pd.DataFrame({"n": [{"a": 1, "b": [1, 2]}, None, {"b": [1, 2], "a": 1}], "m": ["a", 123, None]})
    views = make_tables(train).views
    assert views.labels[0] == ('{"a": 1, "b": [1, 2]}', None)
    assert set(views.labels[1]) == {"a", "123", None}


def test_empty_text_is_not_null(make_tables):
    views = make_tables(pd.DataFrame({"t": ["", None, "", "é"]})).views
    assert views.labels == (("", "é", None),)


def test_integer_labels_of_columns(make_tables):
    frame = pd.DataFrame({0: [1.0, 2.0], 1: ["a", "b"]})
    assert make_tables(frame).views.names == ("0", "1")


def test_what_cannot_be_compared_is_listed_with_the_reason(make_tables):
    frame = pd.DataFrame(
        {
            "key": ["a1", "a2", "a3"],
            "nothing": [None, None, None],
            "nulls": [np.nan, np.nan, np.nan],
            "never": pd.to_datetime([None, None, None]),
            "constant": [7, 7, 7],
            "word": ["w", "w", "w"],
            "sometimes": [7, None, 7],
            "fine": [1, 2, 3],
        }
    )
    kinds = {"key": "identifier", "nothing": "empty", "nulls": "empty", "never": "datetime", "constant": "number"}
    views = make_tables(frame, kinds=kinds).views
    assert views.numbers == ("fine",)
    assert views.categories == ("sometimes",)  # one value and null: two values
    assert set(views.undefined) == {"key", "nothing", "nulls", "never", "constant", "word"}
    assert "identifier" in views.undefined["key"]
    assert views.undefined["nulls"] == views.undefined["never"] == "null alone among the training rows"
    assert views.undefined["constant"] == "one single value among the training rows"


def test_a_missing_column_is_named(make_tables):
    data = make_tables(pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}))
    with pytest.raises(InputError, match="synthetic: column 'a' is missing; there are: b"):
        _ = data.views


def test_a_table_without_rows_is_refused(make_tables):
    frame = pd.DataFrame({"a": [1, 2]})
    with pytest.raises(InputError, match="synthetic: the table has no rows"):
        make_tables(frame, frame.iloc[:0])


def test_the_frames_are_left_alone(draws):
    data = draws()
    before = data.train.copy()
    _ = data.views
    pd.testing.assert_frame_equal(data.train, before)
