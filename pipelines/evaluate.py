"""evaluate: measure quality, diversity and privacy beside floors and trivial generators."""

from __future__ import annotations

from synth.config import load_params
from synth.console import PathOption, stage
from synth.evaluation.distributions import distributions as histograms
from synth.evaluation.measurements import evaluate
from synth.evaluation.tables import load_tables
from synth.storage import write_json


def main(run: str, prepared: PathOption, samples: PathOption, out: PathOption, distributions: PathOption) -> None:  # noqa: ARG001
    """Write the figures, and the histograms that the report draws."""
    data = load_tables(prepared, samples)
    write_json(out, evaluate(data, seed=load_params().seed))
    write_json(distributions, histograms(data))


if __name__ == "__main__":
    stage(main)
