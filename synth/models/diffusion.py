"""Diffusion over numbers and categories together: Gaussian noise on ranks, masks on tokens, one network for both.

A row goes from data to noise along an angle phi from 0 to pi / 2. Numbers, as standard normal values of their ranks,
turn into noise as x cos(phi) + e sin(phi), and the network learns the velocity dx / dphi (Salimans & Ho 2022,
appendix D), so that drawing is an ordinary differential equation. Categories are hidden with a probability that
grows from 0 to 1 and the network learns what was there (Sahoo et al. 2024, eq. 10). Both in one model: TabDDPM
(Kotelnikov et al. 2023), TabDiff (Shi et al. 2025).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import Condition, TableLayout
from synth.models.base import PRIVATE, Batch, GenerativeModel, TrainingConfig
from synth.nets.columns import draw
from synth.nets.denoiser import Denoiser
from synth.nets.dense import Linear
from synth.nets.draws import rand, randn
from synth.nets.ranks import Ranks, probit, unprobit

SAMPLE_ROWS = 2048  # rows drawn at once, so that activations stay in the processor's cache
LEAST_TIME = 1e-3


class Config(TrainingConfig):
    """Hyper-parameters of the diffusion family.

    width: of the hidden layers
    blocks: residual blocks
    dropout: share of hidden values dropped in each block while training, 0 to 1
    discrete: ordered columns of at most so many tokens are treated as categories, the others as numbers
    waves: sine and cosine pairs of each noisy number that the network sees beside it
    evaluations: network evaluations that draw a row
    """

    epochs: int = Field(50, ge=1)
    min_steps: int = Field(1500, ge=0)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    patience: int = Field(20, ge=1)
    width: int = Field(256, ge=1)
    blocks: int = Field(3, ge=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    discrete: int = Field(32, ge=1)
    waves: int = Field(4, ge=0)
    evaluations: int = Field(50, ge=2)


class Model(GenerativeModel):
    """The denoiser of a row: C numbers and Q categories."""

    private = "gradients"
    private_config: ClassVar[Mapping[str, Any]] = PRIVATE

    config: Config
    offsets: Tensor
    hidden: Tensor

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.ranks = Ranks(layout, config.discrete)
        self.sizes = [layout.cardinalities[d] for d in self.ranks.nominal]
        C, H = len(self.ranks.columns), config.width
        starts = torch.tensor([0, *self.sizes]).cumsum(0)
        offsets = starts[:-1] + torch.arange(len(self.sizes))  # a row more for each column's mask
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("hidden", torch.tensor(self.sizes, dtype=torch.long), persistent=False)
        features = C * (1 + 2 * config.waves)
        self.embedding = nn.Parameter(torch.randn((sum(self.sizes) + len(self.sizes), H), generator=generator) * 0.5)
        self.entry = Linear(features, H, 1.0, generator)
        self.denoiser = Denoiser(H, config.blocks, config.dropout, generator)
        self.velocity = Linear(H, C, 0.0, generator)
        self.logits = Linear(H, sum(self.sizes), 0.0, generator)
        if self.sizes:
            shares = torch.cat([torch.from_numpy(layout.columns[d].frequency) for d in self.ranks.nominal])
            with torch.no_grad():
                self.logits.bias.copy_(shares.clamp_min(1e-7).log())

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Squared error of the velocity and cross-entropy of the hidden categories, per row, summed over columns."""
        return self._losses(batch, generator, together=True).mean()

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """(B,) the same of each row, at a time of its own."""
        return self._losses(batch, generator, together=False)

    def _losses(self, batch: Batch, generator: torch.Generator, *, together: bool) -> Tensor:
        """together: whether the times of the rows are spread evenly, which errs less than drawing each by itself."""
        B = len(batch["tokens"])
        x = probit(self.ranks.rank(batch["tokens"], batch.get("places"), generator))  # (B, C)
        tokens = batch["tokens"][:, self.ranks.nominal]  # (B, Q)
        start = rand((1 if together else B,), generator, x.device)
        spread = torch.arange(B, device=x.device) / B if together else 0.0
        time = ((start + spread) % 1).clamp_min(LEAST_TIME)  # (B,)
        angle = time[:, None] * (math.pi / 2)
        noise = randn(x.shape, generator, x.device)
        masked = rand(tokens.shape, generator, x.device) < time[:, None]
        noisy = x * angle.cos() + noise * angle.sin()
        velocity, logits = self._denoise(
            noisy, torch.where(masked, self.hidden, tokens), time, generator if self.training else None
        )
        error = (velocity - (noise * angle.cos() - x * angle.sin())).square().sum(1)
        nats = torch.zeros_like(error)
        for q, found in enumerate(logits):
            nats += torch.where(masked[:, q], F.cross_entropy(found, tokens[:, q], reduction="none"), 0.0)
        return error + nats / time

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows, {"tokens": (n, D) int64, "places": (n, D) float32}, in `evaluations` steps.

        Numbers go down the differential equation by the two-step Adams-Bashforth method, hidden categories are drawn a
        few at each step.
        """
        device = self.embedding.device
        D = len(self.layout.columns)
        tokens = torch.zeros((n, D), dtype=torch.long, device=device)
        places = torch.full((n, D), 0.5, device=device)
        for start in range(0, n, SAMPLE_ROWS):
            block = slice(start, min(start + SAMPLE_ROWS, n))
            x, categories = self._draw(block.stop - block.start, generator)
            tokens[block, self.ranks.nominal] = categories
            tokens[block, self.ranks.columns], places[block, self.ranks.columns] = self.ranks.token(unprobit(x))
        return {"tokens": tokens, "places": places}

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(n, C) normal values and (n, Q) tokens."""
        device = self.embedding.device
        x = randn((n, len(self.ranks.columns)), generator, device)
        categories = self.hidden.expand(n, -1).clone()
        times = torch.linspace(1, 0, self.config.evaluations + 1).tolist()
        before = None
        for now, then in pairwise(times):
            velocity, logits = self._denoise(x, categories, torch.full((1,), now, device=device), None)
            slope = velocity if before is None else 1.5 * velocity - 0.5 * before
            x = x + slope * (then - now) * (math.pi / 2)
            before = velocity
            reveal = rand((n, len(logits)), generator, device) < (now - then) / now
            for q, found in enumerate(logits):
                drawn = draw(found, rand((n,), generator, device))
                hidden = categories[:, q] == self.hidden[q]
                categories[:, q] = torch.where(hidden & reveal[:, q], drawn, categories[:, q])
        return x, categories

    def _denoise(
        self, noisy: Tensor, categories: Tensor, time: Tensor, dropped: torch.Generator | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Velocities (B, C) and each category's logits (B, K) at noisy numbers (B, C) and part-hidden tokens (B, Q)."""
        phases = noisy[:, :, None] * torch.arange(1, self.config.waves + 1, device=noisy.device) * (math.pi / 4)
        features = torch.cat([noisy, phases.sin().flatten(1), phases.cos().flatten(1)], 1)
        hidden = self.entry(features) + F.embedding(categories + self.offsets, self.embedding).sum(1)
        hidden = self.denoiser(hidden, time, dropped)
        return self.velocity(hidden), self.logits(hidden).split(self.sizes, 1)
