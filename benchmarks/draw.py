"""Draw rows from a model directory to CSV and print how long the drawing took, as the peers' runners do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import typer

from synth.console import stage


def main(model: Path, train: Path, out: Path, seed: int = 0) -> None:
    """Write as many rows as TRAIN has to OUT; print {"rows", "sample_s"}, the seconds of `Synthesizer.sample` alone."""
    import pandas as pd

    from synth import Synthesizer

    rows = len(pd.read_csv(train))
    synthesizer = Synthesizer.load(model)
    start = time.monotonic()
    frame = synthesizer.sample(rows, seed=seed)
    seconds = time.monotonic() - start
    frame.to_csv(out, index=False)
    typer.echo(json.dumps({"rows": len(frame), "sample_s": round(seconds, 3)}))


if __name__ == "__main__":
    stage(main)
