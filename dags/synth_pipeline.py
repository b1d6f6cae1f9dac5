"""The pipeline as an Airflow DAG: one task per stage of dvc.yaml, in DVC's own order.

Settings come from the environment: SYNTH_HOME is the repository (by default the folder above this one), and
SYNTH_SCHEDULE a cron expression or preset (by default @daily; `none` runs on demand only). A stage's pool, queue,
time limit, retries and GPU request stand in `meta.airflow` of dvc.yaml. Pools come from pools.json, which has to be
imported before the first run: a task whose pool is missing waits for ever.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))  # Airflow's daemons do so; a bare DagBag does not

from manifest import Manifest, Stage, read_manifest  # noqa: E402

HOME = Path(os.environ.get("SYNTH_HOME") or HERE.parent)
SCHEDULE = os.environ.get("SYNTH_SCHEDULE", "@daily")


class ReleaseOperator(BashOperator):
    """Release a dataset and emit it as an asset; a refusal by its gate fails at once, since a retry changes nothing."""

    def __init__(self, *, asset: Asset, folder: str, verdict: str | None, report: str | None, **kwargs: Any) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.asset = asset
        self.folder = folder
        self.verdict = verdict
        self.report = report

    def execute(self, context: Any) -> None:
        """Run the stage, then describe the release in the asset's event."""
        try:
            super().execute(context)
        except AirflowException:
            if reasons := self.refusal():
                raise AirflowFailException(f"gate refused {self.folder}: {reasons}; see {self.report}") from None
            raise
        context["outlet_events"][self.asset].extra = released(HOME / self.folder)

    def refusal(self) -> str:
        """Why the gate said no; empty where it did not (DVC's exit code does not tell)."""
        if self.verdict is None or not (HOME / self.verdict).is_file():
            return ""
        verdict = json.loads((HOME / self.verdict).read_text(encoding="utf-8"))
        return "" if verdict["passed"] else "; ".join(verdict["reasons"]) or "no reason given"


def released(folder: Path) -> dict[str, Any]:
    """What the asset's event says: where the release is, its rows, and the digest of its list of digests."""
    rows = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["rows"]
    sha256 = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    return {"path": folder.relative_to(HOME).as_posix(), "rows": rows, "sha256": sha256}


def gpu_request(gpus: int) -> dict[str, Any]:
    """The pod's GPU limit under the KubernetesExecutor; other executors are told by pool and queue alone."""
    if not gpus or "Kubernetes" not in conf.get("core", "executor"):
        return {}
    from kubernetes.client import models as k8s  # type: ignore[import-not-found,unused-ignore]

    limits = k8s.V1ResourceRequirements(limits={"nvidia.com/gpu": str(gpus)})
    return {"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", resources=limits)]))}


def operator(stage: Stage, graph: Manifest) -> BashOperator:
    """The task of one stage."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    settings: dict[str, Any] = {
        "task_id": stage.task_id,
        "task_display_name": stage.address,
        "doc": stage.desc,
        "bash_command": shlex.join(stage.command),
        "cwd": str(HOME),
        "env": {"PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", "PATH": search},
        "append_env": True,
        "skip_on_exit_code": None,
        "do_xcom_push": False,
        "pool": stage.pool,
        "pool_slots": stage.slots,
        "queue": stage.queue,
        "retries": stage.retries,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=stage.timeout_minutes),
        "executor_config": gpu_request(stage.gpus),
    }
    if stage.asset is None:
        return BashOperator(**settings)
    return ReleaseOperator(
        asset=Asset(name=f"synth/{stage.asset}", uri=f"synth://release/{stage.asset}"),
        folder=stage.outs[0],
        verdict=graph.find(stage, "verdict.json"),
        report=graph.find(stage, "report.html"),
        **settings,
    )


def draw(graph: Manifest) -> DAG:
    """The DAG of a manifest."""
    with DAG(
        graph.dag_id,
        description="From source data to released synthetic datasets",
        doc_md=__doc__,
        schedule=None if SCHEDULE.lower() in ("", "none") else SCHEDULE,
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags=["synthetic data"],
    ) as drawn:
        tasks: dict[str, BashOperator] = {}
        for stage in graph.stages:
            tasks[stage.task_id] = operator(stage, graph)
            tasks[stage.task_id].set_upstream([tasks[name] for name in stage.upstream])
    return drawn


dag = draw(read_manifest(HERE / "manifest.json"))
