"""`airflow dags test` runs the whole DAG in one process, without any daemon."""

from __future__ import annotations

import json
import shutil

import pytest

pytestmark = pytest.mark.airflow


def test_airflow_dags_test_runs_to_two_releases(workspace):
    workspace.demand(1.0)
    shutil.rmtree(workspace.root / "release", ignore_errors=True)
    folder = {"AIRFLOW_HOME": str(workspace.home), "AIRFLOW__CORE__DAGS_FOLDER": str(workspace.root / "dags")}
    workspace.python("airflow", "db", "migrate", **folder)
    workspace.python("airflow", "dags", "test", "synth", **folder)
    for run in ("people-small", "people-wide"):
        assert workspace.released_rows(run) == 180
        facts = json.loads((workspace.root / "release" / run / "provenance.json").read_text(encoding="utf-8"))
        assert facts["rows"] == 180
