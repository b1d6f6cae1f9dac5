"""Labels of pictures: which come together how often, how they are drawn, and the vector that stands for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from synth.layout import Condition, TableLayout
from synth.nets.captions import Reader
from synth.nets.draws import rand
from synth.nets.grown import Grown


class Labels(Grown):
    """The D label columns of a layout.

    combinations: (M, D) int64, the tokens that training rows have together; shares: (M,) float32, how often
    """

    grown = ("combinations", "shares")

    combinations: Tensor
    shares: Tensor

    def __init__(self, layout: TableLayout) -> None:
        super().__init__()
        self.sizes = layout.cardinalities
        self.frequency = [torch.from_numpy(column.frequency.copy()) for column in layout.columns]
        self.register_buffer("combinations", torch.zeros((1, len(self.sizes)), dtype=torch.long))
        self.register_buffer("shares", torch.ones(1))

    def observe(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Count the combinations of all training rows."""
        device = self.shares.device
        tokens = torch.cat([batch["tokens"].cpu() for batch in batches])
        found, counts = torch.unique(tokens, dim=0, return_counts=True) if self.sizes else (tokens[:1], torch.ones(1))
        self.combinations, self.shares = found.to(device), (counts / counts.sum()).float().to(device)

    def draw(self, n: int, generator: torch.Generator, condition: Condition | None) -> Tensor:
        """(n, D) tokens: combinations as often as in the training rows, of those that the condition allows.

        What no training row has together is drawn column by column.
        """
        device = self.shares.device
        if not self.sizes:
            return torch.zeros((n, 0), dtype=torch.long, device=device)
        uniforms = rand((n, 1 + len(self.sizes)), generator, device)
        tokens = torch.zeros((n, len(self.sizes)), dtype=torch.long, device=device)
        fixed = torch.full((n, len(self.sizes)), -1, dtype=torch.long)
        if condition is not None and condition.tokens is not None:
            fixed = torch.from_numpy(condition.tokens[:, : len(self.sizes)])
        patterns, members = torch.unique(fixed, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows = (members == number).nonzero().squeeze(1).to(device)
            weights = self._weights(pattern, condition)
            parts = [w[self.combinations[:, d]] for d, w in enumerate(weights)]
            together = self.shares * torch.stack(parts).prod(0)
            if together.sum() > 0:
                tokens[rows] = self.combinations[_invert(together, uniforms[rows, 0])]
                continue
            for d, allowed in enumerate(weights):
                tokens[rows, d] = _invert(self.frequency[d].to(device) * allowed, uniforms[rows, d + 1])
        return tokens

    def _weights(self, pattern: Tensor, condition: Condition | None) -> list[Tensor]:
        """Of each column (K,): how much of each token a row may have."""
        weights = []
        for d, size in enumerate(self.sizes):
            allowed = np.ones(size)
            if condition is not None and d in condition.spans:
                low, high = condition.spans[d].T
                allowed = np.where(low <= high, np.maximum(high - low, 1e-6), 0.0)
            if pattern[d] >= 0:
                allowed = allowed * (np.arange(size) == int(pattern[d]))
            weights.append(torch.from_numpy(allowed).float().to(self.shares.device))
        return weights


def _invert(weights: Tensor, uniforms: Tensor) -> Tensor:
    """(n,) places drawn by weights (M,), which need not sum to 1."""
    edges = weights.double().cumsum(0)
    found = torch.searchsorted(edges, uniforms.double() * edges[-1], right=True)
    return found.clamp_max(int(weights.nonzero()[-1]))


def guidance_of(asked: float | None, captioned: bool, defaults: tuple[float, float]) -> float:
    """The guidance that was asked for, or else the default for labels or, which need more, for captions."""
    return defaults[captioned] if asked is None else asked


def guided(field: Callable[[Tensor | None], Tensor], guidance: float, tokens: Tensor) -> Tensor:
    """What a network gives when it is told all labels (B, D), what they add exaggerated (classifier-free guidance, Ho &
    Salimans 2022); field: whose labels are told, (B,) bool or None for all, -> (B, ...)."""
    told = field(None)
    if guidance == 1 or not tokens.shape[1]:
        return told
    nobody = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    return torch.lerp(field(nobody), told, guidance)


class LabelVector(nn.Module):
    """The sum of a learnt vector for each label, (B, D) tokens -> (B, E); one row more stands for "not told".

    Where there is a caption, the mean over its words is added, of what a `Reader` makes of each in the light of the
    others, and of each by itself: words that were never together add up all the same.
    """

    offsets: Tensor

    def __init__(self, layout: TableLayout, width: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = layout.labels.cardinalities
        starts = torch.tensor([1, *sizes]).cumsum(0)
        self.labels = len(sizes)
        self.register_buffer("offsets", starts[:-1], persistent=False)
        self.weight = nn.Parameter(torch.randn((int(starts[-1]), width), generator=generator))
        words = layout.cardinalities[len(sizes) :]
        self.reader = Reader(words[0], len(words), width, generator) if words else None

    def forward(self, tokens: Tensor, told: Tensor | None = None) -> Tensor:
        """tokens: (B, D); told: (B,) bool, whose labels are told, None for all."""
        return self.read(tokens, told)[0]

    def read(self, tokens: Tensor, told: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """As `forward`, and the words of the caption (B, T, E), where there is one."""
        rows = tokens[:, : self.labels] + self.offsets
        if told is not None:
            rows, tokens = rows * told[:, None], tokens * told[:, None]
        found = nn.functional.embedding(rows, self.weight).sum(1)
        found = found if self.labels else found + self.weight[0]
        if self.reader is None:
            return found, None
        alone, words = self.reader(tokens[:, self.labels :])
        return found + alone.mean(1) + words.mean(1), words
