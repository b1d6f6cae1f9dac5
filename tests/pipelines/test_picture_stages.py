"""A folder of pictures through every stage by `dvc repro`, and one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from digits import write
from workspaces import Workspace

from synth.codecs.image import described
from synth.storage import read_json, read_parquet

PARAMS = """
seed: 0
datasets:
  digits: {title: Digits, target: label, source: {path: digits}}
models:
  image_vae: {epochs: 60, patch: 1, widths: [16, 32], latents: 16, prior_width: 64, prior_blocks: 1}
runs:
  digits-vae: {dataset: digits, model: image_vae, device: cpu}
sample: {shards: 2}
lift: {rows: [100], seeds: 2}
gate:
  likeness.agreement: {min: 0.3}
"""


@pytest.fixture(scope="module")
def place(make_workspace) -> Workspace:
    """A workspace whose only dataset are 600 digits, a sub-folder for each."""
    found = make_workspace()
    write(found.root / "data/digits", range(600))
    (found.root / "params.yaml").write_text(PARAMS)
    return found


def test_a_folder_of_pictures_is_released_and_a_broken_one_stops_at_prepare(place):
    code, output = place.repro()
    assert code == 0, output
    assert "Warning" not in output
    made = read_parquet(place.root / "release/digits-vae/data")
    assert made.num_rows == 360
    assert made.column_names == ["image", "label"]
    found = described("image", made.column("image"))
    assert (found["width"], found["height"], found["mode"]) == (8, 8, "L")
    report = (place.root / "reports/digits-vae/report.html").read_text(encoding="utf-8")
    assert report.count('<img class="sheet"') == 2  # a sheet of drawn pictures, and walks
    figures = read_json(place.root / "metrics/digits-vae/evaluate.json")
    assert figures["likeness"]["agreement"] > 0.3
    place.python("synth.cli", "verify", "release/digits-vae")

    broken: Path = next((place.root / "data/digits/3").iterdir())
    broken.write_bytes(broken.read_bytes()[:60])
    code, output = place.repro()
    assert code != 0
    assert f"{broken.name}: " in output
    assert "Traceback" not in output
    place.python("synth.cli", "verify", "release/digits-vae")
