"""Steps of series as standard normal scores, and a transformer that sees all of them at once."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.layout import ColumnLayout, SeriesLayout, TableLayout
from synth.nets.clock import StepClock
from synth.nets.decoder import Layer, turn
from synth.nets.dense import Linear
from synth.nets.labels import LabelVector
from synth.nets.ranks import Ranks, probit, unprobit


class StepScores(nn.Module):
    """(B, L, D) tokens and places of steps -> (B, L, D) scores, and back; categories lie on the line as they come."""

    def __init__(self, layout: TableLayout) -> None:
        super().__init__()
        self.ranks = Ranks(TableLayout(tuple(map(_on_a_line, layout.columns))))

    def of(self, steps: Tensor, places: Tensor, generator: torch.Generator) -> Tensor:
        """Scores."""
        B, L, D = steps.shape
        return probit(self.ranks.rank(steps.reshape(-1, D), places.reshape(-1, D), generator)).view(B, L, D)

    def tokens(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and places."""
        B, L, D = scores.shape
        steps, places = self.ranks.token(unprobit(scores.reshape(-1, D).float()))
        return steps.view(B, L, D), places.view(B, L, D)


def _on_a_line(column: ColumnLayout) -> ColumnLayout:
    if not np.isnan(column.ordered).all():
        return column
    return replace(column, ordered=np.linspace(0, 1, column.cardinality, dtype=np.float32))


class StepNetwork(nn.Module):
    """(B, L, I) -> (B, L, O), every step in the light of all that are there, of what its series has once and of where
    it is in time."""

    def __init__(
        self,
        layout: SeriesLayout,
        inputs: int,
        outputs: int,
        width: int,
        layers: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.width = width
        self.entry = Linear(inputs, width, 1.0, generator)
        self.told = LabelVector(layout, width, generator)
        self.clock = StepClock(layout)
        self.timed = Linear(self.clock.size, width, 1.0, generator)
        self.layers = nn.ModuleList(Layer(width, dropout, generator) for _ in range(layers))
        self.exit = Linear(width, outputs, 0.1, generator)

    def forward(
        self,
        x: Tensor,
        tokens: Tensor,
        there: Tensor,
        generator: torch.Generator | None,
        more: Tensor | None = None,
    ) -> Tensor:
        """tokens: (B, S) what each series has once; there: (B, L) bool; more: (B, W) beside; generator: of the dropout
        while training, None otherwise."""
        B, L, _ = x.shape
        beside = self.told(tokens) if more is None else self.told(tokens) + more
        hidden = self.entry(x) + self.timed(self.clock(tokens, 0, L)) + beside[:, None]
        allowed = there[:, None, None].expand(B, 1, L, L)
        turned = turn(torch.arange(L, device=x.device), self.width, hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, turned, allowed, generator)
        return cast("Tensor", self.exit(F.rms_norm(hidden, hidden.shape[-1:])))
