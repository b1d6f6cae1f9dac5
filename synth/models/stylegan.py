"""StyleGAN: noise is mapped to styles, which steer a synthesis network at every level; noise adds the rest per pixel.

Mapping, styles, noise and mixing as Karras et al. 2019, modulated convolutions and summed levels as Karras et al. 2020.
See `synth.nets.game` for the game, the relativistic one by default.
"""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.models.base import AdversarialConfig, AdversarialModel
from synth.nets.convolutions import doubled
from synth.nets.draws import rand, randn
from synth.nets.labels import LabelVector
from synth.nets.precision import working
from synth.nets.pyramids import Fold
from synth.nets.styles import Mapping, StyledConv, ToPixels


class Config(AdversarialConfig):
    """Hyper-parameters of StyleGAN, beside those of all adversarial families of pictures.

    blocks: convolutions of each level
    mapping: layers of the mapping network; style: length of a style
    mixing: share of the training pictures that take their styles from two draws, the second from a random level on
    truncation: how far styles are drawn from their mean while sampling, 1 for as far as they were learnt; less gives
        better pictures and fewer kinds
    style_decay: of the running mean of the styles
    """

    blocks: int = Field(2, ge=1)
    mapping: int = Field(4, ge=1)
    style: int = Field(128, ge=1)
    mixing: float = Field(0.5, ge=0, le=1)
    truncation: float = Field(1.0, ge=0, le=1)
    style_decay: float = Field(0.995, ge=0, lt=1)


class Synthesis(nn.Module):
    """Styles (B, L, S), one for each convolution, -> pictures (B, C, H, W)."""

    def __init__(self, config: Config, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        self.fold, self.count = fold, config.blocks
        width = config.widths[-1]
        self.constant = nn.Parameter(torch.randn((1, width, *fold.grid), generator=generator))
        self.convs, self.pixels = nn.ModuleList(), nn.ModuleList()
        for level in reversed(config.widths):
            for _ in range(config.blocks):
                self.convs.append(StyledConv(width, level, config.style, generator))
                width = level
            self.pixels.append(ToPixels(width, fold.channels, config.style, generator))

    def forward(self, styles: Tensor, generator: torch.Generator) -> Tensor:
        """generator: of the noise at every pixel."""
        x = working(self.constant.expand(len(styles), -1, -1, -1), self.fold.precision)
        picture: Tensor | None = None
        for i, conv in enumerate(self.convs):
            if i and i % self.count == 0:
                x = doubled(x)
            x = conv(x, styles[:, i], randn((len(x), 1, *x.shape[2:]), generator, x.device))
            if (i + 1) % self.count == 0:
                added = self.pixels[i // self.count](x, styles[:, i])
                picture = added if picture is None else doubled(picture) + added
        assert picture is not None  # noqa: S101 - a level has a block
        return self.fold.unfold(picture).tanh()


class Generator(nn.Module):
    """Noise (B, Z) and labels (B, D) -> pictures; keeps the mean style of the training."""

    mean: Tensor

    def __init__(self, config: Config, layout: ImageLayout, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.label = LabelVector(layout, config.noise, generator)
        self.mapping = Mapping(config.noise, config.style, config.mapping, generator)
        self.synthesis = Synthesis(config, fold, generator)
        self.register_buffer("mean", torch.zeros(config.style))

    def forward(self, noise: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """noise: (B, Z), tokens: (B, D). Mixes styles while training, truncates them otherwise."""
        label, count = self.label(tokens), len(self.synthesis.convs)
        style = self.mapping(noise, label)
        styles = style[:, None].expand(-1, count, -1)
        if not self.training:
            return cast("Tensor", self.synthesis(torch.lerp(self.mean, styles, self.config.truncation), generator))
        with torch.no_grad():
            self.mean.lerp_(style.mean(0), 1 - self.config.style_decay)
        other = self.mapping(randn(noise.shape, generator, noise.device), label)[:, None]
        chance, level = rand((2, len(noise), 1), generator, noise.device)
        first = 1 + (level * (count - 1)).long()  # the level from which on the second draw steers
        mixed = (chance < self.config.mixing) & (torch.arange(count, device=noise.device) >= first)
        return cast("Tensor", self.synthesis(torch.where(mixed[:, :, None], other, styles), generator))


class Model(AdversarialModel):
    """The game with a style-based generator."""

    config: Config

    def build(self, fold: Fold, generator: torch.Generator) -> nn.Module:
        """The generator."""
        return Generator(self.config, self.layout, fold, generator)
