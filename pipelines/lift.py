"""lift: what the synthetic rows are worth to a classifier that is scored on real test rows."""

from __future__ import annotations

import pandas as pd

from synth.config import load_params
from synth.console import PathOption, stage
from synth.evaluation.lift import lift
from synth.evaluation.tables import load_tables
from synth.storage import replacing, write_json


def main(run: str, prepared: PathOption, samples: PathOption, out: PathOption, plot: PathOption) -> None:  # noqa: ARG001
    """Write the lift with its intervals and baselines, and the lift by number of real rows as CSV."""
    params = load_params()
    result = lift(load_tables(prepared, samples), rows=params.lift.rows, seeds=params.lift.seeds, seed=params.seed)
    write_json(out, result)
    with replacing(plot) as temporary:
        pd.DataFrame(result["curve"], columns=["rows", "strategy", "lift", "low", "high"]).to_csv(
            temporary, index=False
        )


if __name__ == "__main__":
    stage(main)
