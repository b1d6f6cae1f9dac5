"""Changes of pictures that keep their label, every one drawn from a given generator.

Pictures are (B, C, H, W) float32 from -1 to 1; what comes in at a border is the border repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.nets.draws import rand, randn

Augment = Callable[[Tensor, torch.Generator], Tensor]


def affine(x: Tensor, generator: torch.Generator) -> Tensor:
    """Rotated by up to 15 degrees, sheared by up to .2, scaled by up to 15 %, moved by up to 8 % of the sides."""
    turn, shear, scale, right, down = (2 * rand((5, len(x)), generator, x.device) - 1).unbind(0)
    return _mapped(x, 15 * turn, 0.2 * shear, 1 + 0.15 * scale, 0.16 * right, 0.16 * down)


def elastic(x: Tensor, generator: torch.Generator) -> Tensor:
    """An affine change, and then every pixel moved along a smooth field (Simard et al. 2003)."""
    x = affine(x, generator)
    B, _, H, W = x.shape
    coarse = randn((B, 2, 5, 5), generator, x.device)
    field = F.interpolate(coarse, size=(H, W), mode="bicubic", align_corners=True) * 0.06
    grid = F.affine_grid(torch.eye(2, 3, device=x.device).expand(B, 2, 3), [B, 1, H, W], align_corners=False)
    return F.grid_sample(x, grid + field.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def rand_augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Two of twelve changes for each picture, each of a strength of its own (Cubuk et al. 2020)."""
    for _ in range(2):
        kind = (rand((len(x),), generator, x.device) * len(CHANGES)).long()
        strength = 2 * rand((len(x),), generator, x.device) - 1
        changed = torch.empty_like(x)
        for number, change in enumerate(CHANGES):
            rows = kind == number
            if rows.any():
                changed[rows] = change(x[rows], strength[rows])
        x = changed
    return x


def _mapped(x: Tensor, turn: Tensor, shear: Tensor, scale: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """turn: degrees; right, down: in halves of a side; all (B,)."""
    angle = turn * (math.pi / 180)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    rows = torch.stack([cos, shear * cos - sin, right, sin, shear * sin + cos, down], 1).view(-1, 2, 3)
    grid = F.affine_grid(rows, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _geometric(**most: float) -> Callable[[Tensor, Tensor], Tensor]:
    def change(x: Tensor, strength: Tensor) -> Tensor:
        still = {name: torch.zeros_like(strength) for name in ("turn", "shear", "right", "down")}
        parts = {**still, "scale": torch.ones_like(strength), **{name: m * strength for name, m in most.items()}}
        return _mapped(x, **parts)

    return change


def _each(strength: Tensor) -> Tensor:
    return strength[:, None, None, None]


def _upright_shear(x: Tensor, strength: Tensor) -> Tensor:
    return _geometric(shear=0.3)(x.transpose(2, 3), strength).transpose(2, 3)


def _contrast(x: Tensor, strength: Tensor) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + (x - mean) * (1 + 0.9 * _each(strength))).clamp(-1, 1)


def _brightness(x: Tensor, strength: Tensor) -> Tensor:
    return ((x + 1) * (1 + 0.5 * _each(strength)) - 1).clamp(-1, 1)


def _sharpness(x: Tensor, strength: Tensor) -> Tensor:
    smooth = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (x + 0.9 * _each(strength) * (x - smooth)).clamp(-1, 1)


def _posterised(x: Tensor, strength: Tensor) -> Tensor:
    steps = _each(2 ** (2 + 2 * strength.abs()))
    return (((x + 1) / 2 * steps).round() / steps * 2 - 1).clamp(-1, 1)


def _solarised(x: Tensor, strength: Tensor) -> Tensor:
    return torch.where(x > _each(1 - strength.abs()), -x, x)


def _stretched(x: Tensor, _: Tensor) -> Tensor:
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return torch.where(high > low, 2 * (x - low) / (high - low).clamp_min(1e-6) - 1, x)


def _same(x: Tensor, _: Tensor) -> Tensor:
    return x


CHANGES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    _same,
    _geometric(turn=30.0),
    _geometric(shear=0.3),
    _upright_shear,
    _geometric(right=0.2),
    _geometric(down=0.2),
    _contrast,
    _brightness,
    _sharpness,
    _posterised,
    _solarised,
    _stretched,
)
