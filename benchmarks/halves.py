"""Cut the training rows into two halves at random: one stands for the training rows, one for synthetic ones."""

from __future__ import annotations

from pathlib import Path

from synth.console import stage


def main(train: Path, first: Path, second: Path, seed: int = 0) -> None:
    """Write the halves of TRAIN to FIRST and SECOND."""
    import numpy as np
    import pandas as pd

    frame = pd.read_csv(train)
    order = np.random.default_rng(seed).permutation(len(frame))
    middle = len(frame) // 2
    frame.iloc[order[:middle]].to_csv(first, index=False)
    frame.iloc[order[middle : 2 * middle]].to_csv(second, index=False)


if __name__ == "__main__":
    stage(main)
