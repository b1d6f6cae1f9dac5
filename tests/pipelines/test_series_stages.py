"""Series through every stage by `dvc repro`, and a table whose steps stand twice."""

from __future__ import annotations

import pyarrow.csv
import pytest
from walks import walks
from workspaces import Workspace

from synth.storage import read_json, read_parquet

PARAMS = """
seed: 0
datasets:
  walks:
    title: Walks
    target: kind
    series: {entity: [id], time: at}
    source: {path: walks.csv}
models:
  series_autoregressive: {epochs: 8, min_steps: 400, width: 32, layers: 1, column_width: 32}
runs:
  walks-series: {dataset: walks, model: series_autoregressive, device: cpu}
sample: {shards: 2}
lift: {rows: [100], seeds: 2}
gate:
  dynamics.memory_error: {max: 0.3}
  privacy.identical_excess: {max: 0.01}
"""


@pytest.fixture(scope="module")
def place(make_workspace) -> Workspace:
    """A workspace whose only dataset are 900 series."""
    found = make_workspace()
    (found.root / "data/walks").mkdir(parents=True)
    pyarrow.csv.write_csv(walks(900), found.root / "data/walks/walks.csv")
    (found.root / "params.yaml").write_text(PARAMS)
    return found


def test_series_are_released_and_steps_that_stand_twice_stop_at_prepare(place):
    code, output = place.repro()
    assert code == 0, output
    assert "Warning" not in output
    made = read_parquet(place.root / "release/walks-series/data").to_pandas()
    assert list(made) == ["id", "kind", "at", "value", "state", "count"]
    assert made["id"].nunique() == 540
    assert not made.duplicated(["id", "at"]).any()
    figures = read_json(place.root / "metrics/walks-series/evaluate.json")
    assert figures["dynamics"]["memory_error"] < 0.3
    page = (place.root / "reports/walks-series/report.html").read_text("utf-8")
    assert "Moving together" in page
    place.python("synth.cli", "verify", "release/walks-series")

    lines = (place.root / "data/walks/walks.csv").read_text().splitlines()
    (place.root / "data/walks/walks.csv").write_text("\n".join([*lines, lines[1]]) + "\n")
    code, output = place.repro()
    assert code != 0
    assert "stands twice of id 'W-0-00000'" in output
    assert "Traceback" not in output
