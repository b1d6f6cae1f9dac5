"""The whole graph by `dvc repro` on a small dataset: what runs again, what survives a kill, what is refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import write_keys
from workspaces import Workspace

from synth.storage import read_json, remove, sha256

RUNS = ("people-small", "people-wide")


@pytest.fixture(scope="module")
def place(make_workspace) -> Workspace:
    """A workspace of this module's own."""
    return make_workspace()


def repro(place: Workspace, *arguments: str) -> tuple[int, str, list[str]]:
    """Exit code, output and stages that ran."""
    code, output = place.repro(*arguments)
    return code, output, re.findall(r"Running stage '([^']+)'", output)


@pytest.fixture(scope="module")
def released(place) -> str:
    """The output of the first `dvc repro`."""
    code, output, ran = repro(place)
    assert code == 0, output
    assert len(ran) == 15, ran
    return output


def edit(place: Workspace, old: str, new: str) -> None:
    """Change params.yaml."""
    file = place.root / "params.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_two_runs_are_released_with_everything_that_belongs_to_them(released, place):
    for run in RUNS:
        assert place.released_rows(run) == 180
        assert (place.root / "reports" / run / "report.html").is_file()
        assert {p.name for p in (place.root / "metrics" / run).iterdir()} == {
            "train.json",
            "sample.json",
            "evaluate.json",
            "lift.json",
        }
        place.python("synth.cli", "verify", f"release/{run}")


def test_a_run_is_signed_by_the_key_that_the_environment_names(released, place, tmp_path):
    write_keys(tmp_path, "key")
    command = place.command(f"release@{RUNS[0]}")
    command[command.index("--out") + 1] = str(tmp_path / "signed")
    place.python(*command, SYNTH_SIGNING_KEY=str(tmp_path / "key.pem"))
    place.python("synth.cli", "verify", str(tmp_path / "signed"), "--key", str(tmp_path / "key.pub"))


def test_nothing_runs_a_second_time(released, place):
    code, output, ran = repro(place)
    assert (code, ran) == (0, []), output
    assert "up to date" in output


def test_metrics_and_plots_are_declared(released, place):
    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(
            command, cwd=place.root, env=place.environment(), capture_output=True, text=True, check=True
        ).stdout

    shown = dvc("metrics", "show", "--json")
    assert "c2st_auc" in shown
    assert "rows_per_second" in shown
    assert Path(dvc("plots", "show", "--out", "dvc_plots").strip().removeprefix("file://")).is_file()


def test_a_run_that_changes_is_trained_again_and_no_other(released, place):
    edit(place, "{width: 24}", "{width: 20}")
    code, output, ran = repro(place, "--dry")
    assert code == 0, output
    assert "train@people-wide" in ran
    assert not [stage for stage in ran if "people-small" in stage or "prepare" in stage], ran
    edit(place, "{width: 20}", "{width: 24}")


def test_a_gate_that_is_not_met_refuses_and_leaves_no_release(released, place):
    before = {run: sha256(place.root / "build" / run / "model/model.safetensors") for run in RUNS}
    place.demand(0.0)
    code, output, ran = repro(place, "--keep-going")
    assert code != 0
    assert {stage.split("@")[0] for stage in ran} == {"report", "release"}
    assert "error: not released: quality.shape_error is" in output
    for run in RUNS:
        assert not (place.root / "release" / run).exists()
        assert not read_json(place.root / "build" / run / "verdict.json")["passed"]
        assert "quality.shape_error" in (place.root / "reports" / run / "report.html").read_text(encoding="utf-8")
        assert sha256(place.root / "build" / run / "model/model.safetensors") == before[run]
    place.demand(1.0)
    code, output, _ = repro(place)
    assert code == 0, output
    assert place.released_rows(RUNS[0]) == 180


@pytest.mark.parametrize("tenths", [1, 4])
def test_a_killed_training_goes_on_and_ends_in_the_same_bytes(released, place, tenths):
    """SIGKILL to all of a `dvc repro` (1), and to a stage that has saved checkpoints (4)."""
    longer = f"{{epochs: {40 + tenths}, patience: 50}}"  # a length of its own: DVC's run cache knows no other
    edit(place, "{epochs: 3}", longer)
    stage, build = "train@people-small", place.root / "build/people-small"
    model, log_file = build / "model/model.safetensors", place.root / "train.log"
    remove(build / "checkpoint")
    remove(build / "model")
    dvc = ["dvc", "repro", "--single-item", "--force", stage]
    command = dvc if tenths == 1 else [*place.command(stage), "--checkpoint-seconds", "0"]
    with log_file.open("w") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=place.root,
            env=place.environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 90
    while not re.search(rf"train people-small {tenths}\d%", log_file.read_text()) and child.poll() is None:
        assert time.monotonic() < deadline, log_file.read_text()
        time.sleep(0.005)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert not model.exists()
    code, output, ran = repro(place, "--single-item", stage)
    assert (code, ran) == (0, [stage]), output
    assert ("training resumes at step" in output) == (tenths == 4)
    assert not (tenths == 4 and re.search(r"train people-small [123]\d%", output))
    resumed = {file.name: sha256(file) for file in model.parent.iterdir()}
    remove(build / "checkpoint")
    code, output, _ = repro(place, "--single-item", "--force", stage)
    assert code == 0, output
    assert {file.name: sha256(file) for file in model.parent.iterdir()} == resumed
    edit(place, longer, "{epochs: 3}")


def test_a_half_written_output_is_not_taken_for_whole(released, place):
    """What a killed stage leaves has another name, and the next run makes the output again."""
    build = place.root / "build/people-small"
    (build / ".samples.0badf00d.partial").mkdir()
    (build / ".samples.0badf00d.partial/part-00000-of-00002.parquet").write_bytes(b"half")
    code, output, _ = repro(place, "--force", "--single-item", "sample@people-small")
    assert code == 0, output
    assert {p.name for p in (build / "samples").iterdir()} == {
        "part-00000-of-00002.parquet",
        "part-00001-of-00002.parquet",
    }


def test_two_stages_at_once_in_one_workspace_both_finish(released, place):
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--force", "--single-item", f"train@{run}"],
            cwd=place.root,
            env=place.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for run in RUNS
    ]
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    for run in RUNS:
        assert (place.root / "build" / run / "model/synthesizer.json").is_file()


def test_a_result_that_could_not_be_recorded_is_not_computed_twice(released, place):
    """The training ended and DVC's lock was busy: the next run takes the finished checkpoint."""
    edit(place, "{epochs: 3}", "{epochs: 30}")
    build = place.root / "build/people-small"
    stage = place.command("train@people-small")
    place.python(*stage)
    first = sha256(build / "model/model.safetensors")
    code, output, ran = repro(place, "--single-item", "train@people-small")
    assert (code, ran) == (0, ["train@people-small"]), output
    assert sha256(build / "model/model.safetensors") == first
    assert not re.search(r"train people-small [1-8]0%", output), "it was trained again"
    assert "cpu_seconds" not in read_json(place.root / "metrics/people-small/train.json")["fit"]
    edit(place, "{epochs: 30}", "{epochs: 3}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("target: rich", "target: poor", "target 'poor' is not a column"),
        ("lift: {rows", "lift: {row", "unknown key 'lift.row'"),
        ("{width: 16}", "{widht: 16}", "unknown key 'widht'"),
        ("quality.shape_error", "quality.shape", "gate: 'quality.shape' is not a figure"),
    ],
)
def test_a_mistake_in_params_is_one_line_and_leaves_the_outputs(released, place, old, new, message):
    stage = {"target": "prepare", "lift": "lift", "{width": "train", "quality": "report"}[re.split(r"[:.]", old)[0]]
    name = f"{stage}@{'people' if stage == 'prepare' else 'people-small'}"
    edit(place, old, new)
    command = place.command(name)
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=place.root,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    edit(place, new, old)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    code, output, ran = repro(place)
    assert (code, [s for s in ran if stage in s]) == (0, []), output
