"""A U-Net (Ronneberger et al. 2015) that knows a vector: the denoiser of diffusion models over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.convolutions import Conv, GroupNorm, doubled, halved, ladder, parts
from synth.nets.dense import Linear
from synth.nets.pyramids import Block, Fold

HEAD = 32  # channels of an attention head, about


class Attention(nn.Module):
    """Every place looks at every other one (Vaswani et al. 2017)."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = parts(channels, HEAD)
        self.norm = GroupNorm(channels)
        self.queries = Conv(channels, 3 * channels, 1, 1.0, generator)
        self.outer = Conv(channels, channels, 1, 0.1, generator)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W)."""
        B, C, H, W = x.shape
        query, key, value = self.queries(self.norm(x)).view(B, 3, self.heads, -1, H * W).transpose(3, 4).unbind(1)
        seen = F.scaled_dot_product_attention(query, key, value)  # (B, heads, places, C / heads)
        return cast("Tensor", x + self.outer(seen.transpose(2, 3).reshape(B, C, H, W)))


class CrossAttention(nn.Module):
    """Every place looks at the words of a caption."""

    def __init__(self, channels: int, words: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = parts(channels, HEAD)
        self.norm = GroupNorm(channels)
        self.queries = Conv(channels, channels, 1, 1.0, generator)
        self.words = Linear(words, 2 * channels, 1.0, generator)
        self.outer = Conv(channels, channels, 1, 0.1, generator)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """x: (B, C, H, W), words: (B, T, E)."""
        B, C, H, W = x.shape
        query = self.queries(self.norm(x)).view(B, self.heads, -1, H * W).transpose(2, 3)
        key, value = self.words(words).to(x.dtype).view(B, -1, 2, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)  # (B, heads, places, C / heads)
        return cast("Tensor", x + self.outer(seen.transpose(2, 3).reshape(B, C, H, W)))


class UNet(nn.Module):
    """(B, C, H, W) -> (B, C, H, W), through levels of `widths` channels, each half as high and wide as the one before.

    What a block gives on the way down is added to what its twin takes on the way up.

    blocks: of each level, on the way down and on the way up
    known: length of the vector that every block is told; None where there is none
    words: length of the vectors of a caption's words; None where there are none
    """

    def __init__(
        self,
        fold: Fold,
        widths: Sequence[int],
        blocks: int,
        known: int | None,
        generator: torch.Generator,
        words: int | None = None,
    ) -> None:
        super().__init__()
        self.fold, self.count = fold, blocks
        self.entry = Conv(fold.channels, widths[0], 3, 1.0, generator)
        self.down = nn.ModuleList(Block(*pair, known, generator) for pair in ladder(widths, blocks))
        self.change, self.up, width = nn.ModuleList(), nn.ModuleList(), widths[-1]
        self.middle = nn.ModuleList(Block(width, width, known, generator) for _ in range(2))
        self.attention = Attention(width, generator)
        for i, level in enumerate(reversed(widths)):
            self.change.append(Conv(width, level, 1, 1.0, generator) if i else nn.Identity())
            self.up.extend(Block(level, level, known, generator) for _ in range(blocks))
            width = level
        self.norm = GroupNorm(width)
        self.exit = Conv(width, fold.channels, 3, 0.0, generator)
        asked = () if words is None else (CrossAttention(widths[-1], words, generator) for _ in range(2))
        self.asked = nn.ModuleList(asked)

    def forward(self, x: Tensor, known: Tensor | None, words: Tensor | None = None) -> Tensor:
        """x: (B, C, H, W) float32, known: (B, E), words: (B, T, E). Returns float32."""
        x = self.entry(self.fold.fold(x))
        known, left = None if known is None else F.silu(known), []
        for i, block in enumerate(self.down):
            x = block(halved(x) if i and i % self.count == 0 else x, known)
            left.append(x)
        x = self.attention(self.middle[0](x, known))
        x = x if words is None else self.asked[0](x, words)
        x = self.middle[1](x, known)
        x = x if words is None else self.asked[1](x, words)
        for i, block in enumerate(self.up):
            if i and i % self.count == 0:
                x = doubled(self.change[i // self.count](x))
            x = block((x + left.pop()) * 0.5**0.5, known)
        return self.fold.unfold(self.exit(F.silu(self.norm(x))))
