"""lift: what the synthetic rows are worth to a classifier that is scored on real test rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from synth.config import load_params
from synth.console import PathOption, stage
from synth.evaluation.lift import lift
from synth.evaluation.tables import load_tables
from synth.storage import replacing, write_json


def main(
    run: str,  # noqa: ARG001 - every stage is called by its run
    prepared: PathOption,
    samples: PathOption,
    out: PathOption,
    plot: PathOption,
    metrics: PathOption,
) -> None:
    """Write the lift with its intervals and baselines, its curve as CSV, and the bare figures for `dvc metrics`."""
    params = load_params()
    result = lift(load_tables(prepared, samples), **params.lift.model_dump(), seed=params.seed)
    write_json(out, result)
    with replacing(plot) as temporary:
        curve = pd.DataFrame(result.get("curve", []), columns=["rows", "strategy", "lift", "low", "high"])
        curve.to_csv(temporary, index=False)
    write_json(metrics, {"lift": {rows: _values(by_metric) for rows, by_metric in result.get("figures", {}).items()}})


def _values(by_metric: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """{metric: {strategy: value}} without intervals."""
    return {
        metric: {strategy: entry["value"] for strategy, entry in strategies.items()}
        for metric, strategies in by_metric.items()
    }


if __name__ == "__main__":
    stage(main)
