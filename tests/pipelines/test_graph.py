"""The manifest is drawn from DVC's own graph, whatever shape dvc.yaml gives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dvc.repo import Repo

from pipelines.graph import main, manifest
from synth.errors import ConfigError

STAGES = """
stages:
  cook:
    matrix: {dish: [soup, stew]}
    cmd: cp data/salt ${item.dish}
    deps: [data/salt]
    outs: ["${item.dish}"]
    meta: {airflow: {pool: gpu, slots: 2, gpus: 1, timeout_minutes: 5}}
  serve:
    desc: Bring it to the table
    cmd: cat soup stew > table
    deps: [soup, stew]
    outs: [table]
    meta: {airflow: {asset: dinner}}
"""


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    """A DVC repository with tracked data, a matrix and a stage after it."""
    Repo.init(str(tmp_path), no_scm=True).close()
    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/salt").write_text("salt")
    (tmp_path / "data.dvc").write_text("outs: [{path: data}]\n")
    return tmp_path


def test_stages_come_after_their_upstream_and_data_are_no_task(kitchen):
    stages = manifest(kitchen)["stages"]
    assert [entry["address"] for entry in stages] == ["cook@soup", "cook@stew", "serve"]
    assert [entry["upstream"] for entry in stages] == [[], [], ["cook.soup", "cook.stew"]]
    assert stages[0]["command"] == ["dvc", "--wait-for-lock", "repro", "--single-item", "cook@soup"]
    assert stages[0]["outs"] == ["soup"]


def test_meta_is_read_and_the_rest_has_defaults(kitchen):
    soup, _, serve = manifest(kitchen)["stages"]
    assert {key: soup[key] for key in ("pool", "slots", "gpus", "timeout_minutes", "asset")} == {
        "pool": "gpu",
        "slots": 2,
        "gpus": 1,
        "timeout_minutes": 5,
        "asset": None,
    }
    assert (serve["pool"], serve["slots"], serve["queue"], serve["retries"]) == ("default_pool", 1, "default", 2)
    assert (serve["asset"], serve["desc"]) == ("dinner", "Bring it to the table")


def test_the_file_is_the_same_every_time_and_names_no_machine(kitchen):
    main(kitchen, kitchen / "a.json")
    main(kitchen, kitchen / "b.json")
    assert (kitchen / "a.json").read_bytes() == (kitchen / "b.json").read_bytes()
    assert str(kitchen) not in (kitchen / "a.json").read_text()
    assert json.loads((kitchen / "a.json").read_text())["dag_id"] == "synth"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("slots: 2", "slot: 2", "stage cook@soup: meta.airflow: unknown key 'slot'"),
        ("slots: 2", "slots: 0", "stage cook@soup: meta.airflow: slots: "),
        ("deps: [soup, stew]", "deps: [soup, table]", "dvc.yaml: "),
        ("outs: [table]", "outz: [table]", "dvc.yaml: "),
    ],
)
def test_a_wrong_graph_is_refused_by_name(kitchen, old, new, message):
    (kitchen / "dvc.yaml").write_text(STAGES.replace(old, new))
    with pytest.raises(ConfigError, match=r"^[^\n]*$") as caught:
        manifest(kitchen)
    assert message in str(caught.value)


def test_a_folder_without_dvc_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"dvc\.yaml: "):
        manifest(tmp_path)
