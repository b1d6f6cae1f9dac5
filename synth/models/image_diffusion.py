"""Diffusion over pictures: rectified flow or DDPM on one U-Net, told labels or a caption, drawn by any sampler.

The network learns the velocity from data to noise (Liu et al. 2023; Salimans & Ho 2022) at times of all lengths alike.
Labels are left out of some rows, so that what they add can be exaggerated while drawing (classifier-free guidance, Ho &
Salimans 2022). The words of a caption are read by a transformer, and the U-Net looks at them (cross-attention, as
Rombach et al. 2022). With `codes` all of this happens in the latent space of an autoencoder that is trained beside it,
and no gradient of the U-Net reaches the codes.
"""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from synth.layout import ImageLayout
from synth.models.base import Batch, ImageConfig, ImageModel, scaled
from synth.nets.dense import Linear
from synth.nets.draws import even, rand, randn
from synth.nets.labels import LabelVector, guidance_of, guided
from synth.nets.latents import Latents
from synth.nets.pyramids import Fold
from synth.nets.samplers import SAMPLERS, Process, times
from synth.nets.unet import UNet

WAVES = 64  # sine and cosine pairs of the time
GUIDANCE = (1.1, 2.5)  # by default, with labels and with captions


class Config(ImageConfig):
    """Hyper-parameters of diffusion over pictures.

    process: the way from data to noise, `flow` (straight) or `ddpm` (variance-preserving)
    sampler: see `synth.nets.samplers`; steps: of it, of which each is one evaluation of the network (two of `heun`),
        twice as many under guidance
    guidance: how much of what the labels add is drawn with, 1 for none of the exaggeration; None for 1.1, and for 2.5
        where there is a caption
    untold: share of the training rows whose labels are left out
    patch: pixels of a side that are folded into channels; widths: channels of each level; blocks: of each level
    codes: channels of the grid of codes that is noised, 0 where it is the pixels themselves; pixels are folded by the
        autoencoder then, and the grid is not
    encoder_widths, encoder_blocks: of the autoencoder, as `widths` and `blocks`
    error: deviation of the decoder's error, of values from -1 to 1; less makes codes tell more
    """

    epochs: int = Field(60, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    gradient_clip: float = Field(1.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    process: Literal["flow", "ddpm"] = "flow"
    sampler: Literal["ddpm", "ddim", "heun", "dpm_solver"] = "dpm_solver"
    steps: int = Field(16, ge=1)
    guidance: float | None = Field(None, ge=0)
    untold: float = Field(0.1, ge=0, le=1)
    patch: int = Field(2, ge=1)
    widths: tuple[int, ...] = (64, 128)
    blocks: int = Field(2, ge=1)
    codes: int = Field(0, ge=0)
    encoder_widths: tuple[int, ...] = (48, 96)
    encoder_blocks: int = Field(1, ge=1)
    error: float = Field(0.15, gt=0)


class Model(ImageModel):
    """The velocity of a noisy picture, given its time and its labels."""

    config: Config

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.process = Process(straight=config.process == "flow")
        known = 2 * config.widths[-1]
        self.time = Linear(2 * WAVES, known, 1.0, generator)
        self.label = LabelVector(layout, known, generator)
        self.mixed = Linear(known, known, 1.0, generator)
        words = known if layout.caption else None
        fold = self.fold(config.patch, config.widths)
        self.latents: Latents | None = None
        if config.codes:
            pixels = self.fold(config.patch, config.encoder_widths)
            sizes = config.encoder_widths, config.encoder_blocks, config.codes
            self.latents = Latents(pixels, *sizes, config.error, generator)
            fold = Fold(self.latents.layout, 1, len(config.widths), self.precision)
        self.unet = UNet(fold, config.widths, config.blocks, known, generator, words)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean squared error of the velocity, per value; with codes, and the nats per value that pictures take."""
        x = scaled(batch["images"])
        if self.latents is None:
            return self._velocity_loss(x, batch["tokens"], generator)
        codes, nats = cast("tuple[Tensor, Tensor]", self.latents(x, generator))
        return nats + self._velocity_loss(codes, batch["tokens"], generator)

    def _velocity_loss(self, x: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Of what is noised, x (B, C, H, W), with labels (B, D)."""
        B, device = len(x), x.device
        time = even(B, generator, device)
        noise = randn(x.shape, generator, device)
        told = rand((B,), generator, device) >= self.config.untold
        at = time[:, None, None, None]
        velocity = self._velocity(self.process.mix(x, noise, at), time, tokens, told)
        return F.mse_loss(velocity, self.process.velocity(x, noise, at))

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """As a picture, or as its codes."""
        return self.shape if self.latents is None else self.latents.shape

    def from_noise(self, noise: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W) drawn by the sampler under guidance."""
        guidance = guidance_of(self.config.guidance, self.layout.caption > 0, GUIDANCE)

        def denoise(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
            clock = x.new_full((len(x),), time)
            velocity = guided(lambda told: self._velocity(x, clock, tokens, told), guidance, tokens)
            return self.process.estimates(x, velocity, time)

        sampler = SAMPLERS[self.config.sampler]
        made = sampler(self.process, denoise, noise, times(self.config.steps), generator)
        return made if self.latents is None else self.latents.decode(made)

    def _velocity(self, x: Tensor, time: Tensor, tokens: Tensor, told: Tensor | None) -> Tensor:
        """At noisy pictures (B, C, H, W), times (B,) and labels (B, D), of which `told` (B,) says whose are told."""
        rates = torch.exp(torch.linspace(0, math.log(1000.0), WAVES, device=x.device))
        phases = time[:, None] * rates
        label, words = self.label.read(tokens, told)
        known = self.time(torch.cat([phases.sin(), phases.cos()], 1)) + label
        velocity: Tensor = self.unet(x, self.mixed(F.silu(known)), words)
        return velocity
