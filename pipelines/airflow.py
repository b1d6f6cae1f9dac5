"""Airflow on this machine: API server, DAG processor and scheduler on loopback, until Ctrl-C."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import FrameType
from typing import Annotated

import psutil  # type: ignore[import-untyped,unused-ignore]
import typer

from synth.console import stage
from synth.errors import InputError, SynthError

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[1]
USER = "admin"
PATIENCE = 180  # seconds until all parts are well
PARTS = {
    "api-server": ["api-server"],
    "dag-processor": ["dag-processor"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
}


def main(
    home: Annotated[Path, typer.Option(help="Airflow's own folder: database, logs, password")] = ROOT / ".airflow",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one")] = 8080,
) -> None:
    """Migrate the database, import the pools, start the three parts and wait."""
    home = home.resolve()
    port = port or free_port()
    if not port_is_free(port):
        raise InputError(f"--port: {port} is taken on 127.0.0.1; choose another, or 0 for a free one")
    (home / "logs").mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    password = write_password(home / "password.json")
    environment = airflow_environment(home, port, password)
    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, _interrupt)
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        set_up(home, environment)
        for name, command in PARTS.items():
            children[name] = start(command, home / "logs" / f"{name}.log", environment)
        wait_until_healthy(f"http://127.0.0.1:{port}/api/v2/monitor/health", children, home)
        log.info("Airflow runs at http://127.0.0.1:%d", port)
        log.info("user %s, password in %s", USER, password)
        log.info("unpause the DAG synth to run it now and every day; Ctrl-C stops everything")
        watch(children, home)
    except KeyboardInterrupt:
        log.info("stopping")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave children behind
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop(list(children.values()))


def airflow_environment(home: Path, port: int, password: Path) -> dict[str, str]:
    """The children's environment; the caller's own is left as it is."""
    url = f"http://127.0.0.1:{port}"
    settings = {
        "API__BASE_URL": url,
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__WORKERS": "1",
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "4",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(password),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    airflow = {f"AIRFLOW__{key}": value for key, value in settings.items()}
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "AIRFLOW_HOME": str(home), "SYNTH_HOME": str(ROOT), "PATH": search, **airflow}


def write_password(path: Path) -> Path:
    """Make a random password for the one user, in a file that only its owner reads; keep one that is there."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({USER: secrets.token_urlsafe(16)}, file)
    path.chmod(0o600)
    return path


def set_up(home: Path, environment: dict[str, str]) -> None:
    """Bring the database up to date and import the pools; SynthError names the log where one fails."""
    for command in (["db", "migrate"], ["pools", "import", str(ROOT / "dags/pools.json")]):
        target = home / "logs" / "set-up.log"
        child = start(command, target, environment)
        try:
            if child.wait():
                raise SynthError(f"airflow {' '.join(command)} exited with {child.returncode}; see {target}")
        finally:
            stop([child])


def start(command: list[str], output: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one Airflow command in a session of its own, so that a Ctrl-C reaches it through `stop` alone."""
    with output.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_healthy(url: str, children: dict[str, subprocess.Popen[bytes]], home: Path) -> None:
    """Return when the API server, the DAG processor and the scheduler all say that they are well."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        check(children, home)
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
                health = json.load(answer)
            if all(
                (health[part] or {}).get("status") == "healthy"
                for part in ("metadatabase", "scheduler", "dag_processor")
            ):
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.5)
    raise SynthError(f"Airflow is not healthy after {PATIENCE} s; see {home / 'logs'}")


def watch(children: dict[str, subprocess.Popen[bytes]], home: Path) -> None:
    """Wait for ever; SynthError names a part that ends by itself."""
    while True:
        check(children, home)
        time.sleep(1)


def check(children: dict[str, subprocess.Popen[bytes]], home: Path) -> None:
    """SynthError where a part has ended."""
    for name, child in children.items():
        if child.poll() is not None:
            raise SynthError(f"airflow {name} exited with {child.returncode}; see {home / 'logs' / name}.log")


def stop(children: list[subprocess.Popen[bytes]], seconds: float = 15) -> None:
    """End the parts and all that they started (tasks have sessions of their own): SIGINT first, then SIGKILL."""
    running = [psutil.Process(child.pid) for child in children if child.poll() is None]
    started = [process for parent in running for process in parent.children(recursive=True)]
    for parent in running:
        parent.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(running + started, timeout=seconds)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)
    for child in children:
        child.wait()


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is Python's
    raise KeyboardInterrupt


if __name__ == "__main__":
    stage(main)
