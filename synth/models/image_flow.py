"""Normalizing flow of pictures: invertible steps at several scales, exact bits per value, drawn in one pass.

Haar's wavelets halve a picture again and again (Wavelet Flow, Yu et al. 2020). The smallest one, and at each scale the
details given the next smaller picture, go through steps of normalisation, mixing and coupling (Glow, Kingma & Dhariwal
2018) until they are normal. So is the noise inside the levels (as Zhai et al. 2024 find better): a flat background
comes out of a scale and a shift, where uniform noise takes a map without end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.errors import ConfigError
from synth.layout import ImageLayout
from synth.models.base import LEVELS, Batch, ImageConfig, ImageModel, scaled
from synth.nets.convolutions import Conv
from synth.nets.draws import rand
from synth.nets.glow import Chain, halves, whole
from synth.nets.labels import LabelVector
from synth.nets.precision import working
from synth.nets.pyramids import Block

SPREAD = 1 / 6  # deviation of the noise inside a level, of its width
EDGE = (1 + math.erf(-0.5 / SPREAD / math.sqrt(2))) / 2  # share of normal noise below a level's lower end, cut off
PEAK = (1 - 2 * EDGE) * SPREAD * math.sqrt(2 * math.pi)  # inverse of its density in the middle, of a level's width


class Config(ImageConfig):
    """Hyper-parameters of the flow of pictures.

    bits: pictures are learnt at 2^bits levels, inside which all values are as likely as each other, and drawn with
        the mean of the values that were seen at each
    widths: hidden channels of the couplings at each scale, the finest first; steps: of each
    blocks: residual blocks at each scale, of the network that sees the next smaller one
    small_width, small_steps: of the couplings of the smallest picture, which are dense
    known: length of the vector that stands for the labels
    temperature: of the smallest picture's noise while drawing, below 1 likelier ones come; detail: of the details'
    """

    epochs: int = Field(100, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    gradient_clip: float = Field(200.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    bits: int = Field(2, ge=1, le=8)
    widths: tuple[int, ...] = (128, 96)
    steps: tuple[int, ...] = (8, 6)
    blocks: int = Field(2, ge=0)
    small_width: int = Field(256, ge=1)
    small_steps: int = Field(12, ge=1)
    known: int = Field(64, ge=1)
    temperature: float = Field(0.9, gt=0)
    detail: float = Field(0.4, gt=0)


class Scale(nn.Module):
    """The details (B, 3 C, H, W) of a scale, given the picture (B, C, H, W) that they are left out of.

    Both are folded, 2 x 2 places into channels, where the sides are even.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int,
        steps: int,
        config: Config,
        precision: torch.dtype | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        channels, *sides = shape
        self.patch = 1 if any(side % 2 for side in sides) else 2
        channels *= self.patch**2
        self.shape = (3 * channels, *(side // self.patch for side in sides))
        self.precision = precision
        self.entry = Conv(channels, width, 3, 1.0, generator)
        self.blocks = nn.ModuleList(Block(width, width, config.known, generator) for _ in range(config.blocks))
        options = {"size": 3, "width": width, "known": config.known, "seen": width, "precision": precision}
        self.chain = Chain(3 * channels, steps, generator, **options)

    def sight(self, small: Tensor, known: Tensor) -> Tensor:
        """What the chain sees of the smaller picture."""
        x = self.entry(working(F.pixel_unshuffle(small, self.patch), self.precision))
        for block in self.blocks:
            x = block(x, known)
        return F.silu(x)

    def ready(self, details: Tensor, small: Tensor, known: Tensor) -> None:
        """As `Chain.ready`."""
        self.chain.ready(F.pixel_unshuffle(details, self.patch), known, self.sight(small, known))

    def log_prob(self, details: Tensor, small: Tensor, known: Tensor) -> Tensor:
        """(B,) nats."""
        return self.chain.log_prob(F.pixel_unshuffle(details, self.patch), known, self.sight(small, known))

    def draw(self, noise: Tensor, small: Tensor, known: Tensor) -> Tensor:
        """noise: (n, F), F the values of `shape`."""
        made = self.chain.inverse(noise.view(-1, *self.shape), known, self.sight(small, known))
        return F.pixel_shuffle(made, self.patch)


class Model(ImageModel):
    """A chain for the details of each scale given the next smaller picture, and one for the smallest picture."""

    config: Config
    means: Tensor

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        multiple = 2 ** len(config.widths)
        high, wide = layout.height, layout.width
        if high % multiple or wide % multiple:
            raise ConfigError(
                f"image_flow: {len(config.widths)} scales (widths) need sides that {multiple} divides, found "
                f"{high} x {wide} pixels; bring the pictures to another size"
            )
        if len(config.steps) != len(config.widths):
            raise ConfigError(
                f"image_flow: steps and widths: {len(config.steps)} and {len(config.widths)}, not as many"
            )
        self.label = LabelVector(layout, config.known, generator)
        self.register_buffer("means", torch.linspace(-1, 1, 2**config.bits))
        self.scales: list[Scale] = []
        for width, steps in zip(config.widths, config.steps, strict=True):
            high, wide = high // 2, wide // 2
            self.scales.append(Scale((layout.channels, high, wide), width, steps, config, self.precision, generator))
        self.details, self.smallest = nn.ModuleList(self.scales), (layout.channels, high, wide)
        options = {"size": 1, "width": config.small_width, "known": config.known, "seen": 0}
        self.small = Chain(math.prod(self.smallest), config.small_steps, generator, **options, precision=torch.float32)

    def observe(self, batches: Iterable[Batch], generator: torch.Generator) -> None:
        """Count the labels, find the mean of each level, and make the first steps normal for the first pictures."""
        rows = iter(batches)
        first = next(rows)
        few = {name: tensor[:256] for name, tensor in first.items()}
        x, known = self._dequantised(few["images"], generator), self.label(few["tokens"])
        with torch.no_grad():
            for scale in self.scales:
                x, details = halves(x)
                scale.ready(details, x, known)
            self.small.ready(x.flatten(1)[:, :, None, None], known, None)
        super().observe(self._averaged(chain([first], rows)), generator)

    def _averaged(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; after the last one the means of what was seen at each level are known."""
        sums, counts = (torch.zeros(len(self.means), dtype=torch.float64) for _ in range(2))
        for batch in batches:
            images = batch["images"].flatten().cpu()
            level = self._level(images).long()
            sums += level.bincount(images.double(), len(sums))
            counts += level.bincount(minlength=len(sums))
            yield batch
        seen = (counts > 0).to(self.means.device)
        means = scaled((sums / counts.clamp_min(1)).to(self.means))
        self.means.copy_(torch.where(seen, means, self.means))

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats of a picture given its labels, above those of uniform noise."""
        return -self._log_density(batch, generator).mean()

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log-likelihood in nats given the labels, in the middle of the values' levels."""
        values = self.layout.channels * self.layout.height * self.layout.width
        return self._log_density(batch, None) - values * math.log(LEVELS / 2 / PEAK)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """As a picture: the parts of all scales after each other."""
        return self.shape

    def from_noise(self, noise: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W), in one pass."""
        known, noise = self.label(tokens), noise.flatten(1)
        sizes = [math.prod(self.smallest), *(math.prod(scale.shape) for scale in self.scales[::-1])]
        mine, *parts = torch.split(noise, sizes, 1)
        x = self.small.inverse(self.config.temperature * mine[:, :, None, None], known, None).view(-1, *self.smallest)
        for scale, part in zip(self.scales[::-1], parts, strict=True):
            x = whole(x, scale.draw(self.config.detail * part, x, known))
        count = len(self.means)
        made: Tensor = self.means[((x + 1) / 2 * count).long().clamp(0, count - 1)]
        return made

    def _log_density(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        """(B,) of pictures from -1 to 1, with noise inside their levels where there is a generator."""
        x, known = self._dequantised(batch["images"], generator), self.label(batch["tokens"])
        total = torch.zeros(len(x), device=x.device)
        for scale in self.scales:
            x, details = halves(x)
            total = total + scale.log_prob(details, x, known)
        return total + self.small.log_prob(x.flatten(1)[:, :, None, None], known, None)

    def _dequantised(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        place: Tensor | float = 0.5
        if generator is not None:
            chance = rand(images.shape, generator, images.device)
            place = place + SPREAD * torch.special.ndtri(EDGE + (1 - 2 * EDGE) * chance)
        x: Tensor = (self._level(images) + place) * (2 / len(self.means)) - 1
        return x

    def _level(self, images: Tensor) -> Tensor:
        level: Tensor = images // 2 ** (8 - self.config.bits)
        return level
