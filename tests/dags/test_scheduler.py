"""A real scheduler, API server and DAG processor on loopback run the pipeline of two runs."""

from __future__ import annotations

import hashlib
import html
import json
import stat
import urllib.error
import urllib.request
from datetime import datetime
from itertools import combinations
from typing import Any

import pytest

pytestmark = pytest.mark.airflow
RUNS = ("people-small", "people-wide")
LIMIT = 300  # seconds for one run of the DAG on a busy machine


@pytest.fixture(scope="module")
def released(server, workspace) -> dict[str, Any]:
    """The DAG has run once with a gate that the data meet."""
    state = server.run("released", LIMIT)
    return {"state": state, "tasks": server.tasks("released"), "events": server.events()}


@pytest.fixture(scope="module")
def refused(released, server, workspace) -> dict[str, Any]:
    """The DAG has run again with a gate that no data meet."""
    workspace.demand(0.0)
    state = server.run("refused", LIMIT)
    return {"state": state, "tasks": server.tasks("refused"), "events": server.events()}


def times(task: dict[str, Any]) -> tuple[datetime, datetime]:
    """When a task instance began and ended."""
    return datetime.fromisoformat(task["start_date"]), datetime.fromisoformat(task["end_date"])


def test_the_triggered_dag_ends_in_two_released_datasets(released, server, workspace):
    failed = {
        name: server.log("released", name) for name, task in released["tasks"].items() if task["state"] == "failed"
    }
    assert released["state"] == "success", failed
    assert len(released["tasks"]) == 15
    for run in RUNS:
        assert workspace.released_rows(run) == 180
        assert (workspace.root / "reports" / run / "report.html").is_file()


def test_two_gpu_tasks_never_run_at_once(released):
    gpu = {name: times(task) for name, task in released["tasks"].items() if task["pool"] == "gpu"}
    assert set(gpu) == {f"{stage}.{run}" for stage in ("train", "sample") for run in RUNS}
    for (one, (start, end)), (other, (begin, stop)) in combinations(gpu.items(), 2):
        assert end <= begin or stop <= start, f"{one} and {other} overlap"


def test_other_tasks_do_run_at_once(released):
    spans = [times(task) for task in released["tasks"].values()]
    assert any(begin < end and start < stop for (start, end), (begin, stop) in combinations(spans, 2))


def test_each_release_is_an_asset_event_with_rows_and_digest(released, workspace):
    assert sorted(event["name"] for event in released["events"]) == [f"synth/{run}" for run in RUNS]
    for event in released["events"]:
        folder = workspace.root / "release" / event["name"].removeprefix("synth/")
        digest = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
        expected = {"path": f"release/{folder.name}", "rows": workspace.released_rows(folder.name), "sha256": digest}
        assert {key: event["extra"][key] for key in expected} == expected
        assert event["source_task_id"] == f"release.{folder.name}"


def test_tasks_that_ran_at_once_leave_dvc_nothing_to_do(released, workspace):
    workspace.python("dvc", "status", "--quiet")


def test_a_threshold_that_cannot_be_met_stops_the_dag_at_the_gate(refused, workspace):
    states = {name: task["state"] for name, task in refused["tasks"].items()}
    assert refused["state"] == "failed"
    assert {name for name, state in states.items() if state == "failed"} == {f"release.{run}" for run in RUNS}
    assert set(states.values()) == {"failed", "success"}
    assert len(refused["events"]) == 2
    for run in RUNS:
        assert not (workspace.root / "release" / run).exists()


def test_a_refusal_is_not_tried_again_and_says_why(refused, server, workspace):
    for run in RUNS:
        task = f"release.{run}"
        assert refused["tasks"][task]["try_number"] == 1
        verdict = json.loads((workspace.root / "build" / run / "verdict.json").read_text())
        assert "quality.shape_error" in verdict["reasons"][0]
        assert f"gate refused release/{run}" in server.log("refused", task)
        page = html.unescape((workspace.root / "reports" / run / "report.html").read_text(encoding="utf-8"))
        for reason in verdict["reasons"]:
            assert json.dumps(reason)[1:-1] in server.log("refused", task)
            assert reason in page


def test_only_the_user_gets_in_and_reads_the_password(server, workspace):
    assert stat.S_IMODE((workspace.home / "password.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(workspace.home.stat().st_mode) == 0o700
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{server.url}/api/v2/dags", timeout=30)
