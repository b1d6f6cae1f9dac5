"""Draw DVC's own graph of stages into dags/manifest.json, which is all that Airflow reads of it."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field, ValidationError

from synth.config import Strict, first_problem
from synth.console import stage
from synth.errors import ConfigError
from synth.storage import write_json

log = logging.getLogger(__name__)
DAG_ID = "synth"
MANIFEST = Path("dags/manifest.json")


class Needs(Strict):
    """What a stage asks of Airflow: `meta.airflow` in dvc.yaml.

    pool, slots: Airflow pool, and how many of its slots one task takes
    queue: Celery or Kubernetes queue; LocalExecutor has none and ignores it
    gpus: accelerators that the task's pod asks for under Kubernetes
    timeout_minutes: wall time after which the task is stopped
    retries: further attempts after a failure that is no refusal
    asset: name of the released dataset that the stage emits
    """

    pool: str = "default_pool"
    slots: int = Field(1, ge=1)
    queue: str = "default"
    gpus: int = Field(0, ge=0)
    timeout_minutes: int = Field(60, ge=1)
    retries: int = Field(2, ge=0)
    asset: str | None = None


def main(
    root: Annotated[Path, typer.Option(help="Folder with dvc.yaml")] = Path(),
    out: Annotated[Path, typer.Option(help="Where to write the manifest")] = MANIFEST,
) -> None:
    """Write the manifest of the graph that dvc.yaml and params.yaml declare."""
    drawn = manifest(root)
    write_json(out, drawn)
    log.info("%s: %d stages", out, len(drawn["stages"]))


def manifest(root: Path) -> dict[str, Any]:
    """The stages in an order in which they can run, as JSON-able values with paths relative to `root`.

    Source data (`data.dvc`) have no command and so no task. ConfigError names a stage whose `meta.airflow` is
    wrong, and what DVC says of a graph that it cannot read.
    """
    import networkx as nx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(root) as repo:
            graph = repo.index.graph.reverse()
            order = nx.lexicographical_topological_sort(graph, key=address)
            stages = [entry(item, graph.predecessors(item), repo.root_dir) for item in order if item.cmd]
    except DvcException as error:
        raise ConfigError(f"{root / 'dvc.yaml'}: {str(error).splitlines()[0]}") from None
    return {"dag_id": DAG_ID, "stages": stages}


def entry(item: Any, upstream: Any, root: str) -> dict[str, Any]:
    """One stage as Airflow needs it. `item` and `upstream` are DVC's stages."""
    name = address(item)
    try:
        needs = Needs.model_validate((item.meta or {}).get("airflow", {}))
    except ValidationError as error:
        raise ConfigError(f"dvc.yaml: stage {name}: meta.airflow: {first_problem(error)}") from None
    return {
        "address": name,
        "task_id": task_id(name),
        "desc": item.desc or "",
        "command": ["dvc", "--wait-for-lock", "repro", "--single-item", name],
        "upstream": sorted(task_id(address(other)) for other in upstream if other.cmd),
        "outs": [Path(os.path.relpath(out.fs_path, root)).as_posix() for out in item.outs],
        **needs.model_dump(),
    }


def address(item: Any) -> str:
    """DVC's name of a stage as seen from the repository's root (its `addressing` is seen from where we stand)."""
    place = Path(item.path_in_repo).as_posix()
    name = getattr(item, "name", None)
    return place if name is None else name if place == "dvc.yaml" else f"{place}:{name}"


def task_id(name: str) -> str:
    """`train@adult-autoregressive` as Airflow allows it: `train.adult-autoregressive`."""
    return re.sub(r"[^A-Za-z0-9_-]+", ".", name)


if __name__ == "__main__":
    stage(main)
