"""sample: draw the synthetic rows of a run to Parquet shards."""

from __future__ import annotations

from synth.config import load_params
from synth.console import PathOption, progress, stage
from synth.evaluation.speed import Stopwatch
from synth.picture_tools import walk_sheet
from synth.sampling import write_samples
from synth.storage import write_json
from synth.synthesizer import Synthesizer


def main(run: str, model: PathOption, out: PathOption, walk: PathOption, metrics: PathOption) -> None:
    """Write the part files, for the report the pictures on the way from one to another, and what the sampling cost."""
    params = load_params()
    synthesizer = Synthesizer.load(model, device=params.run(run).device)
    wish = params.wish(run)
    request = synthesizer.request(wish.where, wish.balance)
    rows = params.sample.rows or synthesizer.schema_.rows
    with Stopwatch() as watch, progress(f"sample {run}", rows) as advance:

        def on_rows(done: int) -> None:
            advance(done, "")

        write_samples(
            synthesizer,
            rows,
            out,
            seed=params.seed,
            shards=params.sample.shards,
            request=request,
            on_rows=on_rows,
        )
    write_json(walk, {"walk": walk_sheet(synthesizer)})
    write_json(metrics, {"sample": watch.as_dict(rows), "rows": rows})


if __name__ == "__main__":
    stage(main)
