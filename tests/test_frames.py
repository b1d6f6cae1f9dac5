"""pandas in, pandas out: the same dtypes and labels, and the caller's frame left alone."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth.errors import InputError
from synth.frames import from_pandas, to_pandas
from synth.storage import read_parquet, write_parquet

FRAME = pd.DataFrame(
    {
        "object": pd.Series(["a", None, "b"], dtype=object),
        "str": pd.Series(["a", None, "b"], dtype="str"),
        "string": pd.Series(["a", None, "b"], dtype="string"),
        "python": pd.Series(["a", None, "b"], dtype=pd.StringDtype("python")),
        "decimal": [Decimal("1.10"), None, Decimal("2.20")],
        "arrow": pd.Series([[1], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int8()))),
        "category": pd.Categorical(["lo", None, "hi"], categories=["lo", "mid", "hi"], ordered=True),
        "zoned": pd.Categorical(pd.to_datetime(["2020-01-01", None, "2021-01-01"]).tz_localize("Asia/Tokyo")),
        "Int8": pd.Series([1, None, 3], dtype="Int8"),
        "moment": pd.Series(pd.to_datetime(["1600-01-01", None, "9999-12-31"])).astype("datetime64[s]"),
        "bool": pd.Series([True, None, False], dtype="boolean"),
    }
)


def test_dtypes_and_values_survive_arrow_and_parquet(tmp_path):
    table = from_pandas(FRAME)
    write_parquet(tmp_path / "a.parquet", table)
    for back in (to_pandas(table), to_pandas(read_parquet(tmp_path / "a.parquet"))):
        pd.testing.assert_frame_equal(back, FRAME)


def test_a_frame_with_arrow_lists_is_read_by_pandas_itself(tmp_path):
    write_parquet(tmp_path / "a.parquet", from_pandas(FRAME))
    assert list(pd.read_parquet(tmp_path / "a.parquet")["arrow"][0]) == [1]


NAMES = [1, "a b", "🎉", ".*[x](", "x" * 200, "", "Ünï", "a.b", "tab\t"]


def test_labels_are_kept_exactly():
    frame = pd.DataFrame([range(9)], columns=NAMES)
    pd.testing.assert_index_equal(to_pandas(from_pandas(frame)).columns, frame.columns)
    numbered = pd.DataFrame(np.eye(3))
    pd.testing.assert_index_equal(to_pandas(from_pandas(numbered)).columns, pd.Index([0, 1, 2]))


def test_the_callers_frame_is_left_alone():
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="row"))
    frame.attrs["note"] = {"a": [1]}
    before = frame.copy(deep=True)
    table = from_pandas(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == {"note": {"a": [1]}}
    assert table.column_names == ["x"]
    assert b"note" not in table.schema.metadata[b"pandas"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "column 'a' stands twice"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "column '1' stands twice"),
        (pd.DataFrame({"x": ["a", "b", 123]}), "column 'x': mixes int and str; convert it to one type"),
        (pd.DataFrame({"ok": [1, 2], "x": [1j, 2]}), "column 'x': .*complex"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "2 levels; flatten"),
    ],
    ids=["twice", "twice as text", "mixed", "complex", "levels"],
)
def test_what_has_no_type_is_refused_by_name(frame, message):
    with pytest.raises(InputError, match=message):
        from_pandas(frame)


def test_a_table_without_pandas_metadata_becomes_a_frame():
    table = pa.table({"t": pa.array([1], pa.time64("ns")), "n": [1], "s": ["a"]})
    assert [str(dtype) for dtype in to_pandas(table).dtypes] == ["time64[ns][pyarrow]", "int64", "str"]
