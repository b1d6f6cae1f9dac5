"""Invertible steps: what they make comes back, and their determinants are those of their Jacobians."""

from __future__ import annotations

import math

import torch

from synth.nets.glow import Chain, halves, whole


def shaken(channels: int, size: int) -> Chain:
    generator = torch.Generator().manual_seed(0)
    options = {"size": size, "width": 16, "known": 4, "seen": 5, "precision": torch.float64}
    chain = Chain(channels, 3, generator, **options).double()
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return chain


def told(rows: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    known = torch.randn((rows, 4), generator=generator, dtype=torch.float64)
    return known, torch.randn((rows, 5, side, side), generator=generator, dtype=torch.float64)


def made(chain: Chain, x: torch.Tensor, known: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    for step in chain.steps:
        x = step(x, known, seen)[0]
    return x


def test_halves_keep_lengths_and_come_back():
    x = torch.randn((3, 2, 8, 6), generator=torch.Generator().manual_seed(0))
    small, details = halves(x)
    assert small.shape == (3, 2, 4, 3)
    assert details.shape == (3, 6, 4, 3)
    assert torch.allclose(small.square().sum() + details.square().sum(), x.square().sum(), rtol=1e-5)
    assert torch.allclose(small / 2, torch.nn.functional.avg_pool2d(x, 2), atol=1e-6)
    assert torch.allclose(whole(small, details), x, atol=1e-6)


def test_the_log_density_is_that_of_normal_noise_times_the_determinant_of_the_jacobian():
    chain, (known, seen) = shaken(3, 3), told(1, 2)
    x = torch.randn((1, 3, 2, 2), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: made(chain, x, known, seen), x).view(12, 12)
    z = made(chain, x, known, seen)
    expected = torch.linalg.slogdet(jacobian)[1] - 0.5 * (z.square().sum() + 12 * math.log(2 * math.pi))
    assert torch.allclose(chain.log_prob(x, known, seen), expected, rtol=1e-5)


def test_a_chain_is_undone_whether_its_channels_are_even_or_odd():
    for channels in (4, 5):
        chain, (known, seen) = shaken(channels, 1), told(6, 2)
        x = torch.randn((6, channels, 2, 2), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        assert torch.allclose(chain.inverse(made(chain, x, known, seen), known, seen), x, atol=1e-8)


def test_a_ready_chain_starts_out_normal():
    generator = torch.Generator().manual_seed(0)
    options = {"size": 3, "width": 16, "known": 4, "seen": 5, "precision": torch.float32}
    chain = Chain(4, 3, generator, **options)
    known, seen = (part.float().repeat(50, *[1] * (part.dim() - 1)) for part in told(4, 2))
    x = 7 + 3 * torch.randn((200, 4, 2, 2), generator=generator)
    chain.ready(x, known, seen)
    z = made(chain, x, known, seen).detach()
    assert z.mean().abs() < 0.02
    assert (z.std() - 1).abs() < 0.02
