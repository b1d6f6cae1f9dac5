"""Diffusion in the latent space of an autoencoder: `image_diffusion` on a small grid of codes instead of on pixels.

A convolutional autoencoder gives a picture a grid of codes, lightly held to a normal distribution; the U-Net learns the
codes, and what it draws is decoded (Rombach et al. 2022). Both are trained side by side, and no gradient of the U-Net
reaches the codes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.models import image_diffusion
from synth.models.base import Batch, scaled
from synth.nets.convolutions import Conv
from synth.nets.draws import randn
from synth.nets.pyramids import Down, Fold, Up

MEMORY = 0.02  # of the running moments of the codes


class Config(image_diffusion.Config):
    """Hyper-parameters of latent diffusion, beside those of `image_diffusion`, whose `widths` and `blocks` are those of
    the U-Net here.

    codes: channels of the grid of codes
    error: deviation of the decoder's error, of values from -1 to 1; less makes codes tell more
    patch: pixels of a side that the autoencoder folds into channels; encoder_widths: channels of its levels;
        encoder_blocks: of each
    """

    widths: tuple[int, ...] = (96, 160)
    codes: int = Field(4, ge=1)
    error: float = Field(0.15, gt=0)
    encoder_widths: tuple[int, ...] = (48, 96)
    encoder_blocks: int = Field(1, ge=1)


class Autoencoder(nn.Module):
    """Pictures (B, C, H, W) <-> Gaussians over codes (B, Z, h, w)."""

    def __init__(self, config: Config, layout: ImageLayout, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        width = config.encoder_widths[-1]
        self.down = Down(fold, config.encoder_widths, config.encoder_blocks, generator)
        self.encoded = Conv(width, 2 * config.codes, 1, 0.5, generator)
        self.decoded = Conv(config.codes, width, 3, 1.0, generator)
        self.up = Up(fold, layout.channels, config.encoder_widths, config.encoder_blocks, None, generator)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-deviations of pictures from -1 to 1."""
        mean, spread = self.encoded(self.down(x).float()).chunk(2, 1)
        return mean, spread.clamp(-7, 3)

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures from -1 to 1."""
        return cast("Tensor", self.up(self.decoded(codes), None)).tanh()


class Model(image_diffusion.Model):
    """An autoencoder, and the velocity of its noisy codes."""

    config: Config
    centre: Tensor
    spread: Tensor

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.autoencoder = Autoencoder(config, layout, self._pixels(), generator)
        self.register_buffer("centre", torch.zeros((1, config.codes, 1, 1)))
        self.register_buffer("spread", torch.ones((1, config.codes, 1, 1)))

    def _pixels(self) -> Fold:
        return self.fold(self.config.patch, self.config.encoder_widths)

    def space(self) -> Fold:
        """The grid of codes."""
        high, wide = self._pixels().grid
        codes = replace(self.layout, channels=self.config.codes, height=high, width=wide)
        return Fold(codes, 1, len(self.config.widths), self.precision)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats per value that a picture takes under a decoder of that error, and the squared error of the velocity."""
        x = scaled(batch["images"])
        mean, spread = self.autoencoder.encode(x)
        codes = mean + spread.exp() * randn(mean.shape, generator, x.device)
        divergence = (0.5 * (mean.square() + (2 * spread).exp() - 1) - spread).sum()
        apart = (self.autoencoder.decode(codes) - x).square().sum() / (2 * self.config.error**2)
        codes = codes.detach()
        if self.training:
            self.centre.lerp_(codes.mean((0, 2, 3), keepdim=True), MEMORY)
            self.spread.lerp_(codes.std((0, 2, 3), keepdim=True), MEMORY)
        codes = (codes - self.centre) / self.spread
        return (apart + divergence) / x.numel() + self.velocity_loss(codes, batch["tokens"], generator)

    def pictures(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W) decoded from codes that the sampler draws."""
        codes = self.drawn(tokens, (self.config.codes, *self._pixels().grid), generator)
        return self.autoencoder.decode(self.centre + self.spread * codes)
