"""Invertible steps over pictures (Kingma & Dhariwal 2018, Glow): each gives what it makes and the log-determinant.

Every step has `forward(x, known) -> (z, (B,))` and `inverse(z, known) -> x`, which undo each other.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.convolutions import Conv
from synth.nets.dense import Linear

MOST = 2.0  # of a coupling's log-scale, to both sides
LOG_TWO_PI = math.log(2 * math.pi)


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

    def forward(self, x: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, C, H, W)."""
        places = x.shape[2] * x.shape[3]
        return x * self.log_scale.exp() + self.bias, (self.log_scale.sum() * places).expand(len(x))

    def inverse(self, z: Tensor, _: Tensor) -> Tensor:
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

    def forward(self, x: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, C, H, W)."""
        return F.conv2d(x, self._matrix()[:, :, None, None]), (self.log_scale.sum() * x.shape[2] * x.shape[3]).expand(
            len(x)
        )

    def inverse(self, z: Tensor, _: Tensor) -> Tensor:
        """What `forward` took."""
        return F.conv2d(z, torch.linalg.inv(self._matrix().double()).to(z.dtype)[:, :, None, None])

    def _matrix(self) -> Tensor:
        lower = self.lower.tril(-1) + torch.eye(len(self.signs), device=self.signs.device)
        upper = self.upper.triu(1) + torch.diag(self.signs * self.log_scale.exp())
        matrix: Tensor = self.permutation @ lower @ upper
        return matrix


class Coupling(nn.Module):
    """Half of the channels, and what is known, scale and shift the other half (section 3.3)."""

    def __init__(
        self, channels: int, width: int, known: int, precision: torch.dtype, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.first, self.precision = channels // 2, precision
        self.entry = Conv(self.first, width, 3, 1.0, generator)
        self.known = Linear(known, 2 * width, 0.3, generator)
        self.inner = Conv(width, width, 3, 1.4, generator)
        self.exit = Conv(width, 2 * (channels - self.first), 3, 0.0, generator)

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, C, H, W), known: (B, E)."""
        kept, moved = x[:, : self.first], x[:, self.first :]
        log_scale, shift = self._net(kept, known)
        return torch.cat([kept, torch.addcmul(shift, moved, log_scale.exp())], 1), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor, known: Tensor) -> Tensor:
        """What `forward` took."""
        kept, moved = z[:, : self.first], z[:, self.first :]
        log_scale, shift = self._net(kept, known)
        return torch.cat([kept, (moved - shift) * (-log_scale).exp()], 1)

    def _net(self, kept: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.known(known)[:, :, None, None].to(self.precision).chunk(2, 1)
        hidden = F.silu(torch.addcmul(shift, self.entry(kept.to(self.precision)), 1 + scale))
        log_scale, moved = self.exit(F.silu(self.inner(hidden))).float().chunk(2, 1)
        return MOST * torch.tanh(log_scale / MOST), moved


class Chain(nn.Module):
    """Steps of the three kinds in turn."""

    def __init__(
        self, channels: int, steps: int, width: int, known: int, precision: torch.dtype, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            step
            for _ in range(steps)
            for step in (
                Affine(channels),
                Mix(channels, generator),
                Coupling(channels, width, known, precision, generator),
            )
        )

    @torch.no_grad()
    def ready(self, x: Tensor, known: Tensor) -> Tensor:
        """Make every `Affine` normal for x, and give what x becomes."""
        for step in self.steps:
            if isinstance(step, Affine):
                step.ready(x)
            x = step(x, known)[0]
        return x

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, C, H, W), known: (B, E)."""
        total = x.new_zeros(len(x))
        for step in self.steps:
            x, determinant = step(x, known)
            total = total + determinant
        return x, total

    def inverse(self, z: Tensor, known: Tensor) -> Tensor:
        """What `forward` took."""
        for step in reversed(list(self.steps)):
            z = step.inverse(z, known)  # type: ignore[operator]
        return z


class Gaussian(nn.Module):
    """A normal distribution of channels (B, O, H, W) given other ones (B, I, H, W) and what is known."""

    def __init__(self, inputs: int, outputs: int, known: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.exit = Conv(inputs, 2 * outputs, 3, 0.0, generator) if inputs and outputs else None
        self.known = Linear(known, 2 * outputs, 0.0, generator)

    def log_prob(self, z: Tensor, given: Tensor | None, known: Tensor) -> Tensor:
        """(B,) nats."""
        mean, log_scale = self._parts(given, known)
        square = ((z - mean) * (-log_scale).exp()).square()
        return -(0.5 * (square + LOG_TWO_PI) + log_scale).expand_as(z).flatten(1).sum(1)

    def draw(self, noise: Tensor, given: Tensor | None, known: Tensor) -> Tensor:
        """Standard normal values (B, O, H, W) as values of the distribution."""
        mean, log_scale = self._parts(given, known)
        return torch.addcmul(mean, noise, log_scale.exp())

    def _parts(self, given: Tensor | None, known: Tensor) -> tuple[Tensor, Tensor]:
        parts = self.known(known)[:, :, None, None]
        if self.exit is not None:
            parts = parts + self.exit(given)
        mean, log_scale = parts.chunk(2, 1)
        return mean, log_scale.clamp(-6, 6)
