"""A copy of the repository with a small dataset and two runs, and an Airflow of its own that schedules it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from workspaces import Workspace


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


@pytest.fixture(scope="session")
def workspace(make_workspace: Callable[[], Workspace]) -> Workspace:
    """A workspace that these tests share."""
    return make_workspace()


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
