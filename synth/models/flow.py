"""Normalizing flow: invertible splines of the columns' ranks, each given the columns before, with an exact likelihood.

An autoregressive flow (Papamakarios et al. 2017) whose maps are monotone rational-quadratic splines (Durkan et al.
2019). Every column is dequantised: a token is an interval of (0, 1) as wide as its share of the rows. The spline of a
column carries (0, 1) onto itself, uniform noise on its far side. A single value's probability is the length of its
interval there, so nothing is lost to a bound as in variational dequantisation; a value inside a bin has the spline's
slope as its density. Columns of few tokens have a piece for each of them, straight, which is a softmax.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import Condition, TableLayout
from synth.models.base import PRIVATE, Batch, GenerativeModel, TrainingConfig
from synth.nets.columns import ColumnLinear, ColumnNetwork, Head, draw, group_heads, token_rows, token_vectors
from synth.nets.dense import dropped
from synth.nets.draws import rand
from synth.nets.ranks import Ranks, probit
from synth.nets.splines import Spline

SAMPLE_ROWS = 2048  # rows drawn at once, so that activations stay in the processor's cache
LEAST = 1e-7  # probability that a single value keeps at least


class Config(TrainingConfig):
    """Hyper-parameters of the flow family.

    width: size of a column's context and of its hidden layers
    blocks: residual blocks in each column's network
    dropout: share of hidden values dropped in each block while training, 0 to 1
    pieces: of each spline
    waves: sine and cosine pairs by which an earlier rank is seen
    spline_from: ordered columns with more tokens than this get a spline, the others a piece for each token
    """

    width: int = Field(64, ge=1)
    blocks: int = Field(2, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    pieces: int = Field(16, ge=1)
    waves: int = Field(8, ge=0)
    spline_from: int = Field(30, ge=1)


class Model(GenerativeModel):
    """The flow over the columns of `layout`, in its order."""

    private = "gradients"
    private_config: ClassVar[Mapping[str, Any]] = PRIVATE

    config: Config
    offsets: Tensor
    rows: Tensor

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        columns, width = layout.columns, config.width
        D = len(columns)
        self.ranks = Ranks(layout, config.spline_from)
        self.slots = {d: i for i, d in enumerate(self.ranks.columns)}
        single = [column.embedded | (d not in self.slots) for d, column in enumerate(columns)]
        offsets, rows = token_rows(layout, single)
        self.register_buffer("offsets", offsets, persistent=False)  # (D,)
        self.register_buffer("rows", rows, persistent=False)  # (sum K,)

        self.embedding = token_vectors(rows, width, 2, generator)
        C = len(self.ranks.columns)
        self.position = ColumnLinear(C, 1 + 2 * config.waves, width, 1.0, generator)
        self.network = ColumnNetwork(D, width, width, config.blocks, generator)
        self.spline = ColumnLinear(C, width, 3 * config.pieces + 1, 0.0, generator)
        few = TableLayout(tuple(columns[d] for d in self.ranks.nominal))
        groups = [members for _, members in group_heads(few, 0, 0)]
        self.members = [[self.ranks.nominal[i] for i in group] for group in groups]
        self.heads = nn.ModuleList(Head([columns[d] for d in group], width, 0) for group in self.members)
        self.place = {d: (g, i) for g, group in enumerate(self.members) for i, d in enumerate(group)}

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean negative log-likelihood of a row in nats, with dropout while in training mode."""
        return -self._log_prob(batch, generator if self.training else None).mean()

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """(B,) negative log-likelihood of each row in nats."""
        return -self._log_prob(batch, None)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) exact log-likelihood of each row in nats; 0 for a table without modelled columns."""
        return self._log_prob(batch, None)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows, {"tokens": (n, D) int64, "places": (n, D) float32}: noise through the inverse splines."""
        device = self.embedding.device
        D = len(self.layout.columns)
        uniforms = rand((n, D), generator, device)
        tokens = torch.zeros((n, D), dtype=torch.long, device=device)
        places = torch.full((n, D), 0.5, device=device)
        matrices = [head.matrices() for head in cast("list[Head]", self.heads)]
        for start in range(0, n, SAMPLE_ROWS):
            block = slice(start, start + SAMPLE_ROWS)
            context = torch.zeros((len(tokens[block]), self.config.width), device=device)
            for d, K in enumerate(self.layout.cardinalities):
                hidden, uniform = self.network.column(context, d), uniforms[block, d]
                if d in self.slots:
                    spline = Spline(self.spline.column(hidden, self.slots[d]))
                    rank = spline.inverse(uniform[:, None])  # (B, 1)
                    found = self.ranks.token(rank, slice(self.slots[d], self.slots[d] + 1))
                    tokens[block, d], places[block, d] = (part.squeeze(1) for part in found)
                else:
                    group, i = self.place[d]
                    weight, bias = matrices[group]
                    tokens[block, d] = draw(torch.addmm(bias[i, :K], hidden, weight[i, :, :K]), uniform)
                context += self._column_vectors(tokens[block, d], places[block, d], d)
        return {"tokens": tokens, "places": places}

    def _log_prob(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        """(B,) log-likelihoods; hidden values are dropped where there is a generator."""
        tokens = batch["tokens"]
        if not tokens.shape[1]:
            return torch.zeros(len(tokens), device=tokens.device)
        places = batch["places"][:, self.ranks.columns] if "places" in batch else None
        low, high, binned = (part.t() for part in self.ranks.interval(tokens[:, self.ranks.columns]))  # (C, B)
        rank = middle(low, high, binned, 0.5 if places is None else places.t())
        low, high = low.float(), high.float()

        context = self._context(tokens.t().contiguous(), rank)
        hidden = self.network(context, lambda x: dropped(x, self.config.dropout, generator))  # (D, B, H)
        spline = Spline(self.spline(hidden[self.ranks.columns]))
        ends = spline.forward(torch.stack([low, high], -1))  # (C, B, 2)
        single = (ends[..., 1] - ends[..., 0]).clamp_min(LEAST).log()
        inside = spline.log_slope(rank[..., None]).squeeze(-1) + (high - low).clamp_min(LEAST).log()
        total = torch.where(binned & (places is not None), inside, single).sum(0)
        for head, members in zip(self.heads, self.members, strict=True):
            logits = head(hidden[members])  # (C, B, K)
            nats = F.cross_entropy(logits.flatten(0, 1), tokens.t()[members].flatten(), reduction="none")
            total = total - nats.view(-1, len(tokens)).sum(0)
        return total

    def _context(self, columns: Tensor, rank: Tensor) -> Tensor:
        """(D, B) tokens and (C, B) ranks -> (D, B, H): of each column, the sum of the earlier ones' vectors."""
        flat = columns + self.offsets[:, None]
        vectors = F.embedding(self.rows[flat], self.embedding, padding_idx=0)  # (D, B, H)
        if self.slots:
            seen = self.position(self._features(rank))
            vectors = vectors.index_add(0, torch.tensor(self.ranks.columns, device=vectors.device), seen)
        return F.pad(vectors[:-1].cumsum(0), (0, 0, 0, 0, 1, 0))

    def _features(self, rank: Tensor) -> Tensor:
        """(...) ranks in (0, 1) -> (..., F): the probit, sines and cosines."""
        waves = rank[..., None] * torch.arange(1, self.config.waves + 1, device=rank.device) * torch.pi
        return torch.cat([probit(rank.clamp(1e-4, 1 - 1e-4))[..., None], waves.sin(), waves.cos()], -1)

    def _column_vectors(self, tokens: Tensor, places: Tensor, d: int) -> Tensor:
        """The vectors that the tokens and places (B,) of column d add to the context, (B, H)."""
        vectors = F.embedding(self.rows[tokens + self.offsets[d]], self.embedding)
        if d not in self.slots:
            return vectors
        i = self.slots[d]
        rank = middle(*self.ranks.interval(tokens[:, None], slice(i, i + 1)), places[:, None])
        return vectors + self.position.column(self._features(rank.squeeze(1)), i)


def middle(low: Tensor, high: Tensor, binned: Tensor, place: Tensor | float) -> Tensor:
    """Float32 ranks that stand for tokens: at the place of a bin's value, amid the interval of a single value."""
    return (low + (high - low) * torch.where(binned, place, 0.5)).float()
