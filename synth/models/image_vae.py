"""Variational autoencoder of pictures in two stages: what the latents leave blurry, a second model on them makes sharp.

The first stage encodes a picture to a Gaussian over latents and decodes to a discretised logistic of every value
(Kingma & Welling 2014; Salimans et al. 2017). The aggregate of the codes is not the prior; a rectified flow learns it
given the labels (the second stage, Dai & Wipf 2019), and drawing goes noise -> latents -> picture. Some pictures are
shown to the encoder under noise (Im et al. 2017), so that it serves to take noise away.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.models.base import LEVELS, Batch, ImageConfig, ImageModel, levels, scaled
from synth.nets.denoiser import Denoiser
from synth.nets.dense import Linear
from synth.nets.draws import posterior, rand, randn
from synth.nets.labels import LabelVector, guided
from synth.nets.mixture import Mixture
from synth.nets.pyramids import Down, Fold, Up

LEAST_SCALE = -4.0  # logarithm of a logistic's scale, of values from -1 to 1


class Config(ImageConfig):
    """Hyper-parameters of the autoencoder of pictures.

    latents: length of a code
    divergence: weight of the code's divergence from the prior; below 1 codes tell more and pictures are sharper
    noisy: share of the training pictures that the encoder sees under Gaussian noise, of deviations up to `noise` of
        values from -1 to 1
    mixture: normal distributions that say which codes are usual, for anomaly scores
    climb: steps in which a code follows a noisy picture when its noise is taken away
    patch: pixels of a side that are folded into channels; widths: channels of each level; blocks: of each level
    prior_width, prior_blocks: of the second stage; steps: evaluations of it that draw a code
    guidance: of the second stage, 1 for none; untold: share of the rows whose labels it is not told
    """

    epochs: int = Field(60, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    gradient_clip: float = Field(1e4, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    latents: int = Field(64, ge=1)
    divergence: float = Field(0.2, ge=0)
    patch: int = Field(2, ge=1)
    widths: tuple[int, ...] = (64, 128)
    blocks: int = Field(1, ge=1)
    noisy: float = Field(0.2, ge=0, le=1)
    noise: float = Field(1.0, ge=0)
    climb: int = Field(30, ge=0)
    mixture: int = Field(20, ge=1)
    prior_width: int = Field(384, ge=1)
    prior_blocks: int = Field(4, ge=1)
    steps: int = Field(6, ge=1)
    guidance: float = Field(1.4, ge=0)
    untold: float = Field(0.1, ge=0, le=1)


class Encoder(nn.Module):
    """Pictures (B, C, H, W) -> means and log-deviations of their codes, (B, Z) each."""

    def __init__(self, config: Config, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        self.down = Down(fold, config.widths, config.blocks, generator)
        self.exit = Linear(config.widths[-1] * fold.grid[0] * fold.grid[1], 2 * config.latents, 0.3, generator)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: from -1 to 1."""
        mean, spread = self.exit(self.down(x).flatten(1).float()).chunk(2, 1)
        return mean, spread.clamp(-7, 3)


class Decoder(nn.Module):
    """Codes (B, Z) and labels (B, D) -> locations and log-scales of the values, (B, C, H, W) each."""

    def __init__(self, config: Config, layout: ImageLayout, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        width = config.widths[-1]
        known = 2 * width
        self.grid = fold.grid
        self.label = LabelVector(layout, known, generator)
        self.code = Linear(config.latents, known, 1.0, generator)
        self.entry = Linear(config.latents, width * fold.grid[0] * fold.grid[1], 1.0, generator)
        self.up = Up(fold, 2 * layout.channels, config.widths, config.blocks, known, generator)

    def forward(self, code: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """code: (B, Z), tokens: (B, D)."""
        known = F.silu(self.code(code) + self.label(tokens))
        location, scale = self.up(self.entry(code).view(len(code), -1, *self.grid), known).chunk(2, 1)
        return location, (scale - 2).clamp_min(LEAST_SCALE)  # a location beyond an end makes that level certain


class Prior(nn.Module):
    """The velocity of a noisy code, given its time and the labels: (B, Z) -> (B, Z)."""

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__()
        self.entry = Linear(config.latents, config.prior_width, 1.0, generator)
        self.label = LabelVector(layout, config.prior_width, generator)
        self.denoiser = Denoiser(config.prior_width, config.prior_blocks, 0.0, generator)
        self.exit = Linear(config.prior_width, config.latents, 0.0, generator)

    def forward(self, code: Tensor, time: Tensor, tokens: Tensor, told: Tensor | None) -> Tensor:
        """time: (B,), tokens: (B, D), told: (B,) bool, whose labels are told."""
        hidden = self.entry(code) + self.label(tokens, told)
        return cast("Tensor", self.exit(self.denoiser(hidden, time, None)))


class Model(ImageModel):
    """Encoder, decoder and the flow of their codes, trained side by side; no gradient of the flow reaches the codes."""

    transforms = ("reconstruct", "denoise")

    config: Config
    centre: Tensor
    spread: Tensor
    blur: Tensor

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        fold = self.fold(config.patch, config.widths)
        self.encoder = Encoder(config, fold, generator)
        self.decoder = Decoder(config, layout, fold, generator)
        self.prior = Prior(config, layout, generator)
        self.mixture = Mixture(config.mixture, config.latents)
        self.register_buffer("centre", torch.zeros(config.latents))
        self.register_buffer("spread", torch.ones(config.latents))
        self.register_buffer("blur", torch.ones(config.latents))

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats that a picture takes, by both parts of its code, and the squared error of the flow on its codes."""
        images, tokens = batch["images"], batch["tokens"]
        seen, clear = self._seen(scaled(images), generator)
        mean, spread = self.encoder(seen)
        code, divergence = posterior(mean, spread, generator)
        nats = -log_levels(images, *self.decoder(code, tokens)).flatten(1).sum(1)
        if self.training:
            with torch.no_grad():
                self._follow(code[clear], spread[clear])
        loss: Tensor = (nats + self.config.divergence * divergence.sum(1)).mean()
        return loss + self._prior_loss(code.detach()[clear], tokens[clear], generator)

    def _seen(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the encoder sees of pictures while training, and (B,) which of them it sees clearly."""
        clear = rand((len(x),), generator, x.device) >= self.config.noisy * self.training
        level = self.config.noise * rand((len(x),), generator, x.device) * ~clear
        return x + level[:, None, None, None] * randn(x.shape, generator, x.device), clear

    def _follow(self, code: Tensor, spread: Tensor) -> None:
        """Running moments of the codes, and how blurred one is."""
        if len(code) > 1:
            for kept, now in (
                (self.centre, code.mean(0)),
                (self.spread, code.std(0)),
                (self.blur, spread.exp().mean(0)),
            ):
                kept.lerp_(now, 0.01)

    def _prior_loss(self, code: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        code = self._standard(code)
        time = torch.special.expit(randn((len(code),), generator, code.device))
        noise = randn(code.shape, generator, code.device)
        told = rand((len(code),), generator, code.device) >= self.config.untold
        velocity: Tensor = self.prior(torch.lerp(code, noise, time[:, None]), time, tokens, told)
        return (velocity - (noise - code)).square().sum(1).mean()

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """As a code."""
        return (self.config.latents,)

    def from_noise(self, noise: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W): the locations that drawn codes are decoded to."""
        return self._shown(self.codes(noise, tokens), tokens)

    def codes(self, x: Tensor, tokens: Tensor) -> Tensor:
        """(n, Z) codes of pictures with labels (n, D): noise down the flow by the two-step Adams-Bashforth method."""
        before: Tensor | None = None
        for now, then in pairwise(torch.linspace(1, 0, self.config.steps + 1).tolist()):
            clock = x.new_full((len(x),), now)
            slope = guided(partial(self.prior, x, clock, tokens), self.config.guidance, tokens)
            x = x + (then - now) * (slope if before is None else 1.5 * slope - 0.5 * before)
            before = slope
        return self.centre + self.spread * x

    def encode(self, batch: Batch) -> Tensor:
        """(B, Z) means of the codes."""
        mean: Tensor = self.encoder(scaled(batch["images"]))[0]
        return mean

    def finish(self, batches: Iterable[Batch]) -> None:
        """Fit the mixture to the codes."""
        self.mixture.fit(torch.cat([self._standard(self.encode(batch)) for batch in batches]))

    def anomaly_score(self, batch: Batch) -> Tensor:
        """(B,) nats that a picture's code takes under the mixture.

        Not the evidence lower bound, which finds plain pictures likely, whatever they show (Nalisnick et al. 2019).
        """
        return -self.mixture.log_prob(self._standard(self.encode(batch)))

    def _standard(self, code: Tensor) -> Tensor:
        return (code - self.centre) / self.spread

    def transform(self, how: str, batch: Batch, wanted: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Decoded means of the codes; to `denoise`, of codes that follow the noisy picture."""
        x, tokens = scaled(batch["images"]), torch.where(wanted >= 0, wanted, batch["tokens"])
        code: Tensor = self.encoder(x)[0]
        code = self._climbed(code, x, tokens) if how == "denoise" else code
        return {"images": levels(self._shown(code, tokens)), "tokens": tokens}

    def _shown(self, code: Tensor, tokens: Tensor) -> Tensor:
        """(B, C, H, W) from -1 to 1, decoded."""
        return cast("Tensor", self.decoder(code, tokens)[0].clamp(-1, 1))

    def _climbed(self, code: Tensor, x: Tensor, tokens: Tensor) -> Tensor:
        """Codes (B, Z) of greater posterior density under Gaussian noise of the size that is left."""
        first = code
        with torch.enable_grad():
            code = code.clone().requires_grad_(True)
            optimiser = torch.optim.Adam([code], lr=0.05)
            power = (self._shown(code, tokens) - x).detach().square().mean((1, 2, 3)).clamp_min(1e-4)
            for _ in range(self.config.climb):
                apart = (self._shown(code, tokens) - x).square().sum((1, 2, 3)) / power
                held = ((code - first) / self.spread).square().sum(1)
                (code.grad,) = torch.autograd.grad((apart + held).sum() / 2, code)
                optimiser.step()
        return code.detach()

    def quantised(self, batch: Batch) -> Tensor:
        """(B, Z) int64: means of the codes in steps of `grain`."""
        return (self.encode(batch) / self.grain).round().long()

    @property
    def grain(self) -> Tensor:
        """(Z,) step of a quantised code: twice the deviation that a code has anyway."""
        return 2 * self.blur

    def level_probabilities(self, quantised: Tensor, tokens: Tensor) -> Tensor:
        """(B, C, H, W, LEVELS) float64: of each level of each value, given quantised codes (B, Z) and labels (B, D)."""
        location, scale = (part.double() for part in self.decoder(quantised * self.grain, tokens))
        edges = (torch.arange(LEVELS - 1, device=location.device, dtype=torch.float64) + 0.5) / 127.5 - 1
        below = torch.special.expit((edges - location[..., None]) * (-scale).exp()[..., None])
        return torch.diff(F.pad(F.pad(below, (1, 0), value=0.0), (0, 1), value=1.0))


def log_levels(images: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """Log-probabilities of uint8 values under discretised logistics (Salimans et al. 2017, eq. 2).

    location: from -1 to 1, scale: its logarithm; all of one shape. The ends have the tails.
    """
    x, half = scaled(images), 1 / 255
    inverse = (-scale).exp()
    upper, lower = (x + half - location) * inverse, (x - half - location) * inverse
    within = F.logsigmoid(upper) + torch.log(-torch.expm1((lower - upper).clamp_max(-1e-7))) + F.logsigmoid(-lower)
    low = F.logsigmoid(upper)
    high = F.logsigmoid(-lower)
    return torch.where(images == 0, low, torch.where(images == 255, high, within))
