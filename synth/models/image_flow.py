"""Normalizing flow of pictures: invertible steps at several scales, exact bits per value, drawn in one pass.

Glow (Kingma & Dhariwal 2018): pictures with uniform noise inside their levels go through steps of normalisation, mixing
and coupling; at each scale half of the channels are left, with a normal distribution given the other half.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.errors import ConfigError
from synth.layout import ImageLayout
from synth.models.base import LEVELS, Batch, ImageConfig, ImageModel
from synth.nets.draws import rand
from synth.nets.glow import Chain, Gaussian
from synth.nets.labels import LabelVector


class Config(ImageConfig):
    """Hyper-parameters of the flow of pictures.

    bits: pictures are learnt at 2^bits levels, inside which all values are as likely as each other; Glow takes 5. At 8
        the sharp peaks at black and white take all of the network
    widths: hidden channels of the couplings at each scale, each half as high and wide as the one before
    steps: at each scale
    left: share of the channels that is left behind at each scale but the last
    known: length of the vector that stands for the labels
    temperature: of the noise while drawing; below 1 likelier pictures come
    """

    epochs: int = Field(100, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    gradient_clip: float = Field(200.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    bits: int = Field(5, ge=1, le=8)
    widths: tuple[int, ...] = (48, 128)
    steps: tuple[int, ...] = (4, 16)
    left: float = Field(0.0, ge=0, lt=1)
    known: int = Field(64, ge=1)
    temperature: float = Field(0.8, gt=0)


class Model(ImageModel):
    """A chain of steps at each scale, and a distribution of what is left there."""

    config: Config

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        multiple = 2 ** len(config.widths)
        self.sides = layout.height, layout.width
        if any(side % multiple for side in self.sides):
            raise ConfigError(
                f"image_flow: {len(config.widths)} scales (widths) need sides that {multiple} divides, found "
                f"{layout.height} x {layout.width} pixels; bring the pictures to another size"
            )
        if len(config.steps) != len(config.widths):
            raise ConfigError(
                f"image_flow: steps and widths: {len(config.steps)} and {len(config.widths)}, not as many"
            )
        self.label = LabelVector(layout, config.known, generator)
        chains, rests = [], []
        channels = layout.channels
        for i, (width, steps) in enumerate(zip(config.widths, config.steps, strict=True)):
            channels *= 4
            chains.append(Chain(channels, steps, width, config.known, self.precision, generator))
            last = i == len(config.widths) - 1
            kept = 0 if last else channels - int(channels * config.left)
            rests.append(Gaussian(kept, channels - kept, config.known, generator))
            channels = kept
        self.chains, self.rests = nn.ModuleList(chains), nn.ModuleList(rests)
        self.scales: list[tuple[Chain, Gaussian]] = list(zip(chains, rests, strict=True))

    def observe(self, batches: Iterable[Batch], generator: torch.Generator) -> None:
        """Count the labels, and make the first steps normal for the first pictures."""
        rows = iter(batches)
        first = next(rows)
        few = {name: tensor[:256] for name, tensor in first.items()}
        x, known = self._dequantised(few["images"], generator), self.label(few["tokens"])
        for steps, rest in self.scales:
            x = steps.ready(F.pixel_unshuffle(x, 2), known)
            x = x[:, : rest.inputs]
        super().observe(chain([first], rows), generator)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats of a picture given its labels, above those of uniform noise."""
        return -self._log_density(batch, generator).mean()

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log-likelihood in nats given the labels, in the middle of the values' levels."""
        values = self.layout.channels * self.layout.height * self.layout.width
        return self._log_density(batch, None) - values * math.log(LEVELS / 2)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """As a picture: the parts of all scales after each other."""
        return self.shape

    def from_noise(self, noise: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W), in one pass."""
        known, flat = self.label(tokens), noise.flatten(1)
        x: Tensor | None = None
        for i, (steps, rest) in reversed(list(enumerate(self.scales))):
            sides = [side // 2 ** (i + 1) for side in self.sides]
            mine, flat = flat.tensor_split([rest.outputs * sides[0] * sides[1]], 1)
            mine = mine.reshape(len(tokens), rest.outputs, *sides)
            left = rest.draw(self.config.temperature * mine, x, known)
            whole = left if x is None else torch.cat([x, left], 1)
            x = F.pixel_shuffle(steps.inverse(whole, known), 2)
        assert x is not None  # noqa: S101 - there is a scale
        count = 2**self.config.bits
        level = ((x + 1) / 2 * count).floor().clamp(0, count - 1)
        made: Tensor = 2 * level / (count - 1) - 1
        return made

    def _log_density(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        """(B,) of pictures from -1 to 1, with noise inside their levels where there is a generator."""
        x, known = self._dequantised(batch["images"], generator), self.label(batch["tokens"])
        total = torch.zeros(len(x), device=x.device)
        for steps, rest in self.scales:
            x, determinant = steps(F.pixel_unshuffle(x, 2), known)
            kept = rest.inputs
            x, left = x[:, :kept], x[:, kept:]
            total = total + determinant + rest.log_prob(left, x if kept else None, known)
        return total

    def _dequantised(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        noise = 0.5 if generator is None else rand(images.shape, generator, images.device)
        level = images // 2 ** (8 - self.config.bits)
        x: Tensor = (level + noise) * (2 / 2**self.config.bits) - 1
        return x
