"""The DAG parses fast, imports nothing heavy and says of each task what the manifest says.

Each check runs in a process of its own: importing Airflow writes its settings to AIRFLOW_HOME.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "dvc", "great_expectations", "pandas", "pyarrow", "sklearn", "synth", "pipelines"}

PARSE = """
import json, sys, time
from airflow.dag_processing.dagbag import DagBag
before = time.perf_counter()
bag = DagBag(dag_folder="dags", collect_dags=True)
seconds = time.perf_counter() - before
dag = bag.dags["synth"]
tasks = {
    task.task_id: {
        "upstream": sorted(task.upstream_task_ids), "pool": task.pool, "slots": task.pool_slots, "queue": task.queue,
        "retries": task.retries, "minutes": task.execution_timeout.total_seconds() / 60, "command": task.bash_command,
        "cwd": task.cwd, "env": task.env, "outlets": [[asset.name, asset.uri] for asset in task.outlets],
        "executor_config": task.executor_config,
    }
    for task in dag.tasks
}
print(json.dumps({
    "seconds": seconds, "errors": bag.import_errors, "dags": sorted(bag.dags), "tasks": tasks,
    "modules": sorted({name.split(".")[0] for name in sys.modules}), "catchup": dag.catchup,
    "runs": dag.max_active_runs, "schedule": getattr(dag.schedule, "cron", dag.schedule),
}))
"""

OPERATE = """
import json, sys
sys.path.insert(0, "dags")
import synth_pipeline
from airflow.sdk import Asset
class Event:
    extra = None
def outcome(folder, command):
    asset = Asset(name="synth/a", uri="synth://release/a")
    context = {"outlet_events": {asset: Event()}}
    operator = synth_pipeline.ReleaseOperator(
        task_id="release", asset=asset, folder=folder + "/release", verdict=folder + "/verdict.json",
        report="report.html", bash_command=command, skip_on_exit_code=None,
    )
    operator.get_env = lambda context: None
    try:
        operator.execute(context)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["done", context["outlet_events"][asset].extra]
print(json.dumps({folder: outcome(folder, command) for folder, command in json.loads(sys.argv[1]).items()}))
"""

KUBERNETES = """
import json, sys, types
class Made:
    def __init__(self, **fields): self.fields = fields
models = types.SimpleNamespace(
    **{name: type(name, (Made,), {}) for name in ("V1Pod", "V1PodSpec", "V1Container", "V1ResourceRequirements")})
sys.modules["kubernetes"] = types.ModuleType("kubernetes")
sys.modules["kubernetes.client"] = types.SimpleNamespace(models=models)
sys.path.insert(0, "dags")
import synth_pipeline
def plain(value):
    return {key: plain(item) for key, item in value.fields.items()} if isinstance(value, Made) else (
        [plain(item) for item in value] if isinstance(value, list) else value)
print(json.dumps([plain(synth_pipeline.gpu_request(gpus).get("pod_override")) for gpus in (0, 2)]))
"""


def run(script: str, home: Path, *arguments: str, **environment: str) -> Any:
    """The JSON on the last line that a script prints, run from the repository's root."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "SYNTH_"))}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**kept, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's folder for all processes of this file."""
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def parsed(home: Path) -> dict[str, Any]:
    """What Airflow's own DAG bag makes of dags/."""
    return run(PARSE, home)


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    """The committed manifest by task id."""
    return {stage["task_id"]: stage for stage in json.loads((ROOT / "dags/manifest.json").read_text())["stages"]}


def test_parses_in_under_a_second_and_without_anything_heavy(parsed):
    assert parsed["errors"] == {}
    assert parsed["dags"] == ["synth"]
    assert parsed["seconds"] < 1
    assert HEAVY.isdisjoint(parsed["modules"])


def test_one_task_per_stage_in_dvc_order(parsed, stages):
    assert {name: task["upstream"] for name, task in parsed["tasks"].items()} == {
        name: stage["upstream"] for name, stage in stages.items()
    }


def test_each_task_gets_what_its_stage_asks_for(parsed, stages):
    for name, task in parsed["tasks"].items():
        stage = stages[name]
        assert (task["pool"], task["slots"], task["queue"]) == (stage["pool"], stage["slots"], stage["queue"])
        assert (task["retries"], task["minutes"]) == (stage["retries"], stage["timeout_minutes"])
        assert task["command"].split() == stage["command"]
        assert task["cwd"] == str(ROOT)
        assert task["env"]["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
        assert task["env"]["DVC_NO_ANALYTICS"] == task["env"]["PYTHONUNBUFFERED"] == "1"
        assert task["executor_config"] == {}
        asset = stage["asset"]
        assert task["outlets"] == ([[f"synth/{asset}", f"synth://release/{asset}"]] if asset else [])


def test_runs_daily_one_at_a_time_without_catching_up(parsed):
    assert (parsed["schedule"], parsed["catchup"], parsed["runs"]) == ("@daily", False, 1)


def test_schedule_and_home_come_from_the_environment(home, tmp_path):
    parsed = run(PARSE, home, SYNTH_SCHEDULE="none", SYNTH_HOME=str(tmp_path))
    assert parsed["schedule"] is None
    assert {task["cwd"] for task in parsed["tasks"].values()} == {str(tmp_path)}


def test_only_a_refusal_is_final_and_only_a_release_is_an_event(home, tmp_path):
    passed, refused = {"passed": True, "reasons": []}, {"passed": False, "reasons": ["too far", "too near"]}
    for folder, verdict in {"refused": refused, "crashed": passed, "early": None, "done": passed}.items():
        (tmp_path / folder / "release").mkdir(parents=True)
        (tmp_path / folder / "release/provenance.json").write_text('{"rows": 12}')
        (tmp_path / folder / "release/SHA256SUMS").write_text("")
        if verdict is not None:
            (tmp_path / folder / "verdict.json").write_text(json.dumps(verdict))
    commands = {"refused": "exit 255", "crashed": "exit 255", "early": "exit 255", "done": "true"}
    outcomes = run(OPERATE, home, json.dumps(commands), SYNTH_HOME=str(tmp_path))
    gate = "gate refused refused/release: too far; too near; see report.html"
    assert outcomes["refused"] == ["AirflowFailException", gate]
    assert outcomes["crashed"][0] == outcomes["early"][0] == "AirflowException"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert outcomes["done"] == ["done", {"path": "done/release", "rows": 12, "sha256": empty}]


def test_under_kubernetes_a_gpu_stage_asks_for_its_accelerators(home):
    none, two = run(KUBERNETES, home, AIRFLOW__CORE__EXECUTOR="KubernetesExecutor")
    assert none is None
    assert two["spec"]["containers"] == [{"name": "base", "resources": {"limits": {"nvidia.com/gpu": "2"}}}]
