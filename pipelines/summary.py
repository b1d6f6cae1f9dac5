"""What the runs came to: verdict, report and release of each, and whether this machine gave the recorded bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from synth.config import load_params
from synth.console import stage
from synth.storage import read_json


def main() -> None:
    """Print one paragraph a run; the exit code is that of a wrong configuration alone."""
    for run in load_params().runs:
        verdict = read_json(Path("build", run, "verdict.json"))
        print(f"{run}: {'released' if verdict['passed'] else 'refused: ' + '; '.join(verdict['reasons'])}")
        print(f"  report   {Path('reports', run, 'report.html')}")
        print(f"  metrics  {Path('metrics', run)}")
        if verdict["passed"]:
            print(f"  release  {Path('release', run)}")
    for stage_name in other_bytes(recorded(), YAML(typ="safe").load(Path("dvc.lock"))):
        print(
            f"note: {stage_name} gave other bytes than dvc.lock recorded for the same inputs (another processor or "
            "library); its figures may differ a little from the committed ones"
        )


def recorded() -> dict[str, Any]:
    """The dvc.lock of the last commit; empty where there is none."""
    shown = subprocess.run(["git", "show", "HEAD:dvc.lock"], capture_output=True, text=True, check=False)
    return dict(YAML(typ="safe").load(shown.stdout) or {}) if shown.returncode == 0 else {}


def other_bytes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the train stages with the same dependencies and parameters in both locks and another model."""
    was, now = before.get("stages", {}), after.get("stages", {})
    return [
        name
        for name in now
        if name.startswith("train@")
        and name in was
        and _inputs(was[name]) == _inputs(now[name])
        and _model(was[name]) != _model(now[name])
    ]


def _inputs(entry: dict[str, Any]) -> tuple[Any, Any]:
    return sorted((dep["path"], dep["md5"]) for dep in entry.get("deps", [])), entry.get("params")


def _model(entry: dict[str, Any]) -> list[str]:
    return [out["md5"] for out in entry["outs"] if out["path"].endswith("/model")]


if __name__ == "__main__":
    stage(main)
