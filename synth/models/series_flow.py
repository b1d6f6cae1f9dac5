"""Normalizing flow over series: couplings between two halves of all steps' columns, with an exact likelihood.

Affine couplings (Dinh et al. 2017) on the scores; the halves are those of a checkerboard of steps and columns, and turn
about from one coupling to the next.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from synth.layout import SeriesLayout
from synth.models.base_series import StepConfig, StepModel
from synth.nets.draws import randn
from synth.nets.steps import StepNetwork

STRETCH = 1.5  # of a coupling at most, as a logarithm


class Config(StepConfig):
    """Hyper-parameters of the flow over series.

    couplings: one after the other, each with a network of `layers`
    """

    layers: int = Field(1, ge=1)
    couplings: int = Field(4, ge=1)


class Model(StepModel):
    """The couplings."""

    config: Config

    def __init__(self, config: Config, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        D = len(layout.steps.columns)
        sizes = config.width, config.layers, config.dropout
        self.couplings = nn.ModuleList(
            StepNetwork(layout, D, 2 * D, *sizes, generator) for _ in range(config.couplings)
        )

    def step_loss(self, scores: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """Nats of a step, of the density of its scores."""
        noise, stretched = scores, torch.zeros_like(scores)
        dropout = generator if self.training else None
        for number in range(len(self.couplings)):
            stretch, shift = self._coupled(number, noise, tokens, there, dropout)
            noise, stretched = noise * stretch.exp() + shift, stretched + stretch
        nats = 0.5 * noise.square() + 0.5 * math.log(2 * math.pi) - stretched
        return (nats * there[..., None]).sum() / there.sum().clamp_min(1)

    def steps(self, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """Noise through the couplings, backwards."""
        scores = randn((*there.shape, len(self.layout.steps.columns)), generator, tokens.device)
        for number in reversed(range(len(self.couplings))):
            stretch, shift = self._coupled(number, scores, tokens, there, None)
            scores = (scores - shift) * (-stretch).exp()
        return scores

    def _coupled(
        self, number: int, x: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Logarithms of stretches, and shifts, (B, L, D) both, of one half given the other; 0 in that."""
        _, L, D = x.shape
        board = torch.arange(L, device=x.device)[:, None] + torch.arange(D, device=x.device) + number
        moved = (board % 2 == 0).float()
        stretch, shift = self.couplings[number](x * (1 - moved) * there[..., None], tokens, there, generator).chunk(
            2, -1
        )
        return stretch.tanh() * STRETCH * moved, shift * moved
