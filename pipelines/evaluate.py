"""evaluate: measure quality, diversity and privacy beside floors and trivial generators, and attack the samples."""

from __future__ import annotations

from synth.config import load_params
from synth.console import PathOption, stage
from synth.evaluation.distributions import distributions as histograms
from synth.evaluation.measurements import METRICS, evaluate
from synth.evaluation.tables import load_tables
from synth.storage import write_json


def main(
    run: str,  # noqa: ARG001 - every stage is called by its run
    prepared: PathOption,
    samples: PathOption,
    out: PathOption,
    distributions: PathOption,
    metrics: PathOption,
) -> None:
    """Write all measurements, the histograms that the report draws, and the bare figures for `dvc metrics`."""
    data = load_tables(prepared, samples)
    measured = evaluate(data, seed=load_params().seed)
    write_json(out, measured)
    write_json(distributions, histograms(data))
    areas = [area for area in METRICS if area in measured]
    write_json(metrics, {area: {name: entry["value"] for name, entry in measured[area].items()} for area in areas})


if __name__ == "__main__":
    stage(main)
