"""Pictures as a small grid of codes and back: what diffusion in a latent space works on (Rombach et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.nets.convolutions import Conv
from synth.nets.draws import posterior
from synth.nets.pyramids import Down, Fold, Up

MEMORY = 0.02  # of the running moments of the codes


class Latents(nn.Module):
    """A convolutional autoencoder whose codes are lightly held to a normal distribution; they are told in units of
    their running moments.

    codes: channels of the grid; error: deviation of the decoder's error, of values from -1 to 1
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, fold: Fold, widths: Sequence[int], blocks: int, codes: int, error: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.error, (high, wide) = error, fold.grid
        self.layout: ImageLayout = replace(fold.layout, channels=codes, height=high, width=wide)
        self.down = Down(fold, widths, blocks, generator)
        self.encoded = Conv(widths[-1], 2 * codes, 1, 0.5, generator)
        self.decoded = Conv(codes, widths[-1], 3, 1.0, generator)
        self.up = Up(fold, fold.layout.channels, widths, blocks, None, generator)
        self.register_buffer("centre", torch.zeros((1, codes, 1, 1)))
        self.register_buffer("spread", torch.ones((1, codes, 1, 1)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the codes of a picture."""
        return self.layout.channels, self.layout.height, self.layout.width

    def forward(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes (B, Z, h, w) of pictures from -1 to 1, through which no gradient goes, and the nats per value that the
        pictures take."""
        mean, spread = self.encoded(self.down(x).float()).chunk(2, 1)
        spread = spread.clamp(-7, 3)
        codes, divergence = posterior(mean, spread, generator)
        apart = (self._shown(codes) - x).square().sum() / (2 * self.error**2)
        codes = codes.detach()
        if self.training:
            self.centre.lerp_(codes.mean((0, 2, 3), keepdim=True), MEMORY)
            self.spread.lerp_(codes.std((0, 2, 3), keepdim=True), MEMORY)
        return (codes - self.centre) / self.spread, (apart + divergence.sum()) / x.numel()

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures from -1 to 1 of codes as `forward` tells them."""
        return self._shown(self.centre + self.spread * codes)

    def _shown(self, codes: Tensor) -> Tensor:
        return cast("Tensor", self.up(self.decoded(codes), None)).tanh()
