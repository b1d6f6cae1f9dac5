"""Suites follow from the schema and the training rows, and one broken thing is told as one broken thing."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth.detection import detect
from synth.errors import FormatError, InputError
from synth.frames import from_pandas
from synth.storage import write_parquet
from synth.validation import suite, validate

ROWS = 240
UTC = dt.UTC
LONG = "long " * 40
ODD = "😀 $name {x} (.*)"


def awkward() -> pa.Table:
    """A column of every kind and of every type that is hard to compare."""
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 900, ROWS).tolist()
    steps[0], steps[1] = 0, 900
    low = rng.integers(0, 1000, ROWS)
    return pa.table(
        {
            "whole": pa.array([step % 9 for step in steps]),
            "beyond floats": pa.array([2**60 + step for step in steps], pa.int64()),
            "unsigned": pa.array([2**63 + step for step in steps], pa.uint64()),
            "some null": pa.array([None if step % 7 == 0 else step for step in steps]),
            "some nan": pa.array([float("nan") if step % 5 == 0 else step / 7 for step in steps]),
            "price": pa.array([step / 100 for step in steps]),
            "all digits": pa.array([(14 + step % 40) * 1.15078 for step in steps]),
            "narrow": pa.array(np.array(steps, np.float32) / 10),
            "money": pa.array([Decimal(step).scaleb(-2) for step in steps], pa.decimal128(10, 2)),
            "wide money": pa.array([Decimal(10**26 + step).scaleb(-6) for step in steps], pa.decimal128(38, 6)),
            "flag": pa.array([None if step % 9 == 0 else step % 2 == 0 for step in steps]),
            "no text": pa.nulls(ROWS, pa.string()),
            "no moment": pa.nulls(ROWS, pa.timestamp("us", "UTC")),
            "nothing": pa.nulls(ROWS),
            "stamp": pa.array([dt.datetime.fromisoformat("2020-01-01") + dt.timedelta(hours=step) for step in steps]),
            "zoned": pa.array(
                [dt.datetime(2020, 1, 1, tzinfo=UTC) + dt.timedelta(hours=step) for step in steps],
                pa.timestamp("us", "Europe/Oslo"),
            ),
            "old day": pa.array([dt.date(1600, 1, 1) + dt.timedelta(days=step) for step in steps]),
            "far": pa.array(
                [dt.datetime.fromisoformat("9999-01-01") - dt.timedelta(days=step) for step in steps],
                pa.timestamp("us"),
            ),
            "clock": pa.array([dt.time(step % 20, 3) for step in steps], pa.time64("us")),
            "watch": pa.array([dt.time(step % 20, 3) for step in steps], pa.time32("s")),
            "lasting": pa.array([dt.timedelta(seconds=step) for step in steps]),
            "written day": pa.array(
                [(dt.date(2020, 1, 1) + dt.timedelta(step)).strftime("%d.%m.%Y") for step in steps]
            ),
            "letter": pa.array(["", "é", "日本"] * (ROWS // 3)),
            "dictionary": pa.array(["x", "y", None] * (ROWS // 3)).dictionary_encode(),
            "nested": pa.array([{"a": step % 2, "b": ["q"]} for step in steps]),
            "listed": pa.array([[1, 2] if step % 2 else None for step in steps]),
            "raw": pa.array([b"\xff" if step % 2 else b"k" for step in steps]),
            "id": pa.array([f"AB-{row:05d}" for row in range(ROWS)]),
            "key": pa.array(range(1000, 1000 + ROWS)),
            "constant": pa.array(["only"] * ROWS),
            ODD: pa.array(["a", "b"] * (ROWS // 2)),
            LONG: pa.array([step % 4 for step in steps]),
            "0": pa.array(low),
            "above": pa.array(low + rng.integers(0, 500, ROWS)),
            "city": pa.array(["Oslo", "Rome", "Lima", "Bergen"] * (ROWS // 4)),
            "country": pa.array(["NO", "IT", "PE", "NO"] * (ROWS // 4)),
        }
    )


TABLE = awkward()


@pytest.fixture(scope="module")
def expected():
    return suite(detect(TABLE, rare_values=0), TABLE)


def check(table, expected, path, **options):
    write_parquet(path / "rows.parquet", table)
    return validate(path / "rows.parquet", expected, None, **options)


def changed(name, value):
    """The table with the first value of a column replaced."""
    field = TABLE.schema.field(name)
    values = [value, *TABLE[name].to_pylist()[1:]]
    return TABLE.set_column(TABLE.column_names.index(name), field, pa.array(values, field.type))


def narrowed(expected, *names):
    """The suite of these columns alone, which is quicker to run."""
    columns = [spec for spec in expected["meta"]["columns"] if spec["name"] in names]
    about = [
        entry
        for entry in expected["expectations"]
        if entry["meta"]["columns"] and set(entry["meta"]["columns"]) <= set(names)
    ]
    return {**expected, "expectations": about, "meta": {**expected["meta"], "columns": columns}}


def test_the_training_rows_meet_their_own_suite_and_data_docs_say_so(expected, tmp_path):
    write_parquet(tmp_path / "rows.parquet", TABLE)
    result = validate(tmp_path / "rows.parquet", expected, tmp_path / "docs")
    assert result["critical_failures"] == []
    assert result["warnings"] == []
    assert result["success"]
    assert result["rows"] == ROWS
    assert {name for entry in result["expectations"] for name in entry["columns"]} == set(TABLE.column_names)
    assert all(len(entry["observed"]) <= 160 for entry in result["expectations"])
    json.dumps(result, allow_nan=False)
    pages = [page.read_text(encoding="utf-8") for page in (tmp_path / "docs").rglob("*.html")]
    told = next(page for page in pages if "values must be greater than or equal to" in page and "100%" in page)
    assert "values must never be null" in told
    assert ODD in told
    assert (tmp_path / "docs" / "index.html").is_file()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("whole", 9),
        ("whole", None),
        ("beyond floats", 2**60 - 1),
        ("beyond floats", 2**60 + 901),
        ("unsigned", 2**63 + 901),
        ("some null", -1),
        ("some nan", 1000.0),
        ("price", 0.001),
        ("price", 9.01),
        ("narrow", 0.25),
        ("money", Decimal("9.01")),
        ("wide money", Decimal(10**26 - 1).scaleb(-6)),
        ("no text", "something"),
        ("no moment", dt.datetime(2020, 1, 1, tzinfo=UTC)),
        ("stamp", dt.datetime.fromisoformat("2019-12-31T23:59:59.999999")),
        ("zoned", dt.datetime(2019, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("old day", dt.date(1599, 12, 31)),
        ("far", dt.datetime.fromisoformat("9999-01-01T00:00:01")),
        ("clock", dt.time(19, 3, 0, 1)),
        ("watch", dt.time(19, 4)),
        ("lasting", dt.timedelta(seconds=901)),
        ("written day", "2020-01-01"),
        ("written day", "31.12.2019"),
        ("letter", "b"),
        ("nested", {"a": 2, "b": ["q"]}),
        ("listed", [1]),
        ("raw", b"K"),
        ("id", "AB-00001"),
        ("id", "nobody@example.org"),
        ("key", 1001),
        ("constant", "other"),
        ("constant", None),
        (ODD, "c"),
        (LONG, 4),
    ],
)
def test_one_value_that_cannot_be_is_a_critical_failure_of_its_column(expected, tmp_path, name, value):
    result = check(changed(name, value).select([name]), narrowed(expected, name), tmp_path)
    assert not result["success"]
    assert all(line.startswith(f"column {name!r}: ") for line in result["critical_failures"])
    assert all(len(line.splitlines()) == 1 for line in result["critical_failures"])


@pytest.mark.parametrize(
    ("column", "values", "about"),
    [
        ("some null", pa.nulls(ROWS, pa.int64()), "non null"),
        ("some nan", pa.array([0.0] * ROWS), "kl divergence"),
        ("letter", pa.array([""] * ROWS), "kl divergence"),
        ("above", pa.array(TABLE["0"].to_pylist()[::-1]), "'above', '0'"),
        ("country", pa.array(["PE", "NO", "IT", "NO"] * (ROWS // 4)), "'city', 'country'"),
    ],
)
def test_what_is_odd_as_a_whole_is_a_warning(expected, tmp_path, column, values, about):
    table = TABLE.set_column(TABLE.column_names.index(column), column, values)
    names = (column, "0", "city") if column in ("above", "country") else (column,)
    result = check(table.select(names), narrowed(expected, *names), tmp_path)
    assert any(about in line for line in result["warnings"])


def test_columns_that_are_missing_added_moved_or_of_another_type_are_critical(expected, tmp_path):
    fewer = {"expectations": [], "meta": expected["meta"]}
    order = [entry for entry in expected["expectations"] if entry["meta"]["view"] in ("names", "rows")]
    for table, told in (
        (TABLE.drop_columns(["city"]), "no such column"),
        (TABLE.append_column("extra", TABLE["whole"]), "'extra'"),
        (TABLE.select(TABLE.column_names[::-1]), "names differ"),
        (TABLE.set_column(0, "whole", TABLE["whole"].cast(pa.float64())), "double"),
        (TABLE.slice(0, 0), "row count"),
    ):
        result = check(table, {**expected, **fewer, "expectations": order}, tmp_path)
        assert any(told in line for line in result["critical_failures"])


def test_a_column_that_is_not_there_or_cannot_be_read_fails_all_that_is_expected_of_it(expected, tmp_path):
    result = check(TABLE.select(["price"]), narrowed(expected, "whole"), tmp_path)
    assert len(result["critical_failures"]) >= 3
    texts = TABLE.select(["letter"]).rename_columns(["whole"])
    result = check(texts, narrowed(expected, "whole"), tmp_path)
    assert any("double" in line or "int64" in line for line in result["critical_failures"])


def test_docs_where_something_else_is_are_refused_before_a_row_is_read(expected, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="which is not replaced"):
        validate(tmp_path / "none.parquet", expected, tmp_path)


def test_every_part_file_is_looked_at(expected, tmp_path):
    few = narrowed(expected, "whole", "price")
    table = TABLE.select(["whole", "price"])
    write_parquet(tmp_path / "part-00000-of-00002.parquet", table.slice(0, 100))
    write_parquet(tmp_path / "part-00001-of-00002.parquet", table.slice(100))
    assert validate(tmp_path, few, None)["rows"] == ROWS
    other = table.slice(100).set_column(0, "whole", table["whole"].slice(100).cast(pa.int32()))
    write_parquet(tmp_path / "part-00001-of-00002.parquet", other)
    assert any("int32" in line for line in validate(tmp_path, few, None)["critical_failures"])


def test_tolerances_grow_as_samples_get_fewer(expected, tmp_path):
    """20 rows with a null rate of 14 % may well have no null; 240 of 240 without one are too many."""
    known = TABLE.filter(pa.array([value is not None for value in TABLE["some null"].to_pylist()]))
    few = narrowed(expected, "some null")
    assert check(known.slice(0, 20), few, tmp_path)["warnings"] == []
    many = pa.concat_tables([known] * 5)
    assert any("non null" in line for line in check(many, few, tmp_path)["warnings"])


def test_suite_and_results_are_the_same_bytes_each_time_and_say_nothing(expected, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert json.dumps(suite(detect(TABLE, rare_values=0), TABLE)) == json.dumps(expected)
    few = narrowed(expected, "price", "city", "country")
    capfd.readouterr()
    results = [json.dumps(check(TABLE, few, tmp_path)) for _ in range(2)]
    assert results[0] == results[1]
    assert capfd.readouterr() == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_suite_survives_json(expected, tmp_path):
    few = narrowed(expected, "price", "letter", "zoned")
    again = json.loads(json.dumps(few, allow_nan=False))
    assert check(TABLE, again, tmp_path) == check(TABLE, few, tmp_path)


def test_without_training_rows_only_what_the_schema_says_is_expected():
    made = suite(detect(TABLE), None)
    assert all(len(entry["meta"]["columns"]) <= 1 for entry in made["expectations"])
    assert not any("kl_divergence" in entry["type"] for entry in made["expectations"])


def test_chance_orders_and_dependencies_are_no_rules():
    rng = np.random.default_rng(1)
    table = pa.table(
        {
            "small": rng.random(ROWS),
            "large": 1000 + rng.random(ROWS),
            "letter": rng.choice(list("ab"), ROWS),
            "number": rng.integers(0, 200, ROWS),
        }
    )
    made = suite(detect(table), table)
    assert not any(len(entry["meta"]["columns"]) > 1 for entry in made["expectations"])


def test_no_identifier_of_the_source_is_in_the_suite(expected):
    text = json.dumps(expected)
    assert not any(value in text for value in TABLE["id"].to_pylist())


def test_pandas_dtypes_and_integer_labels(tmp_path):
    frame = pd.DataFrame(
        {
            0: pd.array([1, None, 3] * 20, dtype="Int64"),
            1: pd.Categorical(["b", "a", "b"] * 20, categories=["a", "b", "c"], ordered=True),
            2: pd.array(["x", None, ""] * 20, dtype="string"),
            3: pd.to_timedelta(range(60), unit="h"),
        }
    )
    table = from_pandas(frame)
    result = check(table, suite(detect(table), table), tmp_path)
    assert result["critical_failures"] == []
    assert result["warnings"] == []


@pytest.mark.parametrize("rows", [1, 2])
def test_one_and_two_rows(tmp_path, rows):
    table = TABLE.slice(0, rows)
    result = check(table, suite(detect(table), table), tmp_path)
    assert result["critical_failures"] == []


def test_five_hundred_columns(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table({f"c{place}": rng.integers(0, 3, 30) if place % 2 else rng.random(30) for place in range(500)})
    result = check(table, suite(detect(table), None), tmp_path)
    assert result["success"]
    assert len(result["expectations"]) >= 1500


def test_wrong_inputs_are_named(expected, tmp_path):
    with pytest.raises(InputError, match="nothing"):
        validate(tmp_path / "nothing.parquet", expected, None)
    (tmp_path / "a.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        validate(tmp_path / "a.parquet", expected, None)
    with pytest.raises(FormatError, match="not a suite"):
        check(TABLE, {"expectations": []}, tmp_path)
