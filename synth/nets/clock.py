"""Where a step is: how far on in its series, and in the cycles of the calendar."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from synth.layout import SeriesLayout

WAVES = 2  # sine and cosine pairs of a cycle


class StepClock(nn.Module):
    """(B, S) tokens of what series have once -> (B, T, F) features of their steps' places in time."""

    def __init__(self, layout: SeriesLayout) -> None:
        super().__init__()
        self.layout = layout
        for number, cycle in enumerate(layout.cycles):
            self.register_buffer(f"phases{number}", torch.from_numpy(cycle.phases.copy()), persistent=False)

    @property
    def size(self) -> int:
        """Number of features F."""
        return 3 + 2 * WAVES * len(self.layout.cycles)

    def forward(self, tokens: Tensor, first: int, steps: int) -> Tensor:
        """Of `steps` steps from the one of this number on."""
        places = torch.arange(first, first + steps, device=tokens.device).float()
        lengths = torch.from_numpy(self.layout.lengths).to(tokens.device)[tokens[:, self.layout.length]]
        parts = [
            (places == 0).float().expand(len(tokens), -1),
            (places / self.layout.longest).expand(len(tokens), -1),
            (lengths[:, None] - places).clamp_min(0) / self.layout.longest,
        ]
        for number, cycle in enumerate(self.layout.cycles):
            phases = cast("Tensor", getattr(self, f"phases{number}"))[tokens[:, cycle.column]]
            turns = 2 * math.pi * (phases[:, None] + places * cycle.advance)
            parts += [wave(turns * (k + 1)) for k in range(WAVES) for wave in (torch.sin, torch.cos)]
        return torch.stack(parts, -1)
