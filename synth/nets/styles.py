"""Parts of a style-based generator (Karras et al. 2019, 2020): a mapping network, and convolutions under a style."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.dense import Linear


class Mapping(nn.Module):
    """Noise and a label's vector, (B, Z) each, -> a style (B, W); both are normalised first."""

    def __init__(self, noise: int, width: int, layers: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [2 * noise, *[width] * layers]
        self.layers = nn.ModuleList(Linear(*pair, math.sqrt(2), generator) for pair in pairwise(sizes))

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """noise, label: (B, Z)."""
        x = torch.cat([normalised(noise), normalised(label)], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x


class StyledConv(nn.Module):
    """A convolution whose input channels a style scales, its output demodulated (Karras et al. 2020, section 2.2).

    Channels are scaled before and after, which is the same as scaling the weights of every picture and needs no
    convolution of its own for each. With noise of one channel at every pixel, then a leaky rectifier.
    """

    def __init__(self, inputs: int, outputs: int, style: int, generator: torch.Generator) -> None:
        super().__init__()
        weight = torch.randn((outputs, inputs, 3, 3), generator=generator) / math.sqrt(9 * inputs)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(style, inputs, 1.0, generator)
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """x: (B, I, H, W), style: (B, S), noise: (B, 1, H, W)."""
        scale = 1 + self.style(style)  # (B, I)
        power = scale.square() @ self.weight.square().sum((2, 3)).T  # (B, O)
        x = F.conv2d(x * scale.to(x.dtype)[:, :, None, None], self.weight.to(x.dtype), padding=1)
        x = x * (power + 1e-8).rsqrt().to(x.dtype)[:, :, None, None]
        x = x + (self.strength * noise).to(x.dtype) + self.bias.to(x.dtype)[:, None, None]
        return F.leaky_relu(x, 0.2) * math.sqrt(2)


class ToPixels(nn.Module):
    """Channels under a style -> what they add to the picture, (B, I, H, W) -> (B, O, H, W); not demodulated."""

    def __init__(self, inputs: int, outputs: int, style: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn((outputs, inputs, 1, 1), generator=generator) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(style, inputs, 1.0, generator)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x: (B, I, H, W), style: (B, S)."""
        scale = (1 + self.style(style)).to(x.dtype)
        return F.conv2d(x * scale[:, :, None, None], self.weight.to(x.dtype), self.bias.to(x.dtype))


def normalised(x: Tensor) -> Tensor:
    """Rows (B, Z) of mean square 1."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
