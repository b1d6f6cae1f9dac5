"""Captions of pictures: read as vectors, and written anew."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.layout import CAPTION_END, Condition
from synth.nets.columns import draw
from synth.nets.draws import rand
from synth.nets.transformer import Block, Cache, Transformer

BLOCKS = 2


class Reader(nn.Module):
    """Words (B, T) of 0 .. K-1 -> (B, T, W) each by itself, and in the light of all others by a small transformer."""

    def __init__(self, words: int, length: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn((words, width), generator=generator) * 0.5)
        self.places = nn.Parameter(torch.randn((length, width), generator=generator) * 0.5)
        self.blocks = nn.ModuleList(Block(width, 0.0, generator, causal=False) for _ in range(BLOCKS))

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """words: (B, T)."""
        alone = F.embedding(words, self.embedding)
        x = alone + self.places
        for block in self.blocks:
            x, _ = block(x, None, None)
        return alone, F.layer_norm(x, x.shape[-1:])


class Writer(nn.Module):
    """Which words follow each other, given a vector (B, W): captions are drawn from it, none is kept.

    used: (K,) which words may be drawn where nothing else is asked for
    """

    used: Tensor

    def __init__(self, used: Tensor, length: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("used", used, persistent=False)
        self.transformer = Transformer(len(used), length, width, BLOCKS, 0.0, torch.float32, generator)

    def loss(self, words: Tensor, known: Tensor) -> Tensor:
        """Nats per word of (B, T), given (B, W)."""
        logits = self.transformer(words, known[:, None], None)
        return F.cross_entropy(logits.flatten(0, 1), words.flatten())

    def draw(self, known: Tensor, condition: Condition | None, generator: torch.Generator) -> Tensor:
        """(n, T) words given (n, W); those of a condition, in its last columns, as they are asked for."""
        asked = torch.full((len(known), self.length), -1)
        if condition is not None and condition.tokens is not None:
            asked = torch.from_numpy(condition.tokens[:, -self.length :])
        asked = asked.to(known.device)
        if (asked >= 0).all():
            return asked
        uniforms = rand((self.length, len(known)), generator, known.device)
        cache: Cache = []
        x, written = known[:, None], []
        ended = torch.zeros(len(known), dtype=torch.bool, device=known.device)
        for place in range(self.length):
            logits = self.transformer.step(x, place, cache)
            logits = logits.masked_fill(~self.used, -torch.inf)
            logits[ended, 1:] = -torch.inf
            written.append(torch.where(asked[:, place] >= 0, asked[:, place], draw(logits, uniforms[place])))
            ended = ended | (written[-1] == CAPTION_END)
            x = F.embedding(written[-1], self.transformer.embedding)[:, None]
        return torch.stack(written, 1)
