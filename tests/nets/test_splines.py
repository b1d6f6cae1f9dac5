"""A monotone spline is a map of [0, 1] onto itself, its own inverse's inverse, and knows its slope."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.nets.splines import Spline


def random_spline(seed: int, pieces: int, spread: float) -> Spline:
    raw = torch.randn((5, 3 * pieces + 1), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Spline(raw * spread)


def grid(n: int = 201) -> torch.Tensor:
    return torch.linspace(0, 1, n, dtype=torch.float64).expand(5, n)


def test_zeros_are_the_identity():
    spline = Spline(torch.zeros(5, 13, dtype=torch.float64))
    torch.testing.assert_close(spline.forward(grid()), grid())
    torch.testing.assert_close(spline.log_slope(grid()), torch.zeros_like(grid()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(0.1, 3))
def test_the_inverse_undoes_the_spline_which_rises_from_zero_to_one(seed, pieces, spread):
    spline = random_spline(seed, pieces, spread)
    y = spline.forward(grid())
    torch.testing.assert_close(spline.inverse(y), grid(), atol=1e-6, rtol=0)
    assert (y.diff(dim=-1) > 0).all()
    torch.testing.assert_close(y[:, [0, -1]], grid(2), atol=1e-9, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_the_slope_is_the_derivative(seed, pieces):
    spline = random_spline(seed, pieces, 1.0)
    x = torch.rand((5, 50), generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(spline.forward(x).sum(), x)
    torch.testing.assert_close(spline.log_slope(x).exp(), slope, rtol=1e-5, atol=1e-8)
