"""The launcher keeps its secrets, its ports and its children in order."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipelines import airflow
from synth.errors import InputError, SynthError

# a part whose task has a session of its own and whose parent ignores SIGINT, as a busy scheduler does
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
task = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(task.pid))
time.sleep(60)
"""


def test_the_password_is_its_owners_alone_and_stays(tmp_path):
    file = airflow.write_password(tmp_path / "password.json")
    first = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(first["admin"]) > 15
    file.chmod(0o644)
    assert json.loads(airflow.write_password(file).read_text()) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_settings_are_the_childrens_and_on_loopback(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__HOST", "0.0.0.0")
    before = dict(os.environ)
    made = airflow.airflow_environment(tmp_path, 1234, tmp_path / "password.json")
    assert dict(os.environ) == before
    assert made["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:1234/execution/"
    assert Path(made["SYNTH_HOME"], "dvc.yaml").is_file()


def test_a_taken_port_is_refused_before_anything_is_written(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(InputError, match=f"--port: {port} is taken"):
            airflow.main(tmp_path / "home", port)
    assert not (tmp_path / "home").exists()
    assert airflow.port_is_free(airflow.free_port())


def test_a_part_that_ends_is_named_with_its_log(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as child:
        child.wait()
        with pytest.raises(SynthError, match=r"airflow scheduler exited with 3; see .*logs/scheduler\.log"):
            airflow.check({"scheduler": child}, tmp_path)


def test_stop_ends_a_part_that_ignores_it_and_the_task_that_it_runs(tmp_path):
    note = tmp_path / "task"
    child = subprocess.Popen([sys.executable, "-c", STUBBORN, str(note)], start_new_session=True)
    try:
        while not (note.exists() and note.read_text()):
            assert child.poll() is None
            time.sleep(0.02)
        task = psutil.Process(int(note.read_text()))
        airflow.stop([child], seconds=0.5)
        assert child.poll() is not None
        assert not task.is_running() or task.status() == psutil.STATUS_ZOMBIE
    finally:
        child.kill()
        child.wait()
