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


def even(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniform float32 numbers in [0, 1) that are spread evenly: as different from each other as so many can be."""
    return (rand((1,), generator, device) + torch.arange(count, device=device) / max(count, 1)) % 1
