"""Real rows and two generators of known honesty: one hands out what it learnt, the other never saw it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import crowd
from synth.console import stage
from synth.storage import replacing

TOUCHED = 0.5  # share of the numbers that the leaky generator moves
NOISE = 0.01  # by how much of themselves, as a standard deviation
GENERATORS = ("leaky", "honest")
UNSEEN = 4  # training rows of the made-up table for every unseen one


def main(rows: int, folder: Path, seed: int = 0) -> None:
    """Write to FOLDER, as Parquet: ROWS training rows, unseen ones, and what both generators make of them."""
    counts = {"train": rows, "control": rows // UNSEEN, "honest": rows}
    for place, (name, count) in enumerate(counts.items()):
        crowd.main(count, folder / f"{name}.parquet", len(counts) * seed + place)
    made = leaky(pd.read_parquet(folder / "train.parquet"), np.random.default_rng(seed))
    with replacing(folder / "leaky.parquet") as temporary:
        made.to_parquet(temporary, index=False)


def thirds(frame: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Rows to learn from, unseen ones of equal number, and what both generators make of them."""
    count = len(frame) // 3
    order = rng.permutation(len(frame))
    train, control, honest = (
        frame.iloc[order[start : start + count]].reset_index(drop=True) for start in range(0, 3 * count, count)
    )
    return {"train": train, "control": control, "leaky": leaky(train, rng), "honest": honest}


def leaky(train: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """As many rows drawn with replacement, TOUCHED of their numbers moved by NOISE and whole ones kept whole."""
    drawn = train.iloc[rng.integers(0, len(train), len(train))].reset_index(drop=True)
    for name in drawn.select_dtypes("number"):
        values = drawn[name].to_numpy()
        moved = values * (1 + NOISE * rng.normal(size=len(drawn)) * (rng.random(len(drawn)) < TOUCHED))
        whole = np.issubdtype(values.dtype, np.integer)
        drawn[name] = np.rint(moved).astype(values.dtype) if whole else moved
    return drawn


if __name__ == "__main__":
    stage(main)
