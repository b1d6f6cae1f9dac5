"""Generative adversarial network of pictures: a generator against a critic, by one of three games.

See `synth.nets.game` for the games. Both networks are told the labels; the averaged generator draws.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.models.base import AdversarialConfig, AdversarialModel
from synth.nets.dense import Linear
from synth.nets.labels import LabelVector
from synth.nets.pyramids import Fold, Up
from synth.nets.styles import normalised


class Config(AdversarialConfig):
    """Hyper-parameters of the adversarial family of pictures, beside those of all such, see `AdversarialConfig`.

    truncation: deviation of the noise while drawing, 1 as it was learnt; less gives labels that are kept better, and
        fewer kinds
    """

    truncation: float = Field(0.95, gt=0, le=1)


class Generator(nn.Module):
    """Noise (B, Z) and labels (B, D) -> pictures (B, C, H, W) from -1 to 1."""

    def __init__(self, config: Config, layout: ImageLayout, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        width = config.widths[-1]
        known = 2 * width
        self.grid, self.truncation = fold.grid, config.truncation
        self.label = LabelVector(layout, config.noise, generator)
        self.inner = Linear(2 * config.noise, known, 1.0, generator)
        self.known = Linear(known, known, 1.4, generator)
        self.entry = Linear(known, width * fold.grid[0] * fold.grid[1], 1.0, generator)
        self.up = Up(fold, layout.channels, config.widths, config.blocks, known, generator)

    def forward(self, noise: Tensor, tokens: Tensor, _: torch.Generator) -> Tensor:
        """noise: (B, Z), tokens: (B, D)."""
        noise = noise if self.training else self.truncation * noise
        both = torch.cat([noise, normalised(self.label(tokens))], 1)
        known = F.silu(self.known(F.silu(self.inner(both))))
        picture: Tensor = self.up(self.entry(known).view(len(noise), -1, *self.grid), known)
        return picture.tanh()


class Model(AdversarialModel):
    """The game with a residual generator."""

    config: Config

    def build(self, fold: Fold, generator: torch.Generator) -> nn.Module:
        """The generator."""
        return Generator(self.config, self.layout, fold, generator)
