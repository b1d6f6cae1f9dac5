"""Generative adversarial network of pictures: a generator against a critic, by one of three games.

The non-saturating game (Goodfellow et al. 2014), the Wasserstein distance with a gradient penalty (Arjovsky et al.
2017; Gulrajani et al. 2017), or relativistic pairs with zero-centred penalties on real and on generated pictures
(R3GAN, Huang et al. 2024), which keeps all modes. Both networks are told the labels.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.models.base import Batch, Descend, ImageConfig, ImageModel, scaled
from synth.nets.critic import Critic, penalty, shifted
from synth.nets.dense import Linear
from synth.nets.draws import rand, randn
from synth.nets.labels import LabelVector
from synth.nets.pyramids import Fold, Up
from synth.nets.styles import normalised


class Config(ImageConfig):
    """Hyper-parameters of the adversarial family of pictures.

    objective: what generator and critic play for, see the module; the non-saturating game has no penalty
    penalty: weight of the objective's gradient penalty; every: steps of the critic from one penalty to the next, each
        as many times as heavy
    critic_steps: steps of the critic for each of the generator
    shift: share of the sides by which the critic sees pictures moved
    noise: normal variables that a picture is made of
    patch: pixels of a side that are folded into channels
    widths: channels of each level, the finest first; blocks: of each level
    """

    epochs: int = Field(60, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.0, 0.99)
    gradient_clip: float = Field(100.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    objective: Literal["relativistic", "wasserstein", "non-saturating"] = "relativistic"
    penalty: float = Field(1.0, ge=0)
    every: int = Field(4, ge=1)
    critic_steps: int = Field(1, ge=1)
    shift: float = Field(0.07, ge=0, le=0.5)
    noise: int = Field(64, ge=1)
    patch: int = Field(2, ge=1)
    widths: tuple[int, ...] = (64, 128)
    blocks: int = Field(2, ge=1)


class Generator(nn.Module):
    """Noise (B, Z) and labels (B, D) -> pictures (B, C, H, W) from -1 to 1."""

    def __init__(self, config: Config, layout: ImageLayout, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        width = config.widths[-1]
        known = 2 * width
        self.grid = fold.grid
        self.label = LabelVector(layout, config.noise, generator)
        self.inner = Linear(2 * config.noise, known, 1.0, generator)
        self.known = Linear(known, known, 1.4, generator)
        self.entry = Linear(known, width * fold.grid[0] * fold.grid[1], 1.0, generator)
        self.up = Up(fold, layout.channels, config.widths, config.blocks, known, generator)

    def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """noise: (B, Z), tokens: (B, D)."""
        both = torch.cat([noise, normalised(self.label(tokens))], 1)
        known = F.silu(self.known(F.silu(self.inner(both))))
        picture: Tensor = self.up(self.entry(known).view(len(noise), -1, *self.grid), known)
        return picture.tanh()


class Model(ImageModel):
    """Generator and critic; the averaged generator draws."""

    config: Config
    steps: Tensor

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        fold = self.fold(config.patch, config.widths)
        self.generator = self.build(fold, generator)
        self.critic = Critic(fold, config.widths, config.blocks, generator)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def build(self, fold: Fold, generator: torch.Generator) -> nn.Module:
        """The generator."""
        return Generator(self.config, self.layout, fold, generator)

    def make(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures (B, C, H, W) with labels (B, D)."""
        made: Tensor = self.generator(randn((len(tokens), self.config.noise), generator, tokens.device), tokens)
        return made

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """There is none that both networks lower."""
        raise NotImplementedError("generator and critic follow losses of their own, see `step`")

    def step(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """A step of the critic and, every `critic_steps`, one of the generator; returns the critic's loss."""
        real, tokens = scaled(batch["images"]), batch["tokens"]
        with torch.no_grad():
            made = self.make(tokens, generator)
        told = descend(self._critic_loss(real, made, tokens, generator), list(self.critic.parameters()))
        self.steps += 1
        if int(self.steps) % self.config.critic_steps == 0:
            made = self._seen(self.make(tokens, generator), generator)
            scores = self.critic(made, tokens)
            if self.config.objective == "relativistic":
                with torch.no_grad():
                    beside = self.critic(self._seen(real, generator), tokens)
                loss = F.softplus(beside - scores).mean()
            else:
                loss = -scores.mean() if self.config.objective == "wasserstein" else F.softplus(-scores).mean()
            descend(loss, list(self.generator.parameters()))
        return told

    def pictures(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W), in one pass."""
        return self.make(tokens, generator)

    def _seen(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        return shifted(pictures, self.config.shift, generator)

    def _critic_loss(self, real: Tensor, made: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        real, made = self._seen(real, generator), self._seen(made, generator)
        good, bad = self.critic(torch.cat([real, made]), torch.cat([tokens, tokens])).chunk(2)
        match self.config.objective:
            case "relativistic":
                loss = F.softplus(bad - good).mean()
            case "wasserstein":
                loss = (bad - good).mean()
            case _:
                return (F.softplus(bad) + F.softplus(-good)).mean()
        if int(self.steps) % self.config.every:
            return loss
        if self.config.objective == "wasserstein":
            way = rand((len(real), 1, 1, 1), generator, real.device)
            found = penalty(lambda x: self.critic(x, tokens), torch.lerp(real, made, way), 1.0)
        else:
            both = penalty(lambda x: self.critic(x, torch.cat([tokens, tokens])), torch.cat([real, made]), 0.0)
            found = both.view(2, -1).sum(0) / 2
        return loss + self.config.every * self.config.penalty * found.mean()
