"""Invertible steps over pictures (Kingma & Dhariwal 2018, Glow): each gives what it makes and the log-determinant.

Every step has `forward(x, known, seen) -> (z, (B,))` and `inverse(z, known, seen) -> x`, which undo each other; known:
(B, E), a vector that all places are told; seen: (B, S, H, W), what is seen there already, None where nothing is.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.convolutions import Conv
from synth.nets.dense import Linear
from synth.nets.precision import working

MOST = 2.0  # of a coupling's log-scale, to both sides


class Affine(nn.Module):
    """A scale and a shift of each channel; `ready` makes what it is shown normal (ActNorm, section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    @torch.no_grad()
    def ready(self, x: Tensor) -> None:
        """Channels of x get mean 0 and variance 1."""
        mean, deviation = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
        self.log_scale.copy_(-deviation.clamp_min(1e-3).log())
        self.bias.copy_(-mean * self.log_scale.exp())

    def forward(self, x: Tensor, _: Tensor, __: Tensor | None) -> tuple[Tensor, Tensor]:
        """x: (B, C, H, W)."""
        places = x.shape[2] * x.shape[3]
        return x * self.log_scale.exp() + self.bias, (self.log_scale.sum() * places).expand(len(x))

    def inverse(self, z: Tensor, _: Tensor, __: Tensor | None) -> Tensor:
        """What `forward` took."""
        return (z - self.bias) * (-self.log_scale).exp()


class Mix(nn.Module):
    """An invertible 1 x 1 convolution P L U (section 3.2); P is drawn once, and all diagonals have logarithms."""

    permutation: Tensor
    signs: Tensor

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn((channels, channels), generator=generator))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("permutation", permutation.contiguous())
        self.register_buffer("signs", upper.diagonal().sign().contiguous())
        self.lower = nn.Parameter(lower.tril(-1).contiguous())
        self.upper = nn.Parameter(upper.triu(1).contiguous())
        self.log_scale = nn.Parameter(upper.diagonal().abs().log().contiguous())

    def forward(self, x: Tensor, _: Tensor, __: Tensor | None) -> tuple[Tensor, Tensor]:
        """x: (B, C, H, W)."""
        return F.conv2d(x, self._matrix()[:, :, None, None]), (self.log_scale.sum() * x.shape[2] * x.shape[3]).expand(
            len(x)
        )

    def inverse(self, z: Tensor, _: Tensor, __: Tensor | None) -> Tensor:
        """What `forward` took."""
        return F.conv2d(z, torch.linalg.inv(self._matrix().double()).to(z.dtype)[:, :, None, None])

    def _matrix(self) -> Tensor:
        lower = self.lower.tril(-1) + torch.eye(len(self.signs), device=self.signs.device)
        upper = self.upper.triu(1) + torch.diag(self.signs * self.log_scale.exp())
        matrix: Tensor = self.permutation @ lower @ upper
        return matrix


class Coupling(nn.Module):
    """Half of the channels, and what is known and seen, scale and shift the other half (section 3.3).

    size: of the convolutions; width: of their hidden channels
    """

    def __init__(
        self,
        channels: int,
        size: int,
        width: int,
        known: int,
        seen: int,
        precision: torch.dtype | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.first, self.precision = channels // 2, precision
        self.entry = Conv(self.first, width, size, 1.0, generator)
        self.seen = Conv(seen, width, 1, 1.0, generator) if seen else None
        self.known = Linear(known, 2 * width, 0.3, generator)
        self.inner = Conv(width, width, size, 1.4, generator)
        self.exit = Conv(width, 2 * (channels - self.first), size, 0.0, generator)

    def forward(self, x: Tensor, known: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """x: (B, C, H, W)."""
        kept, moved = x[:, : self.first], x[:, self.first :]
        log_scale, shift = self._net(kept, known, seen)
        return torch.cat([kept, torch.addcmul(shift, moved, log_scale.exp())], 1), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor, known: Tensor, seen: Tensor | None) -> Tensor:
        """What `forward` took."""
        kept, moved = z[:, : self.first], z[:, self.first :]
        log_scale, shift = self._net(kept, known, seen)
        return torch.cat([kept, (moved - shift) * (-log_scale).exp()], 1)

    def _net(self, kept: Tensor, known: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        scale, shift = working(self.known(known)[:, :, None, None], self.precision).chunk(2, 1)
        hidden = self.entry(working(kept, self.precision))
        if self.seen is not None and seen is not None:
            hidden = hidden + self.seen(seen)
        hidden = F.silu(torch.addcmul(shift, hidden, 1 + scale))
        log_scale, moved = self.exit(F.silu(self.inner(hidden))).float().chunk(2, 1)
        return MOST * torch.tanh(log_scale / MOST), moved


class Chain(nn.Module):
    """Steps of the three kinds in turn; options as those of `Coupling`."""

    def __init__(self, channels: int, steps: int, generator: torch.Generator, **options: Any) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            step
            for _ in range(steps)
            for step in (
                Affine(channels),
                Mix(channels, generator),
                Coupling(channels, generator=generator, **options),
            )
        )

    @torch.no_grad()
    def ready(self, x: Tensor, known: Tensor, seen: Tensor | None) -> None:
        """Make every `Affine` normal for x."""
        for step in self.steps:
            if isinstance(step, Affine):
                step.ready(x)
            x = step(x, known, seen)[0]

    def log_prob(self, x: Tensor, known: Tensor, seen: Tensor | None) -> Tensor:
        """(B,) nats of x (B, C, H, W), which the steps make standard normal."""
        total = x.new_full((len(x),), -0.5 * math.log(2 * math.pi) * x[0].numel())
        for step in self.steps:
            x, determinant = step(x, known, seen)
            total = total + determinant
        return total - 0.5 * x.flatten(1).square().sum(1)

    def inverse(self, z: Tensor, known: Tensor, seen: Tensor | None) -> Tensor:
        """What the steps make z of."""
        for step in reversed(list(self.steps)):
            z = step.inverse(z, known, seen)  # type: ignore[operator]
        return z


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Haar's wavelets: (B, C, H, W) as it is at half its sides, (B, C, H / 2, W / 2), and the details (B, 3 C, H / 2,
    W / 2) that are left out of it; orthonormal."""
    B, C, H, W = x.shape
    parts = _turned(F.pixel_unshuffle(x, 2).view(B, C, 4, H // 2, W // 2))
    return parts[:, :, 0], parts[:, :, 1:].flatten(1, 2)


def whole(small: Tensor, details: Tensor) -> Tensor:
    """What `halves` took."""
    parts = torch.cat([small[:, :, None], details.view(len(small), -1, 3, *small.shape[2:])], 2)
    return F.pixel_shuffle(_turned(parts).flatten(1, 2), 2)


def _turned(parts: Tensor) -> Tensor:
    """(B, C, 4, H, W) by the Hadamard matrix, which is its own inverse."""
    a, b, c, d = parts.unbind(2)
    return torch.stack([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], 2) / 2
