"""The committed manifest of DVC's graph as plain values; `python -m pipelines.graph` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml and what it asks of Airflow.

    address: DVC's name of it, such as `train@adult-autoregressive`
    command: what runs it, from the repository's root
    upstream: task ids that come first
    outs: files and folders that it writes, relative to the repository's root
    asset: name of the dataset that it releases, or None
    """

    address: str
    task_id: str
    desc: str
    command: tuple[str, ...]
    upstream: tuple[str, ...]
    outs: tuple[str, ...]
    pool: str
    slots: int
    queue: str
    gpus: int
    timeout_minutes: int
    retries: int
    asset: str | None


@dataclass(frozen=True)
class Manifest:
    """The whole graph; every stage stands after its upstream."""

    dag_id: str
    stages: tuple[Stage, ...]

    def find(self, stage: Stage, name: str) -> str | None:
        """Path of the file called `name` that a direct upstream of `stage` writes."""
        before = (other for other in self.stages if other.task_id in stage.upstream)
        return next((out for other in before for out in other.outs if Path(out).name == name), None)


def read_manifest(path: Path) -> Manifest:
    """Read dags/manifest.json."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Manifest(content["dag_id"], tuple(_stage(**item) for item in content["stages"]))


def _stage(command: list[str], upstream: list[str], outs: list[str], **others: Any) -> Stage:
    return Stage(command=tuple(command), upstream=tuple(upstream), outs=tuple(outs), **others)
