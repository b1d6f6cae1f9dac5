"""Text files, JSON lines, and which column of a table holds texts."""

from __future__ import annotations

import pyarrow as pa
import pytest
from corpora import labelled
from hypothesis import given
from hypothesis import strategies as st

from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.modality import modality
from synth.sources import read_table
from synth.texts import cut, free_text, parse_cut


def texts(table: pa.Table) -> list[str]:
    assert table.column_names == ["text"]
    return table.column("text").to_pylist()


def test_a_text_file_is_cut_into_paragraphs_or_lines():
    assert texts(cut("one\ntwo\n\nthree\r\n \r\nfour\n", "f", None)) == ["one\ntwo", "three", "four"]
    assert texts(cut("one\ntwo\nthree\n", "f", None)) == ["one", "two", "three"]
    assert texts(cut("one\ntwo\n\nthree\n", "f", "lines")) == ["one", "two", "three"]
    assert texts(cut("one\ntwo\n", "f", "paragraphs")) == ["one\ntwo"]
    for empty in ("", "\n \n\n"):
        with pytest.raises(InputError, match="f: no text in it"):
            cut(empty, "f", None)


@given(st.text(alphabet="ab \n", min_size=1, max_size=200), st.integers(1, 30))
def test_passages_are_the_file_in_parts_of_bounded_length(text, size):
    parts = texts(cut(text, "f", size))
    assert "".join(parts) == text
    assert all(0 < len(part) <= size for part in parts)


def test_passages_end_where_a_line_or_a_word_does():
    assert texts(cut("one two\nthree four five six", "f", 10)) == ["one two\n", "three ", "four five ", "six"]


def test_files_are_told_by_their_names(tmp_path):
    (tmp_path / "a.txt").write_text("To be, or not to be\nthat is the question, they say\n")
    assert texts(read_table(tmp_path / "a.txt")) == ["To be, or not to be", "that is the question, they say"]
    (tmp_path / "b.txt").write_text("x;y\n1;2\n3;4\n")
    assert read_table(tmp_path / "b.txt").column_names == ["x", "y"]
    assert texts(read_table(tmp_path / "b.txt", text="lines")) == ["x;y", "1;2", "3;4"]
    (tmp_path / "c.jsonl").write_text('{"text": "a b c", "label": 1}\n{"text": null, "label": 2}\n')
    assert read_table(tmp_path / "c.jsonl").to_pylist() == [{"text": "a b c", "label": 1}, {"text": None, "label": 2}]


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("a.txt", b"fine\n\xff\xfe broken", "byte 0xff in line 2 is not utf-8"),
        ("a.txt", b"", "the file is empty"),
        ("a.txt", b"\n\n \n", "no text in it"),
        ("a.txt", b"a\0b", "binary content"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ', "not JSON lines"),
        ("a.jsonl", b'{"a": 1, "a": 2}', "a"),
    ],
)
def test_what_is_no_text_is_told_by_name(tmp_path, name, raw, said):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match=said):
        read_table(tmp_path / name)


def test_one_line_of_ten_megabytes_is_one_text(tmp_path):
    (tmp_path / "a.txt").write_text("words and " * 1_000_000)
    assert [len(text) for text in texts(read_table(tmp_path / "a.txt"))] == [10_000_000]
    assert max(map(len, texts(read_table(tmp_path / "a.txt", text=1000)))) <= 1000


def test_how_a_file_is_cut_can_be_said():
    assert [parse_cut(said) for said in (None, "lines", "paragraphs", "500")] == [None, "lines", "paragraphs", 500]
    for wrong in ("0", "-1", "words", ""):
        with pytest.raises(ConfigError, match="--text: expected lines, paragraphs or a number of characters, found"):
            parse_cut(wrong)


def test_the_column_of_texts_is_found_among_others():
    rows = labelled(200)
    assert free_text(rows, None) == "text"
    assert free_text(rows.drop_columns(["animal"]), "text") is None
    assert free_text(rows.drop_columns(["text"]), None, labelled=True) is None
    assert free_text(rows.select(["weight"]), None) is None
    few = pa.table({"text": ["one of three words", "another of the words", "a third of words"] * 100})
    assert free_text(few, None) == "text"
    assert free_text(few, None, labelled=True) is None
    dates = pa.table({"when": [f"2024-01-0{i}" for i in range(1, 9)] * 10})
    assert free_text(dates, None) is None
    longer = rows.append_column(
        "note", pa.array([f"{text}, and so it goes on {i}" for i, text in enumerate(rows["text"].to_pylist())])
    )
    assert free_text(longer, None) == "note"


def test_what_rows_are_about_is_told_before_a_family_is_chosen():
    rows = labelled(200)
    assert modality(rows.select(["animal", "text"]), None) == "text"
    assert modality(rows.append_column("x", pa.array([float(i) for i in range(200)])), None) == "table"
    assert modality(rows.select(["animal", "weight"]), None) == "table"


def test_texts_are_learnt_as_such_where_that_is_asked_for():
    rows = labelled(200)
    assert detect(rows)["text"].kind in ("identifier", "category")
    found = detect(rows, texts=True)
    assert (found.modality, found["text"].kind, found["weight"].kind) == ("text", "text", "number")
    assert detect(rows, kinds={"text": "text"}).modality == "text"
    assert detect(rows, texts=True, kinds={"text": "identifier"})["text"].kind == "identifier"
    with pytest.raises(ConfigError, match="rules: they are kept in tables without pictures and texts only"):
        detect(rows, texts=True, rules=[{"kind": "bounds", "column": "weight", "minimum": -50}])
