"""Generative adversarial network of series: a generator of all steps against a critic of them.

The games of `synth.nets.game`, between transformers over the steps (as TimeGAN, Yoon et al. 2019, has recurrent ones);
the averaged generator draws.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from synth.layout import SeriesLayout
from synth.models.base import Batch, Descend
from synth.models.base_series import SeriesConfig, StepModel
from synth.nets.dense import Linear
from synth.nets.draws import randn
from synth.nets.game import Game, GameConfig
from synth.nets.steps import StepNetwork


class Config(GameConfig, SeriesConfig):
    """Hyper-parameters of the adversarial family of series, beside those of the game.

    noise: normal variables of a step
    """

    epochs: int = Field(300, ge=1)
    min_steps: int = Field(2000, ge=0)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.0, 0.99)
    gradient_clip: float = Field(100.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    validation_share: float = Field(0.0, ge=0, le=0.5)
    dropout: float = Field(0.0, ge=0, lt=1)
    shift: float = Field(0.0, ge=0, le=0)
    noise: int = Field(8, ge=1)


class Generator(nn.Module):
    """(B, L, Z) noise -> (B, L, D) scores, straight and by way of a network."""

    def __init__(self, config: Config, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__()
        D = len(layout.steps.columns)
        self.network = StepNetwork(layout, config.noise, D, config.width, config.layers, config.dropout, generator)
        self.skip = Linear(config.noise, D, 1.0, generator)

    def forward(self, noise: Tensor, tokens: Tensor, there: Tensor) -> Tensor:
        """tokens: (B, S); there: (B, L)."""
        return cast("Tensor", self.network(noise, tokens, there, None) + self.skip(noise))


class Critic(nn.Module):
    """(B, 1, L, D) scores and a mask of those that are there, and (B, S) what series have once -> (B,) judgements."""

    def __init__(self, config: Config, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__()
        D = len(layout.steps.columns)
        self.network = StepNetwork(layout, D, config.width, config.width, config.layers, 0.0, generator)
        self.exit = Linear(config.width, 1, 1.0, generator)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The last column of x says where a step is."""
        scores, there = x[:, 0, :, :-1], x[:, 0, :, -1] > 0
        with sdpa_kernel(SDPBackend.MATH):  # the only one with the second derivatives that a penalty takes
            seen = F.leaky_relu(self.network(scores, tokens, there, None), 0.2) * there[..., None]
        return cast("Tensor", self.exit(seen.sum(1) / there.sum(1, keepdim=True).sqrt()).squeeze(1))


class Model(StepModel):
    """The game."""

    config: Config

    def __init__(self, config: Config, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.generator = Generator(config, layout, generator)
        self.game = Game(Critic(config, layout, generator), config)  # type: ignore[arg-type]

    def step_loss(self, scores: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """There is none that both networks lower."""
        raise NotImplementedError("generator and critic follow losses of their own, see `step`")

    def step(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """Learn what series have once, and a turn of the game; returns the critic's loss."""
        scores, tokens, there = self.read(batch, generator)
        descend(-self.once.log_prob(tokens, generator).mean(), list(self.once.parameters()))

        def make() -> Tensor:
            return self._shown(self.steps(tokens, there, generator), there)

        return self.game.play(self._shown(scores, there), tokens, make, self.generator, descend, generator)

    def steps(self, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """In one pass."""
        noise = randn((*there.shape, self.config.noise), generator, tokens.device)
        made: Tensor = self.generator(noise, tokens, there)
        return made

    def _shown(self, scores: Tensor, there: Tensor) -> Tensor:
        """(B, 1, L, D + 1): the scores, and where they are."""
        mask = there[..., None].to(scores.dtype)
        return torch.cat([scores * mask, mask], -1)[:, None]
