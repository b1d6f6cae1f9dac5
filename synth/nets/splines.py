"""Monotone rational-quadratic splines of [0, 1] onto itself (Durkan et al. 2019, section 3.1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_STEP = 1e-4  # least width and height of a piece
LEAST_SLOPE = 1e-3


class Spline:
    """A spline per element: M pieces, from (..., 3 M + 1) unconstrained numbers; all zero is the identity."""

    def __init__(self, raw: Tensor) -> None:
        M = (raw.shape[-1] - 1) // 3
        self.x = _knots(raw[..., :M])  # (..., M + 1)
        self.y = _knots(raw[..., M : 2 * M])  # (..., M + 1)
        unit = math.log(math.expm1(1 - LEAST_SLOPE))
        self.slope = F.softplus(raw[..., 2 * M :] + unit) + LEAST_SLOPE  # (..., M + 1)

    def forward(self, x: Tensor) -> Tensor:
        """y at x, (..., N) in [0, 1] both."""
        low, width, bottom, height, mean, first, last = self._piece(self.x, x)
        place = ((x - low) / width).clamp(0, 1)
        mixed = place * (1 - place)
        return bottom + height * (mean * place.square() + first * mixed) / (mean + (first + last - 2 * mean) * mixed)

    def log_slope(self, x: Tensor) -> Tensor:
        """log dy/dx at x, (..., N)."""
        low, width, _, _, mean, first, last = self._piece(self.x, x)
        place = ((x - low) / width).clamp(0, 1)
        mixed = place * (1 - place)
        above = last * place.square() + 2 * mean * mixed + first * (1 - place).square()
        return 2 * mean.log() + above.log() - 2 * (mean + (first + last - 2 * mean) * mixed).log()

    def inverse(self, y: Tensor) -> Tensor:
        """x at y, (..., N)."""
        low, width, bottom, height, mean, first, last = self._piece(self.y, y)
        rise = (y - bottom).clamp_min(0)
        bend = first + last - 2 * mean
        a = height * (mean - first) + rise * bend
        b = height * first - rise * bend
        c = -mean * rise
        root = (b.square() - 4 * a * c).clamp_min(0).sqrt()
        return low + width * (2 * c / (-b - root)).clamp(0, 1)

    def _piece(self, knots: Tensor, at: Tensor) -> tuple[Tensor, ...]:
        """Of the piece that each `at` lies in: left end, width, bottom, height, mean slope, slopes at its ends."""
        piece = (torch.searchsorted(knots, at.contiguous(), right=True) - 1).clamp(0, knots.shape[-1] - 2)
        low, high = self.x.gather(-1, piece), self.x.gather(-1, piece + 1)
        bottom, top = self.y.gather(-1, piece), self.y.gather(-1, piece + 1)
        first, last = self.slope.gather(-1, piece), self.slope.gather(-1, piece + 1)
        width, height = high - low, top - bottom
        return low, width, bottom, height, height / width, first, last


def _knots(raw: Tensor) -> Tensor:
    """(..., M) unconstrained -> (..., M + 1) ascending from 0 to 1."""
    M = raw.shape[-1]
    steps = LEAST_STEP + (1 - LEAST_STEP * M) * raw.softmax(-1)
    inner = steps[..., :-1].cumsum(-1)
    return torch.cat([torch.zeros_like(steps[..., :1]), inner, torch.ones_like(steps[..., :1])], -1)
