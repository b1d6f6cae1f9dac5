"""Random tensors whose bytes depend on the generator alone, wherever they are wanted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def rand(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniform float32 numbers in [0, 1), drawn where the generator is and moved to `device`."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)


def randn(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Standard normal float32 numbers, drawn where the generator is and moved to `device`."""
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def posterior(mean: Tensor, spread: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Codes drawn from Gaussians of these means and log-deviations, and by how many nats each value diverges from a
    standard normal one (Kingma & Welling 2014, appendix B); all of one shape."""
    code = mean + spread.exp() * randn(mean.shape, generator, mean.device)
    return code, 0.5 * (mean.square() + (2 * spread).exp() - 1) - spread


def even(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniform float32 numbers in [0, 1) that are spread evenly: as different from each other as so many can be."""
    return (rand((1,), generator, device) + torch.arange(count, device=device) / max(count, 1)) % 1
