"""Parts of convolutional networks whose every random number comes from a given generator.

Weights are kept in float32 and cast to the type of what goes in, so that a network computes in the type of its input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUP = 16  # channels that are normalised together


class Conv(nn.Module):
    """A convolution that keeps height and width, (B, I, H, W) -> (B, O, H / stride, W / stride).

    Its first weights are normal, of variance scale^2 / (I size^2).
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, scale: float, generator: torch.Generator, stride: int = 1
    ) -> None:
        super().__init__()
        weight = torch.randn((outputs, inputs, size, size), generator=generator)
        self.weight = nn.Parameter(weight * scale / math.sqrt(inputs * size * size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, I, H, W)."""
        padding = self.weight.shape[-1] // 2
        return F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype), self.stride, padding)


class GroupNorm(nn.Module):
    """Group normalisation (Wu & He 2018) of about GROUP channels each, with a scale and a shift of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = parts(channels, GROUP)
        self.scale = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W)."""
        return F.group_norm(x, self.groups, self.scale.to(x.dtype), self.bias.to(x.dtype))


def parts(channels: int, size: int) -> int:
    """In how many equal parts of about `size` so many channels fall."""
    return next(count for count in range(max(channels // size, 1), 0, -1) if channels % count == 0)


def ladder(widths: Sequence[int], blocks: int) -> Iterator[tuple[int, int]]:
    """Channels in and out of so many blocks of each level, one level after the other."""
    width = widths[0]
    for level in widths:
        for _ in range(blocks):
            yield width, level
            width = level


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W), each value four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halved(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H / 2, W / 2), means of four."""
    return F.avg_pool2d(x, 2)
