"""croissant.json: what it says, and that the library of MLCommons reads the rows by it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from releases import INFO, people_with_mail, put_out

from synth.card import CardInfo
from synth.croissant import croissant
from synth.detection import detect
from synth.frames import from_pandas
from synth.storage import write_parquet

ROWS = 60
ODD = "name / with #odd %signs?"


def table() -> pa.Table:
    """A table with a column of every type."""
    columns = {
        ODD: pa.array([dt.date(2020, 1, 1), dt.date(2021, 2, 3)] * 30),
        "": pa.array([1.5, 2.5] * 30),
        "list": pa.array([[1, 2], [3]] * 30),
        "lasted": pa.array([dt.timedelta(days=1)] * ROWS),
        "at": pa.array([dt.time(1, 2, 3)] * ROWS),
        "price": pa.array([Decimal("1.50")] * ROWS),
        "pair": pa.array([{"a": 1}] * ROWS),
        "nothing": pa.nulls(ROWS),
        "kind": pa.array(["a", "b"] * 30).dictionary_encode(),
        "zoned": pa.array([dt.datetime(2020, 1, 1)] * ROWS, pa.timestamp("us", tz="Europe/Berlin")),  # noqa: DTZ001
        "raw": pa.array([b"x"] * ROWS),
        "yes": pa.array([True, None] * 30),
    }
    rows = from_pandas(people_with_mail(ROWS))
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    return rows


@pytest.fixture
def released(tmp_path) -> Path:
    """A release of that table."""
    write_parquet(tmp_path / "rows.parquet", table())
    return put_out(tmp_path / "people", tmp_path / "rows.parquet", detect(table(), target="churned"))


@pytest.mark.filterwarnings("error", "ignore::DeprecationWarning", "ignore::pandas.errors.Pandas4Warning")
def test_the_library_reads_it_without_a_word(released, caplog):
    library = pytest.importorskip("mlcroissant")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        dataset = library.Dataset(released / "croissant.json")
        records = list(dataset.records(record_set="rows"))
    assert dataset.metadata.ctx.issues.report() == ""
    assert caplog.messages == []
    expected = table().to_pandas()
    assert [record["rows/age"] for record in records] == expected["age"].tolist()
    assert [record["rows/mail"].decode() for record in records] == expected["mail"].tolist()
    first = records[0]
    assert first["rows/list"] == [1, 2]
    assert first["rows/price"] == 1.5
    assert first["rows/at"] == dt.time(1, 2, 3)
    assert first["rows/zoned"] == expected["zoned"][0]
    assert [key for key in first if "odd" in key] == ["rows/name%20%2F%20with%20%23odd%20%25signs%3F"]


@pytest.mark.filterwarnings("error", "ignore::DeprecationWarning")
def test_a_source_of_which_little_is_said_makes_valid_metadata_too(tmp_path, caplog):
    library = pytest.importorskip("mlcroissant")
    write_parquet(tmp_path / "rows.parquet", table())
    out = put_out(
        tmp_path / "x",
        tmp_path / "rows.parquet",
        detect(table()),
        card_info=CardInfo("x", "\n---\n*X* \x07"),
        provenance={},
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        dataset = library.Dataset(out / "croissant.json")
    assert dataset.metadata.ctx.issues.report() == ""
    assert caplog.messages == []


def test_the_library_finds_a_changed_type(released):
    library = pytest.importorskip("mlcroissant")
    place = released / "croissant.json"
    place.write_text(place.read_text().replace('"dataType": "sc:Integer"', '"dataTyp": "sc:Integer"'))
    with pytest.raises(library.ValidationError):
        library.Dataset(place)


def test_it_is_written_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlcroissant", None)
    write_parquet(tmp_path / "rows.parquet", table())
    assert (put_out(tmp_path / "x", tmp_path / "rows.parquet", detect(table())) / "croissant.json").is_file()


def test_it_identifies_every_file_and_the_source(released):
    content = json.loads((released / "croissant.json").read_text())
    listed = {entry["contentUrl"]: entry for entry in content["distribution"] if "contentUrl" in entry}
    files = {file.relative_to(released).as_posix() for file in released.rglob("*") if file.is_file()}
    assert listed.keys() == files - {"croissant.json", "SHA256SUMS"}
    for name, entry in listed.items():
        raw = (released / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(raw).hexdigest()
        assert entry["contentSize"] == f"{len(raw)} B"
    assert content["isBasedOn"]["identifier"] == [f"people.csv sha256:{'ab' * 32}"]
    assert content["isBasedOn"]["citation"] == content["citeAs"].split(", from: ")[1] == INFO.citation
    assert content["license"] == "CC-BY-4.0"
    assert content["datePublished"] == json.loads((released / "provenance.json").read_text())["released"]


def test_the_date_is_that_of_the_build_where_it_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    write_parquet(tmp_path / "rows.parquet", table())
    out = put_out(tmp_path / "x", tmp_path / "rows.parquet", detect(table()))
    assert json.loads((out / "croissant.json").read_text())["datePublished"] == "1970-01-02"


def test_it_says_what_became_of_personal_data():
    rows = from_pandas(people_with_mail(1000))
    schema = detect(rows, target="churned")
    files = {"data/part-00000-of-00001.parquet": ("cd" * 32, 7)}
    content = croissant(INFO, schema, 5, files, {"model": "flow", "exposed": "rows of the source come out"})
    assert content["rai:dataCollection"].endswith("(flow) fitted on 1,000 rows.")
    assert content["rai:personalSensitiveInformation"][0] == "Not private: rows of the source come out."
    assert "(id, mail) are made up" in content["rai:personalSensitiveInformation"][1]
    assert "fewer than 5 training rows" in content["rai:dataPreprocessingProtocol"][0]
    assert content["version"] == "1.0.0+" + "cd" * 6
    described = {field["name"]: field["description"] for field in content["recordSet"][0]["field"]}
    assert described["mail"] == "personal (email), made up"
    assert described["churned"].endswith(", target")
