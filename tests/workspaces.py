"""A copy of the repository with a small dataset and two runs, for tests that run the pipeline for real."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from dvc.repo import Repo

ROOT = Path(__file__).resolve().parents[1]
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

    def command(self, stage: str) -> list[str]:
        """What follows `python -m` in the command of a stage."""
        with Repo(str(self.root)) as repo:
            found = next(entry.cmd for entry in repo.index.stages if getattr(entry, "name", None) == stage)
        return shlex.split(found)[2:]

    def repro(self, *arguments: str) -> tuple[int, str]:
        """Run `dvc repro` here: exit code and output."""
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "repro", *arguments],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

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


def people(rows: int = 300) -> pd.DataFrame:
    """Rows with a target that can be learnt from the rest."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, rows)
    city = rng.choice(["Oslo", "Rome", "Lima"], rows)
    rich = age + 20 * (city == "Oslo") + rng.normal(0, 8, rows) > 55
    return pd.DataFrame(
        {"age": age, "city": city, "hours": rng.integers(0, 60, rows), "rich": np.where(rich, "y", "n")}
    )


def make(root: Path, home: Path) -> Workspace:
    """The files that Git tracks, or would, with other params, data and manifest, under `root`."""
    place = Workspace(root, home)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        left_out = name in ("data.dvc", "dvc.lock") or name.startswith("metrics/")
        if name and (ROOT / name).is_file() and not left_out:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / "data/people").mkdir(parents=True)
    people().to_csv(root / "data/people/people.csv", index=False)
    place.demand(1.0)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    place.python("pipelines.graph")
    return place
