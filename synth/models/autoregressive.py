"""Autoregressive over the columns: each is drawn given the ones before it, with an exact likelihood.

log p(x) = sum_d log p(x_d | x_1 .. x_{d-1}), the chain rule over the columns of a row, as in NADE
(Larochelle & Murray 2011). One network per column, all run as one batched product; the context of a column
is the masked sum of the embeddings of the earlier ones.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ColumnLayout, Condition, TableLayout
from synth.models.base import Batch, GenerativeModel, TrainingConfig
from synth.nets.particles import Evidence, Particles

PARTICLE_ROWS = 8192  # candidates drawn at once under a condition
SAMPLE_ROWS = 2048  # rows drawn at once, so that activations stay in the processor's cache
MASK_POOL = 1 << 21  # values of the dropout pool, more where one step needs more


class Config(TrainingConfig):
    """Hyper-parameters of the autoregressive family.

    width: size of a column's embedding, of its context and of its hidden layers
    blocks: residual blocks in each column's network
    dropout: share of hidden values dropped in each block while training, 0 to 1
    cosines: cosine functions that make the head of an ordered column smooth over neighbouring tokens
    smooth_from: ordered columns with more tokens than this get a smooth head
    """

    width: int = Field(64, ge=1)
    blocks: int = Field(2, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    cosines: int = Field(24, ge=1)
    smooth_from: int = Field(30, ge=0)


class ColumnLinear(nn.Module):
    """D linear maps side by side, one per column: (D, B, I) -> (D, B, O)."""

    def __init__(self, columns: int, inputs: int, outputs: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        weight = torch.randn((columns, inputs, outputs), generator=generator)
        self.weight = nn.Parameter(weight * scale / math.sqrt(max(inputs, 1)))
        self.bias = nn.Parameter(torch.zeros(columns, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """All columns at once, x: (D, B, I)."""
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight)

    def column(self, x: Tensor, d: int) -> Tensor:
        """Column d alone, x: (B, I)."""
        return torch.addmm(self.bias[d], x, self.weight[d])


class Block(nn.Module):
    """A residual block in every column's network: x + W2 dropout(silu(W1 norm(x)))."""

    def __init__(self, columns: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inner = ColumnLinear(columns, width, width, 1.0, generator)
        self.outer = ColumnLinear(columns, width, width, 0.1, generator)

    def forward(self, x: Tensor, mask: Callable[[Tensor], Tensor]) -> Tensor:
        """All columns at once, x: (D, B, H); `mask` drops hidden values."""
        inside = F.silu(self.inner(F.layer_norm(x, x.shape[-1:])))
        return x + cast("Tensor", self.outer(mask(inside)))

    def column(self, x: Tensor, d: int) -> Tensor:
        """Column d alone, nothing dropped, x: (B, H)."""
        inside = F.silu(self.inner.column(F.layer_norm(x, x.shape[-1:]), d), inplace=True)
        return x + self.outer.column(inside, d)


class Head(nn.Module):
    """Logits of columns of similar cardinality: (C, B, H) -> (C, B, K), padded with -inf to the largest K.

    An ordered column has weights A @ basis + 0.3 * C: `basis` (cosines over the tokens' places, mid-ranks in
    [0, 1]) makes neighbours alike, C lets single embedded tokens (atoms, nulls) differ; bins have A alone.
    Biases start at the log frequencies, so that an untrained model draws independent columns.
    """

    basis: Tensor
    padding: Tensor
    single: Tensor

    def __init__(self, columns: list[ColumnLayout], width: int, cosines: int) -> None:
        super().__init__()
        size = max(column.cardinality for column in columns)
        bias = torch.zeros(len(columns), size)
        padding = torch.zeros(len(columns), size)
        basis = torch.zeros(len(columns), cosines, size)
        single = torch.zeros(len(columns), 1, size)
        for i, column in enumerate(columns):
            K = column.cardinality
            bias[i, :K] = torch.from_numpy(np.log(np.maximum(column.frequency, 1e-7)))
            padding[i, K:] = -math.inf
            if cosines:
                basis[i, :, :K] = cosine_basis(column, cosines)
                single[i, 0, :K] = 0.3 * torch.from_numpy(column.embedded)
        self.register_buffer("padding", padding, persistent=False)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("single", single, persistent=False)
        self.bias = nn.Parameter(bias)
        self.weight = nn.Parameter(torch.zeros(len(columns), width, size))
        self.smooth = nn.Parameter(torch.zeros(len(columns), width, cosines)) if cosines else None

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Effective weights (C, H, K) and biases (C, K)."""
        bias = self.bias + self.padding
        if self.smooth is None:
            return self.weight, bias
        return torch.baddbmm(self.weight * self.single, self.smooth, self.basis), bias

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden: (C, B, H)."""
        weight, bias = self.matrices()
        return torch.baddbmm(bias.unsqueeze(1), hidden, weight)


class Model(GenerativeModel):
    """The autoregressive network over the columns of `layout`, in its order."""

    conditional = True

    config: Config
    offsets: Tensor
    rows: Tensor
    features: Tensor
    positioned: Tensor

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        columns, width = layout.columns, config.width
        D = len(columns)
        embedded = np.concatenate([column.embedded for column in columns] or [np.zeros(0, dtype=bool)])
        rows = np.where(embedded, np.cumsum(embedded), 0)  # (sum K,) row of the embedding; 0 is the zero vector
        starts = np.cumsum([0, *layout.cardinalities])[:D]
        self.register_buffer("offsets", torch.from_numpy(starts).long()[:, None], persistent=False)  # (D, 1)
        self.register_buffer("rows", torch.from_numpy(rows).long(), persistent=False)
        self.register_buffer("features", stack_features(layout), persistent=False)  # (sum K, F)
        positioned = [d for d, column in enumerate(columns) if column.features.any()]
        self.register_buffer("positioned", torch.tensor(positioned, dtype=torch.long), persistent=False)
        self.slots = {d: i for i, d in enumerate(positioned)}

        weight = torch.randn((int(embedded.sum()) + min(D, 1), width), generator=generator) * 0.5
        weight[:1] = 0
        self.embedding = nn.Parameter(weight)
        self.position = ColumnLinear(len(positioned), self.features.shape[1], width, 1.0, generator)
        self.entry = ColumnLinear(D, width, width, 1.0, generator)
        self.blocks = nn.ModuleList(Block(D, width, generator) for _ in range(config.blocks))
        groups = group_heads(layout, config)
        self.members = [members for _, members in groups]
        self.heads = nn.ModuleList(Head([columns[d] for d in group], width, cosines) for cosines, group in groups)
        self.place = {d: (g, i) for g, group in enumerate(self.members) for i, d in enumerate(group)}
        self.masks: Tensor | None = None

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean negative log-likelihood of a row in nats, with dropout while in training mode."""
        dropped = generator if self.training and self.config.dropout else None
        return -self._column_log_prob(batch["tokens"], dropped).sum(0).mean()

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) exact log-likelihood of each row in nats; 0 for a table without modelled columns."""
        return self._column_log_prob(batch["tokens"], None).sum(0)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows, {"tokens": (n, D) int64}: column after column by the inverse of its distribution.

        Under a condition, the columns before the last one asked for are drawn by `synth.nets.particles`.
        """
        if condition is not None:
            return {"tokens": self._sample_under(n, generator, condition)}
        device = self.embedding.device
        D = len(self.layout.columns)
        uniforms = torch.rand((n, D), generator=generator, device=generator.device).to(device)
        tokens = torch.empty((n, D), dtype=torch.long, device=device)
        matrices = [head.matrices() for head in cast("list[Head]", self.heads)]
        for start in range(0, n, SAMPLE_ROWS):
            block = slice(start, start + SAMPLE_ROWS)
            context = torch.zeros((len(tokens[block]), self.config.width), device=device)
            for d, K in enumerate(self.layout.cardinalities):
                group, i = self.place[d]
                weight, bias = matrices[group]
                logits = torch.addmm(bias[i, :K], self._column_hidden(context, d), weight[i, :, :K])  # (B, K)
                tokens[block, d] = draw(logits, uniforms[block, d])
                context += self._column_vectors(tokens[block, d], d)
        return {"tokens": tokens}

    def _sample_under(self, n: int, generator: torch.Generator, condition: Condition) -> Tensor:
        device = self.embedding.device
        evidence = Evidence(condition, self.layout, device)
        matrices = [head.matrices() for head in cast("list[Head]", self.heads)]
        sampled = torch.empty((n, len(self.layout.columns)), dtype=torch.long, device=device)
        for rows, pools in evidence.pools(n, PARTICLE_ROWS):
            cloud = Particles(pools, len(rows) // pools, evidence.particles, generator, device)
            context = torch.zeros((len(cloud), self.config.width), device=device)
            tokens = torch.empty((len(cloud), len(self.layout.columns)), dtype=torch.long, device=device)
            for d, K in enumerate(self.layout.cardinalities):
                group, i = self.place[d]
                weight, bias = matrices[group]
                logits = torch.addmm(bias[i, :K], self._column_hidden(context, d), weight[i, :, :K])  # (E, K)
                if d in evidence.columns:
                    tokens[:, d], gain = evidence.take(d, logits.log_softmax(1), rows, cloud.strata())
                    cloud.weigh(gain)
                else:
                    tokens[:, d] = draw(logits, cloud.strata())
                context += self._column_vectors(tokens[:, d], d)
                if d in evidence.columns:
                    kept = cloud.choose() if d == evidence.last else cloud.resample()
                    if kept is not None:
                        context, tokens = context[kept], tokens[kept]
            sampled[rows] = tokens
        return sampled

    def _column_log_prob(self, tokens: Tensor, generator: torch.Generator | None) -> Tensor:
        """tokens: (B, D) int64. Returns (D, B): log p(x_d | x_<d), columns in the order of the heads."""
        B, D = tokens.shape
        if not D:
            return torch.zeros((1, B), device=tokens.device)
        columns = tokens.t().contiguous()  # (D, B)
        hidden = self._hidden(self._context(columns), generator)  # (D, B, H)
        parts = []
        for head, members in zip(self.heads, self.members, strict=True):
            logits = head(hidden[members])  # (C, B, K)
            nats = F.cross_entropy(logits.flatten(0, 1), columns[members].flatten(), reduction="none")
            parts.append(-nats.view(-1, B))
        return torch.cat(parts)

    def _context(self, columns: Tensor) -> Tensor:
        """columns: (D, B) int64. Returns (D, B, H): of each column, the sum of the earlier ones' vectors."""
        flat = columns + self.offsets  # (D, B) row of each token in the tables
        vectors = F.embedding(self.rows[flat], self.embedding, padding_idx=0)  # (D, B, H)
        if len(self.positioned):
            positions = self.position(self.features[flat[self.positioned]])  # (P, B, H)
            vectors = vectors.index_add(0, self.positioned, positions)
        return F.pad(vectors[:-1].cumsum(0), (0, 0, 0, 0, 1, 0))

    def _hidden(self, context: Tensor, generator: torch.Generator | None) -> Tensor:
        """context: (D, B, H) -> (D, B, H), each column by its own network."""
        hidden: Tensor = self.entry(context)
        for block in self.blocks:
            hidden = block(hidden, lambda x: x if generator is None else x * self._mask(x, generator))
        return hidden

    def _column_hidden(self, context: Tensor, d: int) -> Tensor:
        """`_hidden` of column d alone, context: (B, H) -> (B, H)."""
        hidden = self.entry.column(context, d)
        for block in cast("list[Block]", self.blocks):
            hidden = block.column(hidden, d)
        return hidden

    def _column_vectors(self, tokens: Tensor, d: int) -> Tensor:
        """The vectors that the tokens (B,) of column d add to the context, (B, H)."""
        column = slice(int(self.offsets[d]), int(self.offsets[d]) + self.layout.cardinalities[d])
        table = self.embedding[self.rows[column]]  # (K, H)
        if d in self.slots:
            table = table + self.position.column(self.features[column], self.slots[d])
        return F.embedding(tokens, table)

    def _mask(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """A scaled dropout mask, cut at random out of a pool: drawing masks costs a fifth of a step."""
        need = like.numel()
        if self.masks is None or self.masks.numel() < 2 * need or self.masks.device != like.device:
            pool = torch.rand(max(MASK_POOL, 2 * need), generator=torch.Generator().manual_seed(0))
            keep = 1 - self.config.dropout
            self.masks = ((pool < keep).float() / keep).to(like.device)
        last = self.masks.numel() - need
        start = int(torch.randint(last + 1, (1,), generator=generator, device=generator.device))
        return self.masks[start : start + need].view_as(like)


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Invert the distribution function of softmax(logits), (B, K), at `uniform`, (B,) in [0, 1)."""
    cumulative = (logits - logits.amax(1, keepdim=True)).exp_().cumsum(1)
    drawn = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
    return drawn.squeeze(1).clamp_(max=logits.shape[1] - 1)


def cosine_basis(column: ColumnLayout, cosines: int) -> Tensor:
    """cos(pi k u) for k = 0 .. cosines - 1 at the mid-rank u of each ordered token, else 0: (cosines, K)."""
    ordered = np.flatnonzero(~np.isnan(column.ordered))
    ordered = ordered[np.argsort(column.ordered[ordered], kind="stable")]
    share = np.maximum(column.frequency[ordered].astype(np.float64), 1e-9)
    rank = (share.cumsum() - share / 2) / share.sum()
    basis = np.zeros((cosines, column.cardinality), dtype=np.float32)
    basis[:, ordered] = np.cos(np.pi * np.arange(cosines)[:, None] * rank)
    return torch.from_numpy(basis)


def group_heads(layout: TableLayout, config: Config) -> list[tuple[int, list[int]]]:
    """Columns that share a head, as (cosines, columns): cardinalities within a factor of two."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for d, column in enumerate(layout.columns):
        smooth = column.cardinality > config.smooth_from and not np.isnan(column.ordered).all()
        groups[config.cosines if smooth else 0, (column.cardinality - 1).bit_length()].append(d)
    return [(cosines, members) for (cosines, _), members in sorted(groups.items())]


def stack_features(layout: TableLayout) -> Tensor:
    """Features of all tokens of all columns, (sum K, F), padded with zeros to the widest F."""
    widest = max((column.features.shape[1] for column in layout.columns), default=0)
    stacked = np.zeros((sum(layout.cardinalities), widest), dtype=np.float32)
    row = 0
    for column in layout.columns:
        K, width = column.features.shape
        stacked[row : row + K, :width] = column.features
        row += K
    return torch.from_numpy(stacked)
