"""Attack synthetic rows in a process of its own, so that its time and memory are those of the attacks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import typer

from synth.console import stage
from synth.evaluation.attacks.rates import Rate


def main(train: Path, control: Path, synthetic: Path, target: str, columns: int, seed: int = 0) -> None:
    """Read three Parquet files, keep the first COLUMNS columns and the target, and print every figure as JSON."""
    import numpy as np

    from synth.detection import detect
    from synth.evaluation import attacks
    from synth.evaluation.tables import Tables
    from synth.storage import read_parquet

    start = time.monotonic()
    source = read_parquet(train)
    names = [*[name for name in source.column_names if name != target][: columns - 1], target]
    real, unseen, made = (read_parquet(path).select(names).to_pandas() for path in (train, control, synthetic))
    views = Tables(real, unseen, unseen[:0], made, detect(source.select(names), target=target)).views
    del source, real, unseen, made
    seconds = {"read": time.monotonic() - start}
    figures: dict[str, Rate | None] = {}
    for module, own in zip(attacks.ATTACKS, np.random.SeedSequence(seed).spawn(len(attacks.ATTACKS)), strict=True):
        start = time.monotonic()
        figures |= module.attack(views, np.random.default_rng(own))
        seconds[module.__name__.rpartition(".")[2]] = time.monotonic() - start
    typer.echo(
        json.dumps(
            {
                "figures": {name: rate and [round(float(end), 4) for end in rate] for name, rate in figures.items()},
                "seconds": {name: round(spent, 1) for name, spent in seconds.items()},
                "columns": len(views.names),
                "rows": attacks.rows(views),
            }
        )
    )


if __name__ == "__main__":
    stage(main)
