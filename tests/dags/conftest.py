"""A copy of the repository with a small dataset and two runs, and an Airflow of its own that schedules it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
PARAMS = """
seed: 0
datasets:
  people: {title: People, target: rich, source: {path: people.csv}}
models:
  autoregressive: {epochs: 3}
runs:
  people-small: {dataset: people, model: autoregressive, config: {width: 16}, device: cpu}
  people-wide: {dataset: people, model: autoregressive, config: {width: 24}, device: cpu}
sample: {shards: 2}
lift: {rows: [100], seeds: 2}
gate:
  quality.shape_error: {max: BOUND}
"""


@dataclass(frozen=True)
class Workspace:
    """A work tree with its own Git, DVC and params.yaml, and Airflow's folder beside it."""

    root: Path
    home: Path

    def demand(self, bound: float) -> None:
        """Set the largest shape error that the gate lets pass."""
        (self.root / "params.yaml").write_text(PARAMS.replace("BOUND", str(bound)))

    def released_rows(self, run: str) -> int:
        """Rows of a release, by its Parquet footers; 0 where there is none."""
        return sum(pq.read_metadata(part).num_rows for part in (self.root / "release" / run).glob("data/*.parquet"))

    def environment(self) -> dict[str, str]:
        """Environment of everything that runs here: one thread each, no schedule, no settings of the caller."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "SYNTH_"))}
        threads = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**kept, **threads, "SYNTH_SCHEDULE": "none", "DVC_NO_ANALYTICS": "1", "PATH": path}

    def python(self, *arguments: str, **environment: str) -> None:
        """Run `python -m ...` here; its output is shown where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env={**self.environment(), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Server:
    """A running Airflow: `python -m pipelines.airflow` of a workspace, and a token for its API."""

    url: str
    token: str

    def call(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """The JSON answer of the REST API; a body makes it a POST."""
        return call(f"{self.url}/api/v2/{path}", body, method, {"Authorization": f"Bearer {self.token}"})

    def run(self, name: str, seconds: float) -> str:
        """Trigger the DAG, wait for its end and return its state."""
        self.call("dags/synth", {"is_paused": False}, "PATCH")
        self.call("dags/synth/dagRuns", {"dag_run_id": name, "logical_date": None})
        deadline = time.monotonic() + seconds
        while (state := self.call(f"dags/synth/dagRuns/{name}")["state"]) in ("queued", "running"):
            assert time.monotonic() < deadline, self.tasks(name)
            time.sleep(0.5)
        return str(state)

    def tasks(self, name: str) -> dict[str, dict[str, Any]]:
        """Task instances of a run, by task id."""
        found = self.call(f"dags/synth/dagRuns/{name}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def log(self, name: str, task: str, attempt: int = 1) -> str:
        """What a task instance logged."""
        return json.dumps(self.call(f"dags/synth/dagRuns/{name}/taskInstances/{task}/logs/{attempt}"))

    def events(self) -> list[dict[str, Any]]:
        """Asset events so far, in the order in which they came."""
        return list(self.call("assets/events?order_by=timestamp")["asset_events"])


def call(url: str, body: dict[str, Any] | None, method: str | None, headers: dict[str, str]) -> Any:
    """One request with and for JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {**headers, "Content-Type": "application/json", "Accept": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return json.load(answer)


def people(rows: int = 300) -> pd.DataFrame:
    """Rows with a target that can be learnt from the rest."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, rows)
    city = rng.choice(["Oslo", "Rome", "Lima"], rows)
    rich = age + 20 * (city == "Oslo") + rng.normal(0, 8, rows) > 55
    return pd.DataFrame(
        {"age": age, "city": city, "hours": rng.integers(0, 60, rows), "rich": np.where(rich, "y", "n")}
    )


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The files that Git tracks, or would, with other params, data and manifest."""
    place = Workspace(tmp_path_factory.mktemp("workspace"), tmp_path_factory.mktemp("airflow"))
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file() and name not in ("data.dvc", "dvc.lock"):
            (place.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place.root / name)
    (place.root / "data/people").mkdir(parents=True)
    people().to_csv(place.root / "data/people/people.csv", index=False)
    place.demand(1.0)
    subprocess.run(["git", "init", "--quiet"], cwd=place.root, check=True)
    place.python("pipelines.graph")
    return place


@pytest.fixture(scope="module")
def server(workspace: Workspace) -> Iterator[Server]:
    """The workspace's own Airflow on loopback; everything that it started is gone afterwards."""
    announced = workspace.home / "announced.txt"
    with announced.open("w") as output:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "pipelines.airflow", "--home", str(workspace.home), "--port", "0"],
            cwd=workspace.root,
            env=workspace.environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield connect(launcher, announced, workspace.home / "password.json")
    finally:
        end(launcher)


def connect(launcher: subprocess.Popen[bytes], announced: Path, password: Path) -> Server:
    """Wait for the address that the launcher prints, and log in."""
    deadline = time.monotonic() + 200
    while not (found := re.search(r"runs at (http://127\.0\.0\.1:\d+)", announced.read_text())):
        assert launcher.poll() is None, announced.read_text()
        assert time.monotonic() < deadline, announced.read_text()
        time.sleep(0.2)
    [(user, secret)] = json.loads(password.read_text()).items()
    token = call(f"{found[1]}/auth/token", {"username": user, "password": secret}, None, {})["access_token"]
    return Server(found[1], token)


def end(launcher: subprocess.Popen[bytes]) -> None:
    """SIGTERM, as a service manager would; then whatever is left by force, which is a failure."""
    started = psutil.Process(launcher.pid).children(recursive=True) if launcher.poll() is None else []
    launcher.send_signal(signal.SIGTERM)
    try:
        launcher.wait(timeout=40)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()
    left = [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        process.kill()
    assert left == []
