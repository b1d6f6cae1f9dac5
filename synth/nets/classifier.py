"""A convolutional network that tells the labels of pictures, of any size that it can halve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.convolutions import Conv, GroupNorm, halved, ladder
from synth.nets.dense import Linear
from synth.nets.precision import working


class Classifier(nn.Module):
    """Pictures (B, C, H, W) from -1 to 1 -> logits (B, K), float32.

    widths: channels of each level, each half as high and wide as the one before, with two convolutions
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        classes: int,
        precision: torch.dtype | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.precision = precision
        self.entry = Conv(channels, widths[0], 3, 1.4, generator)
        self.convs = nn.ModuleList(Conv(*pair, 3, 1.4, generator) for pair in ladder(widths, 2))
        self.norms = nn.ModuleList(GroupNorm(pair[1]) for pair in ladder(widths, 2))
        self.exit = Linear(widths[-1], classes, 1.0, generator)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W)."""
        return self.told(self.layers(x)[-1])

    def layers(self, x: Tensor) -> list[Tensor]:
        """What each convolution gives, (B, C, h, w), the finest first."""
        x = self.entry(working(x, self.precision))
        found = []
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(halved(x) if i and i % 2 == 0 else x)))
            found.append(x)
        return found

    def told(self, last: Tensor) -> Tensor:
        """Logits out of the last layer."""
        return cast("Tensor", self.exit(last.float().mean((2, 3))))
