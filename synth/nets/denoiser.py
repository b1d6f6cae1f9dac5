"""A residual network that knows a time: the velocity field of diffusion models and rectified flows over vectors."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.dense import Linear, dropped

TIME_WAVES = 8  # sine and cosine pairs of the time


class Block(nn.Module):
    """A residual block under a time: x + W2 dropout(silu(W1 (norm(x) (1 + a(t)) + b(t))))."""

    def __init__(self, width: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.dropout = dropout
        self.time = Linear(width, 2 * width, 0.1, generator)
        self.inner = Linear(width, 2 * width, 1.0, generator)
        self.outer = Linear(2 * width, width, 0.1, generator)

    def forward(self, x: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        """x, time: (B, H)."""
        scale, shift = self.time(time).chunk(2, 1)
        inside = F.silu(self.inner(torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), 1 + scale)))
        return x + cast("Tensor", self.outer(dropped(inside, self.dropout, generator)))


class Denoiser(nn.Module):
    """Hidden values (B, H) and times (B,) in [0, 1] -> normalised hidden values (B, H)."""

    def __init__(self, width: int, blocks: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.time = Linear(2 * TIME_WAVES, width, 1.0, generator)
        self.blocks = nn.ModuleList(Block(width, dropout, generator) for _ in range(blocks))

    def forward(self, hidden: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        """generator: of the dropout while training, None otherwise."""
        phases = time[:, None] * torch.arange(1, TIME_WAVES + 1, device=time.device) * (math.pi / 2)
        clock = self.time(torch.cat([phases.sin(), phases.cos()], 1))
        hidden = hidden + clock
        clock = F.silu(clock)
        for block in self.blocks:
            hidden = block(hidden, clock, generator)
        return F.silu(F.layer_norm(hidden, hidden.shape[-1:]))
