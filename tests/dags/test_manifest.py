"""What Airflow reads is what DVC runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipelines.graph import manifest

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "dags/manifest.json"


def test_the_committed_manifest_is_the_graph_of_dvc():
    written = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert written == manifest(ROOT), "dvc.yaml or params.yaml has changed: run `python -m pipelines.graph`"


def test_the_reader_gives_back_every_value(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "dags"))
    sys.modules.pop("manifest", None)
    from manifest import read_manifest

    read = read_manifest(COMMITTED)
    written = json.loads(COMMITTED.read_text(encoding="utf-8"))["stages"]
    assert [json.loads(json.dumps(vars(stage))) for stage in read.stages] == written
    release = next(stage for stage in read.stages if stage.asset)
    assert read.find(release, "verdict.json") == f"build/{release.asset}/verdict.json"
    assert read.find(release, "nothing.json") is None


def test_every_pool_is_made_and_has_room_for_each_task():
    pools = json.loads((ROOT / "dags/pools.json").read_text(encoding="utf-8"))
    stages = json.loads(COMMITTED.read_text(encoding="utf-8"))["stages"]
    assert pools["gpu"]["slots"] == 1
    for stage in stages:
        if stage["pool"] != "default_pool":
            assert stage["pool"] in pools, f"{stage['address']}: pool {stage['pool']!r} is not in dags/pools.json"
            assert stage["slots"] <= pools[stage["pool"]]["slots"]


def test_accelerators_are_asked_for_in_the_pool_that_counts_them():
    for stage in json.loads(COMMITTED.read_text(encoding="utf-8"))["stages"]:
        assert (stage["gpus"] > 0) == (stage["pool"] == "gpu"), stage["address"]
