"""Columns that break tools of this kind: each comes out with its dtype, its nulls and its own values."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from round_trips import round_trip

from synth.errors import InputError

UTC = dt.UTC
TWICE = 3


def frame(values: Any, dtype: Any = None) -> pd.DataFrame:
    """One column `x`, each value three times."""
    return pd.DataFrame({"x": pd.Series(list(values) * TWICE, dtype=dtype)})


def table(values: list[Any], dtype: pa.DataType | None = None) -> pa.Table:
    """One Arrow column `x`, each value three times."""
    return pa.table({"x": pa.array(values * TWICE, type=dtype)})


def dictionary(values: list[Any], dtype: pa.DataType) -> pa.Table:
    """One Arrow dictionary column `x`, each value three times."""
    return pa.table({"x": pa.array(values * TWICE, type=dtype).dictionary_encode()})


def category(values: list[Any], categories: list[Any], ordered: bool = False) -> pd.DataFrame:
    """One pandas category column."""
    return pd.DataFrame({"x": pd.Categorical(values * TWICE, categories=categories, ordered=ordered)})


NAT = pd.NaT
EXACT = {
    "floats with NaN": frame([1.0, np.nan, 3.0]),
    "float32": frame([1.1, 2.25, np.nan], "float32"),
    "float16": frame([1.1, 2.25, 65504.0], "float16"),
    "16 significant digits": frame([0.1234567890123456, 1234567.890123456, 2 / 3]),
    "tiny and huge floats": frame([5e-324, 1e-300, 1.7976931348623157e308, -1.7976931348623157e308]),
    "prices": frame([19.99, 0.01, 1234567.89, 1e9 + 0.01]),
    "negative zero": table([-0.0, -0.0, 1.5]),
    "float16 with NaN and negative zero": table([np.float16(-0.0), float("nan"), np.float16(0.1)], pa.float16()),
    "float32 with NaN": table([float("nan"), 1.5], pa.float32()),
    "constant negative zero": table([-0.0]),
    "int8": frame([-128, 127], "int8"),
    "int64 extremes": frame([-(2**63), 2**63 - 1, 0], "int64"),
    "uint64 extremes": frame([0, 2**64 - 1, 2**63], "uint64"),
    "uint64 top": frame([2**64 - 1, 2**64 - 3], "uint64"),
    "integers above 2^53": frame([2**53 + 1, 2**53 + 3, 2**60 + 1]),
    "Int64 with nulls": frame([1, None, 2**62 + 1], "Int64"),
    "UInt64 with nulls": frame([1, None, 2**64 - 1], "UInt64"),
    "Int8 with nulls": frame([1, None, -128], "Int8"),
    "Float64 with nulls": frame([1.5, None, 0.1], "Float64"),
    "decimals of 24 digits": table([Decimal("12345678901234567890.1234"), None, Decimal("-0.0001")]),
    "decimal256": table([Decimal("1" * 60 + ".25"), Decimal("0.50")], pa.decimal256(70, 2)),
    "Decimal objects": frame([Decimal("1.10"), Decimal("2.20"), None]),
    "numpy booleans": frame([True, False]),
    "boolean with nulls": frame([True, None, False], "boolean"),
    "booleans as objects": frame([True, None, False], object),
    "0 and 1": frame([0, 1], "int8"),
    "yes and no": frame(["yes", "no", None]),
    "string": frame(["a", None, "b"], "string"),
    "python string": frame(["a", None, "b"], pd.StringDtype("python")),
    "str": frame(["a", None, "b"], "str"),
    "object text": frame(["a", None, "b"], object),
    "Arrow int": frame([1, None, 2], pd.ArrowDtype(pa.int32())),
    "Arrow string": frame(["a", None], pd.ArrowDtype(pa.string())),
    "Arrow decimal": frame([Decimal("1.5"), None], pd.ArrowDtype(pa.decimal128(20, 3))),
    "Arrow timestamp": frame([pd.Timestamp("2020-01-01"), None], pd.ArrowDtype(pa.timestamp("s", "Europe/Oslo"))),
    "Arrow date": frame([dt.date(2020, 1, 1), None], pd.ArrowDtype(pa.date32())),
    "Arrow time": frame([dt.time(1, 2, 3), None], pd.ArrowDtype(pa.time64("us"))),
    "Arrow list": frame([[1, 2], None, []], pd.ArrowDtype(pa.list_(pa.int16()))),
    "Arrow dictionary": frame(["a", None], pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
    "category": category(["b", "a", None], ["b", "a"]),
    "ordered category": category(["low", "high"], ["low", "mid", "high"], ordered=True),
    "unused categories": category(["a"], ["z", "a", "y"]),
    "int categories": category([3, 1, None], [3, 2, 1]),
    "ordered int categories": category([10, 30], [10, 20, 30], ordered=True),
    "float categories": category([0.5, 1.5, None], [1.5, 0.5]),
    "bool categories": category([True, False, None], [True, False]),
    "date categories": category([pd.Timestamp("2020-01-01"), None], list(pd.to_datetime(["2021-01-01", "2020-01-01"]))),
    "zoned date categories": category(
        [pd.Timestamp("2020-01-01", tz="Europe/Oslo"), None],
        list(pd.to_datetime(["2021-01-01", "2020-01-01"]).tz_localize("Europe/Oslo")),
    ),
    "all-null category": category([None], ["a", "b"]),
    "category without categories": category([None], []),
    "leading zeros": frame(["0311", "0047", "1200"]),
    "multi-byte and empty text": frame(["", None, "日本", "é", "e\u0301", "👩‍👩‍👧", " ", "\n", "NA"]),
    "a NUL in text": frame(["a\0b", "a", None]),
    "binary": table([b"\x00\xff", None, b""]),
    "fixed binary": table([b"ab", None, b"\x00\x01"], pa.binary(2)),
    "large string": table(["a", None], pa.large_string()),
    "string view": table(["a", None, "longer than twelve bytes"], pa.string_view()),
    "binary view": table([b"a", None], pa.binary_view()),
    "a single value": frame([7]),
    "a single text": frame(["only"]),
    "a single value and nulls": frame(["only", None]),
    "a single number and nulls": frame([1.5, np.nan]),
    "a single moment": frame([pd.Timestamp("2020-05-05")]),
    "dictionary of integers": pa.table({"x": pa.array([300, None, 1] * 3, pa.int64()).dictionary_encode()}),
    "dictionary of int16 indices": table(["a", None], pa.dictionary(pa.int16(), pa.string())),
    "dictionary of decimals": dictionary([Decimal("1.5"), None], pa.decimal128(4, 1)),
    "dictionary of moments": dictionary([dt.datetime(2020, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
    "dictionary of dates": dictionary([dt.date(9999, 12, 31), None], pa.date32()),
    "dictionary of binary": dictionary([b"\xff", None], pa.binary()),
    "dictionary of floats with NaN": dictionary([1.5, None, 0.5], pa.float64()),
    "dictionary of booleans": table([True, None, False], pa.dictionary(pa.int8(), pa.bool_())),
    "a null inside a dictionary": pa.table(
        {"x": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None] * 3, pa.int8()), pa.array(["a", None, "b"]))}
    ),
    "a value twice in a dictionary": pa.table(
        {"x": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2] * 3, pa.int8()), pa.array(["a", "b", "a"]))}
    ),
    "list": table([[1, 2], None, [], [None]]),
    "fixed list": table([[1, 2], None], pa.list_(pa.int8(), 2)),
    "list of lists": table([[["a"], []], None]),
    "struct": table([{"a": 1, "b": "x"}, None, {"a": None, "b": ""}]),
    "struct of moments": table(
        [
            {
                "at": dt.datetime(2020, 1, 1, 1, 2, 3, 4, UTC),
                "day": dt.date(1600, 2, 29),
                "wait": dt.timedelta(seconds=1),
            },
            None,
        ],
    ),
    "struct of times": table([{"t": dt.time(1, 2, 3, 4)}, None]),
    "struct of floats": table([{"f": 0.1, "g": float("nan")}, {"f": 2.0, "g": 1e300}]),
    "map": table([[("a", 1), ("b", 2)], None], pa.map_(pa.string(), pa.int32())),
    "days at the ends": table([dt.date(9999, 12, 31), dt.date(1600, 1, 1), dt.date(1, 1, 1), None]),
    "date64": table([dt.date(2020, 1, 1), None], pa.date64()),
    "times": table([dt.time(23, 59, 59), None], pa.time32("s")),
    "times to the nanosecond": table([1, None, 86_399_999_999_999], pa.time64("ns")),
    "moments past nanoseconds": table(
        list(np.array(["9999-12-31", "1600-01-01"], "datetime64[us]")), pa.timestamp("us")
    ),
    "durations at the ends": table([-(2**63) + 1, 2**63 - 1, None], pa.duration("ns")),
    "dates as text": frame(["2020-01-31", "9999-12-31", "1600-02-29", None]),
    "dates with English months": frame(["31 Jan 2020", "01 Feb 1999"]),
    "dates in two formats": frame(["2020-01-31", "31.01.2020", None]),
    "dates as numbers in text": frame(["20200131", "20200201"]),
    "days without zeros": frame(["1/2/2020", "11/12/2020"]),
    "clock times": frame(["23:59", "00:00", None]),
    "datetime objects": frame([dt.datetime(2020, 1, 1, tzinfo=UTC), None], object),
    "date objects": frame([dt.date(2020, 1, 1), None, dt.date(9999, 12, 31)], object),
    **{
        f"moments in {unit}": frame([pd.Timestamp("2020-01-01 01:02:03"), NAT], f"datetime64[{unit}]")
        for unit in ("s", "ms", "us", "ns")
    },
    **{
        f"zoned moments in {unit}": frame(
            [pd.Timestamp("2020-07-01 01:02:03", tz="UTC"), NAT], f"datetime64[{unit}, Europe/Oslo]"
        )
        for unit in ("s", "ms", "us", "ns")
    },
    **{
        f"durations in {unit}": frame(
            [pd.Timedelta("1 days 00:00:07"), NAT, -pd.Timedelta("3s")], f"timedelta64[{unit}]"
        )
        for unit in ("s", "ms", "us", "ns")
    },
    "a fixed offset": frame([pd.Timestamp("2020-07-01 01:02:03+05:30")]),
}


@pytest.mark.parametrize("name", EXACT)
def test_few_values_come_out_exactly(name):
    trip = round_trip(EXACT[name])
    assert repr(trip.values("x")) == repr(trip.expected.column("x").to_pylist())


REFUSED = {
    "decimals of negative scale": (
        table([Decimal("1200")], pa.decimal128(5, -2)),
        "Parquet cannot hold decimal128(5, -2)",
    ),
    "period": (frame(list(pd.period_range("2020-01", periods=3, freq="M"))), "period"),
    "interval": (frame(list(pd.interval_range(0, 3))), "interval"),
    "categories that are intervals": (pd.DataFrame({"x": pd.cut(range(9), 3)}), "interval"),
    "struct of bytes": (table([{"b": b"\xff"}]), "binary"),
    "many different structs": (pa.table({"x": [{"a": i} for i in range(3000)]}), "3,000 different"),
    "many different lists": (pa.table({"x": [[i] for i in range(3000)]}), "3,000 different"),
    "infinite floats": (frame([1.0, np.inf, -np.inf]), "6 of 9 values are infinite"),
    "infinite floats beside nulls": (frame([1.0, np.nan, np.inf]), "3 of 6 values are infinite"),
    "infinite Float64": (frame([1.0, None, np.inf], "Float64"), "3 of 6 values are infinite"),
    "mixed text and numbers": (frame(["a", "b", 123]), "mixes"),
    "mixed numbers and text": (frame([123, "a", None]), "mixes"),
    "mixed dates and text": (frame([dt.date(2020, 1, 1), "soon"]), "mixes"),
    "sparse values": (pd.DataFrame({"x": pd.arrays.SparseArray([0, 0, 1])}), "sparse"),
    "text that is no Unicode": (frame(["\ud800", "b"], object), "not valid Unicode"),
    "structs without fields": (table([{}], pa.struct([])), "Parquet cannot hold"),
    "many different bytes": (pa.table({"x": [bytes([i % 256, i // 256]) for i in range(3000)]}), "3,000 different"),
    "dictionary of lists": (
        pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([[1], [2]]))}),
        "dictionary<values=list",
    ),
    "UUID objects": (frame([uuid.UUID(int=7)]), "uuid"),
    "integers past 64 bits": (frame([2**70, 1]), "int"),
    "complex numbers": (frame([1 + 2j]), "complex"),
    "objects": (frame([object()]), "object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_refused_by_name_before_anything_is_learnt(name):
    data, why = REFUSED[name]
    with pytest.raises(InputError, match=r"column 'x'") as caught:
        round_trip(data)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


NULL_TYPES = [
    pa.null(), pa.float64(), pa.int32(), pa.bool_(), pa.string(), pa.large_string(), pa.binary(), pa.date32(),
    pa.timestamp("ns", "UTC"), pa.duration("s"), pa.time64("ns"), pa.decimal128(20, 2), pa.list_(pa.int8()),
    pa.struct([("a", pa.int8())]), pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.int64()),
]  # fmt: skip


@pytest.mark.parametrize("dtype", NULL_TYPES, ids=str)
def test_nulls_alone_come_out_as_nulls_of_their_type(dtype):
    trip = round_trip(pa.table({"x": pa.nulls(5, dtype)}))
    assert trip.result.column("x").null_count == 17


@pytest.mark.parametrize(
    "dtype", ["float64", "object", "str", "string", "Int64", "boolean", "datetime64[ns]", "category"]
)
def test_nulls_alone_keep_their_pandas_dtype(dtype):
    assert round_trip(pd.DataFrame({"x": pd.Series([None] * 5, dtype=dtype)})).frame["x"].isna().all()


def test_a_dictionary_that_holds_nan_gives_nulls():
    column = pa.array([1.5, float("nan"), None] * 5).dictionary_encode()
    trip = round_trip(pa.table({"x": column}))
    assert trip.schema["x"].categories == (1.5,)
    assert set(trip.values("x")) == {1.5, None}
