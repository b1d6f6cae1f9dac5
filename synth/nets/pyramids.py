"""Pictures to a small grid of many channels and back, through levels that are half as high and wide each.

Pictures are folded first, patch x patch pixels into channels: on a processor a quarter of the places with four times
the channels cost less than half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.nets.convolutions import Conv, GroupNorm, doubled, halved, ladder
from synth.nets.dense import Linear
from synth.nets.precision import working


@dataclass(frozen=True)
class Fold:
    """How pictures of a layout become grids that `levels` levels can halve.

    patch: pixels of a side that are folded into channels; precision: type of the grids, see `working`
    """

    layout: ImageLayout
    patch: int
    levels: int
    precision: torch.dtype | None

    @property
    def channels(self) -> int:
        """Of a folded picture."""
        return self.layout.channels * self.patch**2

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width at the lowest level; pictures are padded up to it."""
        multiple = self.patch * 2 ** (self.levels - 1)
        return -(-self.layout.height // multiple), -(-self.layout.width // multiple)

    def fold(self, x: Tensor) -> Tensor:
        """(B, C, H, W) from -1 to 1 -> (B, C patch^2, h, w), padded with -1."""
        multiple = self.patch * 2 ** (self.levels - 1)
        high, wide = (side * multiple for side in self.grid)
        x = F.pad(x, (0, wide - x.shape[3], 0, high - x.shape[2]), value=-1.0)
        return working(F.pixel_unshuffle(x, self.patch), self.precision)

    def unfold(self, x: Tensor) -> Tensor:
        """(B, O patch^2, h, w) -> (B, O, H, W) float32."""
        return F.pixel_shuffle(x.float(), self.patch)[:, :, : self.layout.height, : self.layout.width]


class Block(nn.Module):
    """A residual block under a vector e: x + W2 silu(norm(W1 silu(norm(x))) (1 + a(e)) + b(e)), a = b = 0 without e."""

    def __init__(self, inputs: int, outputs: int, known: int | None, generator: torch.Generator) -> None:
        super().__init__()
        self.first = GroupNorm(inputs)
        self.inner = Conv(inputs, outputs, 3, 1.0, generator)
        self.known = None if known is None else Linear(known, 2 * outputs, 0.1, generator)
        self.second = GroupNorm(outputs)
        self.outer = Conv(outputs, outputs, 3, 0.1, generator)
        self.skip = None if inputs == outputs else Conv(inputs, outputs, 1, 1.0, generator)

    def forward(self, x: Tensor, known: Tensor | None) -> Tensor:
        """x: (B, I, H, W), known: (B, E)."""
        inside = self.second(self.inner(F.silu(self.first(x))))
        if self.known is not None:
            scale, shift = self.known(known).to(x.dtype)[:, :, None, None].chunk(2, 1)
            inside = torch.addcmul(shift, inside, 1 + scale)
        return cast("Tensor", self.outer(F.silu(inside)) + (x if self.skip is None else self.skip(x)))


class Down(nn.Module):
    """Pictures (B, C, H, W) -> (B, widths[-1], h, w), normalised."""

    def __init__(self, fold: Fold, widths: Sequence[int], blocks: int, generator: torch.Generator) -> None:
        super().__init__()
        self.fold, self.count = fold, blocks
        self.entry = Conv(fold.channels, widths[0], 3, 1.0, generator)
        self.blocks = nn.ModuleList(Block(*pair, None, generator) for pair in ladder(widths, blocks))
        self.norm = GroupNorm(widths[-1])

    def forward(self, x: Tensor) -> Tensor:
        """x: from -1 to 1."""
        x = self.entry(self.fold.fold(x))
        for i, block in enumerate(self.blocks):
            x = block(halved(x) if i and i % self.count == 0 else x, None)
        return F.silu(self.norm(x))


class Up(nn.Module):
    """(B, widths[-1], h, w) and a vector (B, E), where `known` says its length, -> pictures (B, outputs, H, W)."""

    def __init__(
        self,
        fold: Fold,
        outputs: int,
        widths: Sequence[int],
        blocks: int,
        known: int | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.change, self.levels, width = nn.ModuleList(), nn.ModuleList(), widths[-1]
        for i, level in enumerate(reversed(widths)):
            self.change.append(Conv(width, level, 1, 1.0, generator) if i else nn.Identity())
            self.levels.append(nn.ModuleList(Block(level, level, known, generator) for _ in range(blocks)))
            width = level
        self.norm = GroupNorm(width)
        self.exit = Conv(width, outputs * fold.patch**2, 3, 0.3, generator)

    def forward(self, x: Tensor, known: Tensor | None) -> Tensor:
        """x: any type; returns float32."""
        x = working(x, self.fold.precision)
        for i, (change, level) in enumerate(zip(self.change, self.levels, strict=True)):
            x = change(doubled(x) if i else x)
            for block in cast("nn.ModuleList", level):
                x = block(x, known)
        return self.fold.unfold(self.exit(F.silu(self.norm(x))))
