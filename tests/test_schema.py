"""One JSON that says what a dataset is, and nothing else."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from synth.detection import detect
from synth.errors import FormatError, InputError
from synth.schema import Schema

TABLE = pa.table(
    {
        "n": pa.array([2**60 + 1, None, 7]),
        "c": pa.array(["ü", "", None]).dictionary_encode(),
        "d": pa.array(["9999-12-31", "1600-01-01", None]),
        "z": pa.array([1, 2, 3], pa.timestamp("s", "Asia/Tokyo")),
    },
    metadata={"note": "kept"},
)


@pytest.fixture
def schema() -> Schema:
    """The schema of a small table."""
    return detect(TABLE, target="c")


def test_a_file_gives_back_the_same_schema_and_bytes(schema, tmp_path):
    schema.save(tmp_path / "a.json")
    loaded = Schema.load(tmp_path / "a.json")
    assert loaded == schema
    assert loaded.arrow_schema.equals(TABLE.schema, check_metadata=True)
    loaded.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_columns_go_by_name(schema):
    assert schema.names == ["n", "c", "d", "z"]
    assert schema["d"].format == "%Y-%m-%d"
    assert schema["n"].maximum == str(2**60 + 1)
    assert schema["c"].nullable
    assert not schema["z"].nullable
    with pytest.raises(KeyError):
        schema["x"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "schema format 99 is unknown; this version reads 1"),
        ({"surprise": 1}, "not a schema: surprise: Extra inputs"),
        ({"rows": "many"}, "not a schema: rows: "),
        ({"columns": [{"name": "x", "kind": "colour", "dtype": "int64"}]}, "not a schema: columns.0.kind: "),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema, tmp_path, change, message):
    content = {**schema.model_dump(mode="json"), **change}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=message) as caught:
        Schema.load(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Schema.load(tmp_path / "none.json")
