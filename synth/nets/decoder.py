"""A causal transformer over tokens as language models have it: rotary places, normed queries and keys, one cache.

Rotary places by Su et al. 2021, root-mean-square norms by Zhang & Sennrich 2019, norms of queries and keys by Henry et
al. 2020, squared ReLU by So et al. 2021; no place looks past the beginning of its own text.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.convolutions import parts
from synth.nets.dense import Linear, dropped
from synth.nets.precision import working

HEAD = 32  # channels of an attention head, about
BASE = 10_000.0  # of the rotary wave lengths

Turn = tuple[Tensor, Tensor]


class Layer(nn.Module):
    """x + attention(norm(x)), then x + W2 relu(W1 norm(x))^2."""

    def __init__(self, width: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.dropout, self.heads = dropout, parts(width, HEAD)
        self.queries = Linear(width, 3 * width, 1.0, generator)
        self.seen = Linear(width, width, 0.0, generator)
        self.inner = Linear(width, 4 * width, 1.0, generator)
        self.outer = Linear(4 * width, width, 0.0, generator)

    def forward(self, x: Tensor, turn: Turn, allowed: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """x: (B, T, W); allowed: (B, 1, T, T), which places each looks at, all earlier ones by default."""
        query, key, value = self._heads(x, turn)
        found = F.scaled_dot_product_attention(query, key, value, allowed, is_causal=allowed is None)
        return self._after(x, found, generator)

    def step(self, x: Tensor, turn: Turn, keys: Tensor, values: Tensor, place: int) -> Tensor:
        """x: (B, 1, W); keys, values: (B, heads, L, W / heads) of the last L places, a ring that is written to."""
        query, key, value = self._heads(x, turn)
        slot, filled = place % keys.shape[2], min(place + 1, keys.shape[2])
        keys[:, :, slot], values[:, :, slot] = key[:, :, 0], value[:, :, 0]
        found = F.scaled_dot_product_attention(query, keys[:, :, :filled], values[:, :, :filled])
        return self._after(x, found, None)

    def _heads(self, x: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (B, heads, T, W / heads)."""
        B, T, W = x.shape
        parts = self.queries(F.rms_norm(x, (W,))).view(B, T, 3, self.heads, W // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        return _turned(query, turn), _turned(key, turn), value

    def _after(self, x: Tensor, found: Tensor, generator: torch.Generator | None) -> Tensor:
        x = x + dropped(self.seen(found.transpose(1, 2).reshape(x.shape)), self.dropout, generator)
        inside = self.outer(F.relu(self.inner(F.rms_norm(x, x.shape[-1:]))).square())
        return x + dropped(inside, self.dropout, generator)


class Decoder(nn.Module):
    """The logits of each next token of 0 .. V-1, told from the last `page` ones; layers compute in `precision`."""

    def __init__(
        self,
        vocabulary: int,
        page: int,
        width: int,
        layers: int,
        dropout: float,
        precision: torch.dtype | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.precision, self.page, self.width = precision, page, width
        self.embedding = nn.Parameter(torch.randn((vocabulary, width), generator=generator))
        self.layers = nn.ModuleList(Layer(width, dropout, generator) for _ in range(layers))
        self.exit = Linear(width, vocabulary, 0.0, generator)

    def forward(
        self, tokens: Tensor, told: Tensor | None, first: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """tokens: (B, T); told: (B, T, W) added to them. Returns (B, T, V).

        first: (B, T) bool, where a text begins, past which no later place looks; None where none begins on the way
        generator: of the dropout while training, None otherwise
        """
        x = self._entered(tokens, told)
        turned = turn(torch.arange(tokens.shape[1], device=tokens.device), self.width, x.dtype)
        allowed = own_text(first)
        for layer in self.layers:
            x = layer(x, turned, allowed, generator)
        return self._logits(x)

    def cache(self, rows: int) -> list[Tensor]:
        """Room for keys and values of `rows` texts: one of (2, B, heads, L, W / heads) for each layer."""
        device, dtype = self.embedding.device, working(self.embedding[:0], self.precision).dtype
        heads = [cast("Layer", layer).heads for layer in self.layers]
        return [torch.zeros((2, rows, h, self.page, self.width // h), dtype=dtype, device=device) for h in heads]

    def step(self, tokens: Tensor, told: Tensor | None, place: int, cache: list[Tensor]) -> Tensor:
        """The logits (B, V) after tokens (B,) at a place of their texts; told: (B, W). `cache` is written to."""
        x = self._entered(tokens[:, None], None if told is None else told[:, None])
        turned = turn(torch.tensor([place], device=tokens.device), self.width, x.dtype)
        for layer, (keys, values) in zip(cast("list[Layer]", self.layers), cache, strict=True):
            x = layer.step(x, turned, keys, values, place)
        return self._logits(x)[:, 0]

    def _entered(self, tokens: Tensor, told: Tensor | None) -> Tensor:
        x = F.embedding(tokens, self.embedding)
        x = F.rms_norm(x if told is None else x + told, x.shape[-1:])
        return working(x, self.precision)

    def _logits(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.exit(F.rms_norm(x.float(), x.shape[-1:])))


def own_text(first: Tensor | None) -> Tensor | None:
    """(B, 1, T, T) bool, the earlier places of its own text that each place looks at; None where these are all earlier
    ones, as no text begins after the first place (B, T)."""
    if first is None or not bool(first[:, 1:].any()):
        return None
    text = first.cumsum(1)
    return (text[:, :, None] == text[:, None, :]).tril()[:, None]


def turn(places: Tensor, width: int, dtype: torch.dtype) -> Turn:
    """Cosine and sine of each place's angles, (T, W / heads / 2)."""
    half = width // parts(width, HEAD) // 2
    waves = BASE ** (-torch.arange(half, device=places.device) / half)
    angles = places[:, None].float() * waves
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _turned(x: Tensor, turn: Turn) -> Tensor:
    """Vectors (B, heads, T, C), normed, every pair of channels turned by its place's angle."""
    cos, sin = turn
    first, second = F.rms_norm(x, x.shape[-1:]).chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def nucleus(logits: Tensor, share: float) -> Tensor:
    """Logits (B, V) with all but the likeliest tokens, which together have `share`, left out (Holtzman et al. 2020)."""
    if share >= 1:
        return logits
    chances, order = logits.softmax(1).sort(1, descending=True)
    beyond = chances.cumsum(1) - chances >= share
    return logits.masked_fill(beyond.gather(1, order.argsort(1)), -torch.inf)
