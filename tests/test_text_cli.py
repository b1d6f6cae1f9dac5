"""Texts by the command: JSON lines or a text file in, Parquet and a report with excerpts out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
from commands import synth
from corpora import grammatical, labelled

from synth.config import load_params
from synth.storage import read_parquet, write_parquet

SMALL = [part for key in ("width=64", "layers=2", "page=64", "tokens=characters") for part in ("--set", key)]


def write(place: Path, table: pa.Table) -> None:
    place.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """`train.jsonl`, `test.jsonl`, and a model of the first."""
    place = tmp_path_factory.mktemp("texts")
    write(place / "train.jsonl", labelled(1200))
    write(place / "test.jsonl", labelled(600, 1))
    fit = ("fit", "train.jsonl", "--model", "transformer", "--target", "animal", "--out", "model")
    done = synth(*fit, *SMALL, "--set", "epochs=12", "--set", "min_steps=600", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "model: transformer, 1200 rows, 12 epochs" in done.stdout
    return place


def test_texts_are_drawn_validated_and_measured(desk):
    done = synth("sample", "model", "--rows", 600, "--out", "made", "--shards", 2, cwd=desk)
    assert done.returncode == 0, done.stderr
    made = read_parquet(desk / "made")
    assert sum(map(grammatical, made.column("text").to_pylist())) > 450
    done = synth("validate", "made", "--model", "model", "--train", "train.jsonl", cwd=desk)
    assert done.returncode == 0, done.stderr + done.stdout
    real = ("--train", "train.jsonl", "--test", "test.jsonl", "--target", "animal")
    done = synth("evaluate", "made", *real, "--out", "figures", cwd=desk)
    assert done.returncode == 0, done.stderr
    figures = json.loads((desk / "figures/metrics.json").read_text())
    assert figures["writing"]["word_error"]["value"] < 0.15
    assert figures["writing"]["longest_match"]["value"] < 1.3
    assert figures["quality"]["tstr"]["value"] > 0.95
    page = (desk / "figures/report.html").read_text(encoding="utf-8")
    assert page.count('<div class="card text">') == 12
    assert "Longest copied passage" in page


def test_copied_texts_are_refused(desk):
    rows = labelled(1200)
    long = [f"{text}, which nobody else has ever heard it say, at least not here" for text in rows["text"].to_pylist()]
    rows = rows.set_column(1, "text", pa.array(long))
    write(desk / "long.jsonl", rows)
    fit = ("fit", "long.jsonl", "--model", "transformer", "--out", "long")
    done = synth(*fit, *SMALL, "--set", "epochs=1", "--set", "min_steps=0", cwd=desk)
    assert done.returncode == 0, done.stderr
    write_parquet(desk / "copies.parquet", rows)
    done = synth("validate", "copies.parquet", "--model", "long", "--train", "long.jsonl", cwd=desk)
    assert done.returncode == 1
    assert "'text': column values to not be in set" in done.stderr + done.stdout


def test_beginnings_and_labels_can_be_asked_for(desk):
    where = ("--where", "animal=dog", "--where", "text=the dog says whine*")
    done = synth("sample", "model", "--rows", 20, *where, "--out", "dogs.parquet", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert all(
        text.startswith("the dog says whine") for text in read_parquet(desk / "dogs.parquet")["text"].to_pylist()
    )
    done = synth("sample", "model", "--rows", 2, "--where", "text=whine", "--out", "no.parquet", cwd=desk)
    assert done.returncode == 2
    assert "of which a beginning can be asked for, such as 'Once*'" in done.stderr


def test_a_text_file_needs_no_more_than_its_name(desk, tmp_path):
    words = "\n\n".join(f"It was the {i}th of many days.\nNothing else came." for i in range(200))
    (tmp_path / "book.txt").write_text(words)
    done = synth("fit", "book.txt", "--out", "model", *SMALL, "--set", "epochs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "model: transformer, 200 rows, 1 epochs" in done.stdout
    done = synth("fit", "book.txt", "--text", "lines", "--out", "model", *SMALL, "--set", "epochs=1", cwd=tmp_path)
    assert "model: transformer, 400 rows, 1 epochs" in done.stdout
    done = synth("fit", "book.txt", "--text", "words", "--out", "model", cwd=tmp_path)
    assert done.returncode == 2
    assert "--text: expected lines, paragraphs or a number of characters, found 'words'" in done.stderr
    done = synth("init", "book.txt", "--text", "300", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    params = load_params(tmp_path / "params.yaml")
    assert params.run("book-transformer").model == "transformer"
    assert params.dataset("book").source.text == 300
    assert params.dataset("book").kinds == {"text": "text"}


def test_tables_beside_which_a_text_stands_stay_tables_where_none_asks_for_it(tmp_path):
    rows = labelled(200).append_column("x", pa.array([i / 7 for i in range(200)]))
    write(tmp_path / "rows.jsonl", rows)
    done = synth("init", "rows.jsonl", cwd=tmp_path)
    assert "rows-autoregressive" in done.stdout
    done = synth("init", "rows.jsonl", "--name", "texts", "--model", "transformer", cwd=tmp_path)
    assert "texts-transformer" in done.stdout
    assert load_params(tmp_path / "params.yaml").dataset("texts").kinds == {"text": "text"}


def test_gaps_are_filled(tmp_path):
    write(tmp_path / "train.jsonl", labelled(600))
    small = [part for key in ("width=64", "layers=2", "page=64", "epochs=2") for part in ("--set", key)]
    fit = ("fit", "train.jsonl", "--model", "bert", "--target", "animal", "--out", "model")
    assert synth(*fit, *small, cwd=tmp_path).returncode == 0
    write(tmp_path / "gaps.jsonl", pa.table({"animal": ["cat"], "text": ["the [MASK] says meow"], "weight": [4]}))
    fill = ("transform", "gaps.jsonl", "--model", "model", "--out", "filled.parquet")
    done = synth(*fill, "--how", "infill", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch("the .+ says meow", read_parquet(tmp_path / "filled.parquet")["text"][0].as_py())
    done = synth(*fill, "--how", "dream", cwd=tmp_path)
    assert done.returncode == 2
    assert "bert" in done.stderr
    assert synth("sample", "model", "--rows", 3, "--out", "made", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "made").exists()
