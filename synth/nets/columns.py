"""Every column by a small network of its own, all of them as one batched product; and heads over tokens."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from synth.layout import ColumnLayout, TableLayout

Mask = Callable[[Tensor], Tensor]


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

    def forward(self, x: Tensor, mask: Mask | None = None) -> Tensor:
        """All columns at once, x: (D, B, H); `mask` drops hidden values."""
        inside = F.silu(self.inner(F.layer_norm(x, x.shape[-1:])))
        return x + cast("Tensor", self.outer(mask(inside) if mask else inside))

    def column(self, x: Tensor, d: int) -> Tensor:
        """Column d alone, nothing dropped, x: (B, H)."""
        inside = F.silu(self.inner.column(F.layer_norm(x, x.shape[-1:]), d), inplace=True)
        return self.outer.column(inside, d).add_(x)


class ColumnNetwork(nn.Module):
    """A residual network in every column: (D, B, I) -> (D, B, H)."""

    def __init__(self, columns: int, inputs: int, width: int, blocks: int, generator: torch.Generator) -> None:
        super().__init__()
        self.entry = ColumnLinear(columns, inputs, width, 1.0, generator)
        self.blocks = nn.ModuleList(Block(columns, width, generator) for _ in range(blocks))

    def forward(self, x: Tensor, mask: Mask | None = None) -> Tensor:
        """All columns at once, x: (D, B, I); `mask` drops hidden values."""
        hidden: Tensor = self.entry(x)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return hidden

    def column(self, x: Tensor, d: int) -> Tensor:
        """Column d alone, nothing dropped, x: (B, I)."""
        hidden = self.entry.column(x, d)
        for block in cast("list[Block]", self.blocks):
            hidden = block.column(hidden, d)
        return hidden


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


def group_heads(layout: TableLayout, cosines: int, smooth_from: int) -> list[tuple[int, list[int]]]:
    """Columns that share a head, as (cosines, columns): cardinalities within a factor of two.

    Ordered columns of more than `smooth_from` tokens get a smooth head of so many cosines, the others one of none.
    """
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for d, column in enumerate(layout.columns):
        smooth = column.cardinality > smooth_from and not np.isnan(column.ordered).all()
        groups[cosines if smooth else 0, (column.cardinality - 1).bit_length()].append(d)
    return [(found, members) for (found, _), members in sorted(groups.items())]


def cosine_basis(column: ColumnLayout, cosines: int) -> Tensor:
    """cos(pi k u) for k = 0 .. cosines - 1 at the mid-rank u of each ordered token, else 0: (cosines, K)."""
    ordered = np.flatnonzero(~np.isnan(column.ordered))
    ordered = ordered[np.argsort(column.ordered[ordered], kind="stable")]
    share = np.maximum(column.frequency[ordered].astype(np.float64), 1e-9)
    rank = (share.cumsum() - share / 2) / share.sum()
    basis = np.zeros((cosines, column.cardinality), dtype=np.float32)
    basis[:, ordered] = np.cos(np.pi * np.arange(cosines)[:, None] * rank)
    return torch.from_numpy(basis)


def token_rows(layout: TableLayout, embedded: Sequence[NDArray[np.bool_]]) -> tuple[Tensor, Tensor]:
    """Tables of all tokens of all columns: where each column begins, (D,) int64, and each token's row of an embedding,
    (sum K,) int64, where `embedded` says that it has one; row 0, a zero vector, is of those without."""
    stacked = np.concatenate([*embedded, np.zeros(0, dtype=bool)])
    rows = np.where(stacked, np.cumsum(stacked), 0).astype(np.int64)
    starts = np.cumsum([0, *layout.cardinalities])[: len(layout.columns)].astype(np.int64)
    return torch.from_numpy(starts), torch.from_numpy(rows)


def token_vectors(rows: Tensor, width: int, divisor: float, generator: torch.Generator) -> nn.Parameter:
    """The embedding that `token_rows` numbers, (E, H): row 0 zero, the others drawn normal and divided by `divisor`.

    A table without columns has nothing to learn: (1, 0).
    """
    size = (int(rows.max()) + 1, width) if len(rows) else (1, 0)
    weight = torch.randn(size, generator=generator) / divisor
    weight[0] = 0
    return nn.Parameter(weight)


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


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Invert the distribution function of softmax(logits), (B, K), at `uniform`, (B,) in [0, 1)."""
    cumulative = (logits - logits.amax(1, keepdim=True)).exp_().cumsum(1)
    drawn = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
    return drawn.squeeze(1).clamp_(max=logits.shape[1] - 1)
