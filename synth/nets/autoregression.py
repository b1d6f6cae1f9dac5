"""A network over the columns of a table: each is told from the ones before it, with an exact likelihood.

One network per column, all run as one batched product; the context of a column is the masked sum of the embeddings of
the earlier ones (as in NADE, Larochelle & Murray 2011).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from synth.layout import Condition, TableLayout
from synth.nets.columns import (
    ColumnLinear,
    ColumnNetwork,
    Head,
    draw,
    group_heads,
    stack_features,
    token_rows,
    token_vectors,
)
from synth.nets.draws import rand
from synth.nets.particles import Evidence, Particles

PARTICLE_ROWS = 8192  # candidates drawn at once under a condition
SAMPLE_ROWS = 2048  # rows drawn at once, so that activations stay in the processor's cache
SETTLE_ROWS, SETTLE_ROUNDS = 20_000, 10  # rows drawn, and corrections of each column's biases
LEAST = 1e-7  # frequency of a token that never came
MASK_POOL = 1 << 21  # values of the dropout pool, more where one step needs more


class AutoregressionConfig(BaseModel):
    """What the network is built of.

    width: size of a column's embedding, of its context and of its hidden layers
    blocks: residual blocks in each column's network
    dropout: share of hidden values dropped in each block while training, 0 to 1
    cosines: cosine functions that make the head of an ordered column smooth over neighbouring tokens
    smooth_from: ordered columns with more tokens than this get a smooth head
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(64, ge=1)
    blocks: int = Field(2, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    cosines: int = Field(24, ge=1)
    smooth_from: int = Field(30, ge=0)


class Autoregression(nn.Module):
    """Over the columns of a layout, in its order."""

    offsets: Tensor
    rows: Tensor
    features: Tensor
    positioned: Tensor

    def __init__(self, config: AutoregressionConfig, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        columns, width = layout.columns, config.width
        D = len(columns)
        offsets, rows = token_rows(layout, [column.embedded for column in columns])
        self.register_buffer("offsets", offsets[:, None], persistent=False)  # (D, 1)
        self.register_buffer("rows", rows, persistent=False)  # (sum K,)
        self.register_buffer("features", stack_features(layout), persistent=False)  # (sum K, F)
        positioned = [d for d, column in enumerate(columns) if column.features.any()]
        self.register_buffer("positioned", torch.tensor(positioned, dtype=torch.long), persistent=False)
        self.slots = {d: i for i, d in enumerate(positioned)}

        self.embedding = token_vectors(rows, width, 2, generator)
        self.position = ColumnLinear(len(positioned), self.features.shape[1], width, 1.0, generator)
        self.network = ColumnNetwork(D, width, width, config.blocks, generator)
        groups = group_heads(layout, config.cosines, config.smooth_from)
        self.members = [members for _, members in groups]
        self.heads = nn.ModuleList(Head([columns[d] for d in group], width, cosines) for cosines, group in groups)
        self.place = {d: (g, i) for g, group in enumerate(self.members) for i, d in enumerate(group)}
        self.masks: Tensor | None = None

    @torch.no_grad()
    def settle(self, generator: torch.Generator) -> None:
        """Shift the biases, column after column, until rows that are drawn have each column's frequencies.

        Noise on gradients moves them; the noisy counts that the layout tells are nearer to the truth.
        """
        device = self.embedding.device
        context = torch.zeros((SETTLE_ROWS, self.config.width), device=device)
        for d, column in enumerate(self.layout.columns):
            group, i = self.place[d]
            head, K = cast("Head", self.heads[group]), column.cardinality
            weight, _ = head.matrices()
            wanted = torch.from_numpy(column.frequency).to(device).clamp_min(LEAST)
            scores = self.network.column(context, d) @ weight[i, :, :K]  # (B, K)
            for _ in range(SETTLE_ROUNDS):
                found = (scores + head.bias[i, :K]).softmax(1).mean(0).clamp_min(LEAST)
                head.bias[i, :K] += (wanted / found).log()
            drawn = draw(scores + head.bias[i, :K], rand((SETTLE_ROWS,), generator, device))
            context = context + self._column_vectors(drawn, d)

    def log_prob(self, tokens: Tensor, generator: torch.Generator | None = None, told: Tensor | None = None) -> Tensor:
        """(B,) exact log-likelihood of rows (B, D) in nats; 0 for a table without modelled columns.

        generator: of the dropout while training, None otherwise
        told: (B, H), H the width, what every column is told beside the ones before it
        """
        dropped = generator if self.config.dropout else None
        return self._column_log_prob(tokens, dropped, told).sum(0)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        generator: torch.Generator,
        condition: Condition | None = None,
        told: Tensor | None = None,
    ) -> Tensor:
        """Draw n rows, (n, D) int64: column after column by the inverse of its distribution.

        Under a condition, the columns before the last one asked for are drawn by `synth.nets.particles`; told, as of
        `log_prob`, is left out then.
        """
        if condition is not None:
            return self._sample_under(n, generator, condition)
        device = self.embedding.device
        D = len(self.layout.columns)
        uniforms = rand((n, D), generator, device)
        tokens = torch.empty((n, D), dtype=torch.long, device=device)
        matrices = [head.matrices() for head in cast("list[Head]", self.heads)]
        for start in range(0, n, SAMPLE_ROWS):
            block = slice(start, start + SAMPLE_ROWS)
            context = torch.zeros((len(tokens[block]), self.config.width), device=device)
            context = context if told is None else told[block].clone()
            for d, K in enumerate(self.layout.cardinalities):
                group, i = self.place[d]
                weight, bias = matrices[group]
                logits = torch.addmm(bias[i, :K], self.network.column(context, d), weight[i, :, :K])  # (B, K)
                tokens[block, d] = draw(logits, uniforms[block, d])
                context += self._column_vectors(tokens[block, d], d)
        return tokens

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
                logits = torch.addmm(bias[i, :K], self.network.column(context, d), weight[i, :, :K])  # (E, K)
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

    def _column_log_prob(self, tokens: Tensor, generator: torch.Generator | None, told: Tensor | None) -> Tensor:
        """tokens: (B, D) int64. Returns (D, B): log p(x_d | x_<d), columns in the order of the heads."""
        B, D = tokens.shape
        if not D:
            return torch.zeros((1, B), device=tokens.device)
        columns = tokens.t().contiguous()  # (D, B)
        mask = None if generator is None else lambda x: x * self._mask(x, generator)
        context = self._context(columns) if told is None else self._context(columns) + told
        hidden = self.network(context, mask)  # (D, B, H)
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
