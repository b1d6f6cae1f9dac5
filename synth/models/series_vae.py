"""Variational autoencoder of series: one code for all steps, of which a Gaussian of each is made.

Kingma & Welling 2014; over time series Desai et al. 2021. What smoothing leaves of numbers has no memory, so that a
decoder without one is no loss.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from synth.layout import SeriesLayout
from synth.models.base_series import StepConfig, StepModel
from synth.nets.dense import Linear
from synth.nets.draws import posterior, randn
from synth.nets.steps import StepNetwork

LEAST_SCALE, MOST_SCALE = -4.0, 1.0  # logarithms


class Config(StepConfig):
    """Hyper-parameters of the autoencoder of series.

    latents: length of the code; divergence: weight of its divergence from the prior
    """

    latents: int = Field(16, ge=1)
    divergence: float = Field(1.0, ge=0)


class Model(StepModel):
    """Encoder and decoder of the scores."""

    config: Config

    def __init__(self, config: Config, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        D, width, Z = len(layout.steps.columns), config.width, config.latents
        sizes = width, config.layers, config.dropout
        self.encoder = StepNetwork(layout, D, width, *sizes, generator)
        self.code = Linear(width, 2 * Z, 0.1, generator)
        self.decoder = StepNetwork(layout, Z, 2 * D, *sizes, generator)

    def step_loss(self, scores: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """Nats of a step beyond those of what a series has once: the negative evidence bound."""
        dropout = generator if self.training else None
        seen = self.encoder(scores, tokens, there, dropout) * there[..., None]
        mean, spread = self.code(seen.sum(1) / there.sum(1, keepdim=True).sqrt()).chunk(2, 1)
        code, divergence = posterior(mean, spread.clamp(-5, 2), generator)
        centre, scale = self._gaussian(code, tokens, there, dropout)
        nats = 0.5 * ((scores - centre) / scale.exp()).square() + scale + 0.5 * math.log(2 * math.pi)
        total = (nats * there[..., None]).sum() + self.config.divergence * divergence.sum()
        return total / there.sum().clamp_min(1)

    def steps(self, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """Out of codes from the prior."""
        code = randn((len(tokens), self.config.latents), generator, tokens.device)
        centre, scale = self._gaussian(code, tokens, there, None)
        return centre + scale.exp() * randn(centre.shape, generator, tokens.device)

    def _gaussian(
        self, code: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Centres and logarithms of scales, (B, L, D) both."""
        spread = code[:, None].expand(-1, there.shape[1], -1)
        centre, scale = self.decoder(spread, tokens, there, generator).chunk(2, -1)
        return centre, scale.clamp(LEAST_SCALE, MOST_SCALE)
