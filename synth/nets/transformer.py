"""A causal transformer over token sequences (Vaswani et al. 2017; Radford et al. 2019), told a vector."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.convolutions import parts
from synth.nets.dense import Linear, dropped
from synth.nets.precision import working

HEAD = 32  # channels of an attention head, about

Cache = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """x + attention(norm(x)), then x + W2 gelu(W1 norm(x)); causal: whether places look at those before them only."""

    def __init__(self, width: int, dropout: float, generator: torch.Generator, *, causal: bool = True) -> None:
        super().__init__()
        self.dropout, self.heads, self.causal = dropout, parts(width, HEAD), causal
        self.queries = Linear(width, 3 * width, 1.0, generator)
        self.seen = Linear(width, width, 0.3, generator)
        self.inner = Linear(width, 4 * width, 1.0, generator)
        self.outer = Linear(4 * width, width, 0.3, generator)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, generator: torch.Generator | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x: (B, T, W); past: keys and values (B, heads, P, W / heads) of what came before, where T is 1."""
        B, T, W = x.shape
        parts = self.queries(F.layer_norm(x, (W,))).view(B, T, 3, self.heads, W // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        found = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal and past is None)
        x = x + dropped(self.seen(found.transpose(1, 2).reshape(B, T, W)), self.dropout, generator)
        inside = self.outer(F.gelu(self.inner(F.layer_norm(x, (W,)))))
        return x + dropped(inside, self.dropout, generator), (key, value)


class Transformer(nn.Module):
    """The logits of each next token of sequences of `length` tokens 0 .. K-1; blocks compute in `precision`."""

    def __init__(
        self,
        tokens: int,
        length: int,
        width: int,
        blocks: int,
        dropout: float,
        precision: torch.dtype | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.precision = precision
        self.embedding = nn.Parameter(torch.randn((tokens, width), generator=generator) * 0.5)
        self.places = nn.Parameter(torch.randn((length, width), generator=generator) * 0.5)
        self.blocks = nn.ModuleList(Block(width, dropout, generator) for _ in range(blocks))
        self.exit = Linear(width, tokens, 0.5, generator)

    def forward(self, tokens: Tensor, first: Tensor, generator: torch.Generator | None) -> Tensor:
        """tokens: (B, T), first: (B, P, W), the vectors before the first token. Returns (B, T, K).

        generator: of the dropout while training, None otherwise
        """
        before, last = first[:, :-1], first[:, -1:]
        x = torch.cat([last, F.embedding(tokens[:, :-1], self.embedding)], 1) + self.places[: tokens.shape[1]]
        x = working(torch.cat([before, x], 1), self.precision)
        for block in self.blocks:
            x, _ = block(x, None, generator)
        return self._logits(x[:, before.shape[1] :])

    def step(self, x: Tensor, place: int, cache: Cache) -> Tensor:
        """The logits (B, K) after vectors (B, P, W), the last of them at a place of the tokens; one alone but for the
        first place. `cache` holds what came before, and is added to."""
        x = working(torch.cat([x[:, :-1], x[:, -1:] + self.places[place]], 1), self.precision)
        for i, block in enumerate(self.blocks):
            x, known = block(x, cache[i] if place else None, None)
            cache[i : i + 1] = [known]
        return self._logits(x[:, -1])

    def _logits(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.exit(F.layer_norm(x.float(), x.shape[-1:])))
