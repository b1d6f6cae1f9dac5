"""Parts of dense networks whose every random number comes from a given generator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.draws import rand


class Linear(nn.Module):
    """An affine map, (B, I) -> (B, O), whose first weights are drawn normal, of variance scale^2 / I."""

    def __init__(self, inputs: int, outputs: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        weight = torch.randn((outputs, inputs), generator=generator)
        self.weight = nn.Parameter(weight * scale / math.sqrt(max(inputs, 1)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, I), in any type; weights are kept in float32."""
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


def dropped(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Dropout whose masks come from the generator; nothing is dropped without one."""
    if generator is None or not share:
        return x
    keep = rand(x.shape, generator, x.device) >= share
    return x * keep / (1 - share)
