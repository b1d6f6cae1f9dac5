"""A file of labelled texts through every stage by `dvc repro`, and one that is no text."""

from __future__ import annotations

import json

import pytest
from corpora import grammatical, labelled
from workspaces import Workspace

from synth.storage import read_json, read_parquet

PARAMS = """
seed: 0
datasets:
  animals: {title: Animals, target: animal, kinds: {text: text}, source: {path: animals.jsonl}}
models:
  transformer: {epochs: 12, min_steps: 600, width: 64, layers: 2, page: 64, tokens: characters}
runs:
  animals-transformer: {dataset: animals, model: transformer, device: cpu}
sample: {shards: 2}
lift: {rows: [100], seeds: 2}
gate:
  writing.word_error: {max: 0.3}
  writing.longest_match: {max: 1.5}
"""


@pytest.fixture(scope="module")
def place(make_workspace) -> Workspace:
    """A workspace whose only dataset are 1,500 texts."""
    found = make_workspace()
    (found.root / "data/animals").mkdir(parents=True)
    lines = "".join(json.dumps(row) + "\n" for row in labelled(1500).to_pylist())
    (found.root / "data/animals/animals.jsonl").write_text(lines)
    (found.root / "params.yaml").write_text(PARAMS)
    return found


def test_texts_are_released_and_what_is_no_text_stops_at_prepare(place):
    code, output = place.repro()
    assert code == 0, output
    assert "Warning" not in output
    made = read_parquet(place.root / "release/animals-transformer/data")
    assert made.column_names == ["animal", "text", "weight"]
    assert made.num_rows == 900
    assert sum(map(grammatical, made.column("text").to_pylist())) > 600
    figures = read_json(place.root / "metrics/animals-transformer/evaluate.json")
    assert figures["writing"]["longest_match"] < 1.5
    assert '<div class="card text">' in (place.root / "reports/animals-transformer/report.html").read_text("utf-8")
    place.python("synth.cli", "verify", "release/animals-transformer")

    (place.root / "data/animals/animals.jsonl").write_bytes(b'{"text": "fine"}\n{"text": "\xff"}\n')
    code, output = place.repro()
    assert code != 0
    assert "byte 0xff in line 2 is not utf-8" in output
    assert "Traceback" not in output
