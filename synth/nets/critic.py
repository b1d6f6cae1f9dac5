"""A convolutional critic of pictures with labels, the shifts that it sees them through, and what keeps it smooth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.convolutions import Conv, halved, ladder
from synth.nets.dense import Linear
from synth.nets.draws import rand
from synth.nets.labels import LabelVector
from synth.nets.pyramids import Fold

SLOPE = 0.2  # of leaky rectifiers below 0


class Block(nn.Module):
    """A residual block without normalisation, (B, I, H, W) -> (B, O, H, W)."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inner = Conv(inputs, outputs, 3, math.sqrt(2), generator)
        self.outer = Conv(outputs, outputs, 3, 0.3, generator)
        self.skip = None if inputs == outputs else Conv(inputs, outputs, 1, 1.0, generator)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, I, H, W)."""
        inside = self.outer(F.leaky_relu(self.inner(F.leaky_relu(x, SLOPE)), SLOPE))
        return cast("Tensor", inside + (x if self.skip is None else self.skip(x)))


class Critic(nn.Module):
    """Pictures and their labels -> (B,) scores; labels as a projection (Miyato & Koyama 2018).

    widths: channels of each level, each half as high and wide as the one before
    """

    def __init__(self, fold: Fold, widths: Sequence[int], blocks: int, generator: torch.Generator) -> None:
        super().__init__()
        self.fold, self.count = fold, blocks
        self.entry = Conv(fold.channels, widths[0], 3, 1.0, generator)
        self.blocks = nn.ModuleList(Block(*pair, generator) for pair in ladder(widths, blocks))
        hidden = 2 * widths[-1]
        self.dense = Linear(widths[-1] * fold.grid[0] * fold.grid[1], hidden, 1.0, generator)
        self.exit = Linear(hidden, 1, 1.0, generator)
        self.label = LabelVector(fold.layout, hidden, generator)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x: (B, C, H, W) float32, tokens: (B, D)."""
        x = self.entry(self.fold.fold(x))
        for i, block in enumerate(self.blocks):
            x = block(halved(x) if i and i % self.count == 0 else x)
        hidden = F.leaky_relu(self.dense(F.leaky_relu(x, SLOPE).flatten(1)), SLOPE).float()
        projected = (self.label(tokens) * hidden).sum(1) / math.sqrt(hidden.shape[1])
        return cast("Tensor", self.exit(hidden).squeeze(1) + projected)


def shifted(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to `share` of its sides, what comes in at an edge as its border; differentiable
    augmentation (Zhao et al. 2020) for a critic that has few pictures."""
    if not share:
        return x
    B, _, H, W = x.shape
    most = [round(share * side) for side in (H, W)]
    moves = [(rand((B,), generator, x.device) * (2 * m + 1)).long() - m for m in most]
    rows, columns = (
        (torch.arange(side, device=x.device)[None] + move[:, None]).clamp(0, side - 1)
        for side, move in zip((H, W), moves, strict=True)
    )
    place = torch.arange(B, device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def penalty(score: Callable[[Tensor], Tensor], x: Tensor, norm: float) -> Tensor:
    """(B,) how far the gradient of a score at pictures x is from a norm: its square where that is 0 (R1 and R2,
    Mescheder et al. 2018), the square of the difference elsewhere (Gulrajani et al. 2017)."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    square = gradient.flatten(1).square().sum(1)
    return square if norm == 0 else (square.clamp_min(1e-12).sqrt() - norm).square()
