"""Diffusion over series: a rectified flow from noise to all steps at once, given what a series has once.

A transformer over the steps learns the velocity from data to noise (Liu et al. 2023; over time series Yuan & Qiao
2024, Hu et al. 2025).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from synth.layout import SeriesLayout
from synth.models.base_series import StepConfig, StepModel, masked_mean
from synth.nets.dense import Linear
from synth.nets.draws import even, randn
from synth.nets.samplers import SAMPLERS, Process, times
from synth.nets.steps import StepNetwork

WAVES = 32  # sine and cosine pairs of the time


class Config(StepConfig):
    """Hyper-parameters of diffusion over series.

    sampler: see `synth.nets.samplers`; steps: of it, each one evaluation of the network (two of `heun`)
    """

    epochs: int = Field(200, ge=1)
    min_steps: int = Field(2000, ge=0)
    patience: int = Field(20, ge=1)
    layers: int = Field(3, ge=1)
    sampler: Literal["ddpm", "ddim", "heun", "dpm_solver"] = "heun"
    steps: int = Field(16, ge=1)


class Model(StepModel):
    """The velocity of the scores."""

    config: Config

    def __init__(self, config: Config, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.process = Process(straight=True)
        D = len(layout.steps.columns)
        self.network = StepNetwork(layout, D, D, config.width, config.layers, config.dropout, generator)
        self.time = Linear(2 * WAVES, config.width, 1.0, generator)

    def step_loss(self, scores: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of the velocity."""
        time = even(len(scores), generator, scores.device)
        noise, at = randn(scores.shape, generator, scores.device), time[:, None, None]
        dropout = generator if self.training else None
        found = self._velocity(self.process.mix(scores, noise, at), time, tokens, there, dropout)
        return masked_mean((found - self.process.velocity(scores, noise, at)).square(), there)

    def steps(self, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """Drawn by the sampler."""

        def denoise(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
            found = self._velocity(x, x.new_full((len(x),), time), tokens, there, None)
            return self.process.estimates(x, found, time)

        noise = randn((*there.shape, len(self.layout.steps.columns)), generator, tokens.device)
        return SAMPLERS[self.config.sampler](self.process, denoise, noise, times(self.config.steps), generator)

    def _velocity(
        self, x: Tensor, time: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        phases = time[:, None] * torch.exp(torch.linspace(0, math.log(1000.0), WAVES, device=x.device))
        found: Tensor = self.network(x, tokens, there, generator, self.time(torch.cat([phases.sin(), phases.cos()], 1)))
        return found
