"""Files as users have them: encodings, delimiters, broken lines, SQL."""

from __future__ import annotations

import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.errors import InputError
from synth.sources import open_table, read_table
from synth.stored import Stored


def write(tmp_path, content: bytes | str, name: str = "x.csv"):
    place = tmp_path / name
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


def test_types_are_the_narrowest_that_lose_nothing(tmp_path):
    place = write(
        tmp_path,
        "i,f,b,code,big,t,e\n1,2.50,true,0311,99999999999999999999,x,\n-2,,False,0005,1,,\n+3,1e3,TRUE,0100,2,z,\n",
    )
    table = read_table(place)
    assert [str(f.type) for f in table.schema] == ["int64", "double", "bool", "string", "string", "string", "null"]
    assert table.column("i").to_pylist() == [1, -2, 3]
    assert table.column("code").to_pylist() == ["0311", "0005", "0100"]
    assert table.column("big").to_pylist()[0] == "99999999999999999999"


def test_empty_text_and_null_are_told_apart(tmp_path):
    place = write(tmp_path, 'a,b\n"",1\n,2\né,3\n日本,4\n')
    assert read_table(place).column("a").to_pylist() == ["", None, "é", "日本"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_byte_order_marks_and_delimiters(tmp_path, encoding, delimiter):
    text = f"naïve{delimiter}b\nä{delimiter}1\n"
    table = read_table(write(tmp_path, text.encode(encoding)))
    assert table.to_pylist() == [{"naïve": "ä", "b": 1}]


def test_a_declared_encoding_is_used(tmp_path):
    place = write(tmp_path, "a\né\n".encode("latin-1"))
    assert read_table(place, encoding="latin-1").to_pylist() == [{"a": "é"}]
    with pytest.raises(InputError, match="encoding 'klingon' is unknown"):
        read_table(place, encoding="klingon")


def test_header_comment_and_strip_of_a_source_without_header(tmp_path):
    place = write(tmp_path, "|note\n1, a.\n2, b\n\n")
    table = read_table(place, columns=("n", "t"), comment="|", strip=" .")
    assert table.to_pylist() == [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x00\x01\x02abc", "binary content"),
        (b"a,b\n", "a header without rows"),
        (b"a,b\n1,2\n3\n4,5\n", "line 3 has 1 fields where 2 are expected"),
        (b'a,b\n\n1,2\n"x\ny",5\n3\n', "line 6 has 1 fields where 2 are expected"),
        (b"a,b\n1,2,3\n", "line 2 has 3 fields where 2 are expected"),
        (b"a,a\n1,2\n", "column 'a' stands twice"),
        (b"a,\n1,2\n", "column 2 has no name"),
        ("a,b\n1,2\né,3\n".encode("latin-1"), "byte 0xe9 in line 3 is not utf-8"),
        (b"PAR1broken", "broken Parquet"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_table(write(tmp_path, content))
    assert "x.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="without Parquet"):
        read_table(tmp_path)


def test_parquet_keeps_its_schema_also_through_fsspec_and_as_parts(tmp_path):
    table = pa.table({"a": pa.array([1, None], pa.int16()), "t": pa.array([0, 1], pa.timestamp("us", "UTC"))})
    pq.write_table(table, tmp_path / "p.parquet")
    assert read_table(tmp_path / "p.parquet").equals(table)
    assert read_table((tmp_path / "p.parquet").as_uri()).equals(table)
    assert read_table(tmp_path).equals(table)


def test_an_sql_table_keeps_integers_beside_nulls(tmp_path):
    place = tmp_path / "d.db"
    with sqlite3.connect(place) as connection:
        connection.execute("create table t (a integer, b text)")
        connection.execute("insert into t values (1, 'x'), (null, 'y')")
    table = read_table(f"sqlite:///{place}", table="t")
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]
    assert str(table.schema.field("a").type) == "int64"
    with pytest.raises(InputError, match="table 'u' cannot be read"):
        read_table(f"sqlite:///{place}", table="u")
    with pytest.raises(InputError, match="needs the name of a table"):
        read_table(f"sqlite:///{place}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@localhost:1/db",
        "postgres://me:hunter2@localhost:1/db",
        "postgresql://localhost:1/db?password=hunter2",
        "postgresql://me:hunter2@localhost:${PORT}/db",
        "nosuchscheme://me:hunter2@host/x.csv?sig=hunter2",
    ],
)
def test_a_secret_never_reaches_the_message(url):
    with pytest.raises(InputError) as caught:
        read_table(url, table="t")
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(f"sqlite:///{tmp_path}/typo.db", table="t")
    assert list(tmp_path.iterdir()) == []


def test_parts_with_different_columns_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": [1]}), tmp_path / "2.parquet")
    with pytest.raises(InputError, match="different columns"):
        read_table(tmp_path)


def test_parquet_on_this_machine_stays_in_its_files_and_all_else_is_read(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "x.data")
    assert isinstance(open_table(tmp_path / "x.data"), Stored)
    assert open_table(write(tmp_path, "a\n1\n")).equals(pa.table({"a": [1]}))
    pq.write_table(pa.table({"": [1]}), tmp_path / "part.parquet")
    with pytest.raises(InputError, match="column 1 has no name"):
        open_table(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        open_table(tmp_path / "none")
