"""Autoregression over image tokens: a small codebook of patches, and a transformer that writes them one by one.

A convolutional autoencoder turns a picture into a grid of entries of a codebook (VQ-VAE, van den Oord et al. 2017, the
codebook by moving averages), a causal transformer learns their order given the labels and, where there is a caption,
after its words (the way from text to pictures of Ramesh et al. 2021).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.models.base import Batch, ImageConfig, ImageModel, scaled
from synth.nets.columns import draw
from synth.nets.convolutions import Conv
from synth.nets.draws import rand
from synth.nets.labels import LabelVector, guidance_of
from synth.nets.pyramids import Down, Fold, Up
from synth.nets.transformer import Cache, Transformer

GUIDANCE = (1.3, 4.0)  # by default, with labels and with captions


class Config(ImageConfig):
    """Hyper-parameters of autoregression over image tokens.

    codebook: entries; code: length of an entry; memory: of the entries' moving averages
    commitment: weight of the distance of what is encoded to its entry
    patch: pixels of a side that are folded into channels; widths: channels of each level; blocks: of each level
    width, layers, dropout: of the transformer
    guidance: how much of what the labels add is drawn with, 1 for none of the exaggeration; None for 1.3, and for 4
        where there is a caption
    untold: share of the training rows whose labels are left out
    temperature: of the tokens while drawing
    """

    epochs: int = Field(60, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    gradient_clip: float = Field(5.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    codebook: int = Field(256, ge=2)
    code: int = Field(16, ge=1)
    memory: float = Field(0.99, ge=0, lt=1)
    commitment: float = Field(0.25, ge=0)
    patch: int = Field(2, ge=1)
    widths: tuple[int, ...] = (64, 128)
    blocks: int = Field(1, ge=1)
    width: int = Field(256, ge=32)
    layers: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    guidance: float | None = Field(None, ge=0)
    untold: float = Field(0.1, ge=0, le=1)
    temperature: float = Field(1.0, gt=0)


class Autoencoder(nn.Module):
    """Pictures to a grid of vectors, (B, C, H, W) -> (B, V, h, w), and back."""

    def __init__(self, config: Config, layout: ImageLayout, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        self.grid, width = fold.grid, config.widths[-1]
        self.down = Down(fold, config.widths, config.blocks, generator)
        self.encoded = Conv(width, config.code, 1, 1.0, generator)
        self.decoded = Conv(config.code, width, 3, 1.0, generator)
        self.up = Up(fold, layout.channels, config.widths, config.blocks, None, generator)

    def encode(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), from -1 to 1."""
        return cast("Tensor", self.encoded(self.down(x).float()))

    def decode(self, codes: Tensor) -> Tensor:
        """codes: (B, V, h, w)."""
        return cast("Tensor", self.up(self.decoded(codes), None)).tanh()


class Codebook(nn.Module):
    """K vectors; those of a grid become the nearest entries, and entries follow the mean of what becomes them."""

    entries: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, length: int, memory: float, generator: torch.Generator) -> None:
        super().__init__()
        self.memory = memory
        entries = torch.randn((size, length), generator=generator)
        self.register_buffer("entries", entries)
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", entries.clone())

    def nearest(self, vectors: Tensor) -> Tensor:
        """(B, V, h, w) -> (B, h w) entries."""
        flat = vectors.permute(0, 2, 3, 1).flatten(0, 2)
        distance = self.entries.square().sum(1) - 2 * flat @ self.entries.T
        return distance.argmin(1).view(len(vectors), -1)

    @torch.no_grad()
    def follow(self, vectors: Tensor, tokens: Tensor, generator: torch.Generator) -> None:
        """Move entries to the mean of their vectors; one that hardly any becomes starts anew at one of them."""
        flat, chosen = vectors.permute(0, 2, 3, 1).flatten(0, 2), tokens.flatten()
        count = torch.bincount(chosen, minlength=len(self.counts)).float()
        total = torch.zeros_like(self.sums).index_add_(0, chosen, flat)
        self.counts.lerp_(count, 1 - self.memory)
        self.sums.lerp_(total, 1 - self.memory)
        idle = self.counts < 0.01 * self.counts.mean()
        if idle.any():
            places = (rand((int(idle.sum()),), generator, flat.device) * len(flat)).long()
            self.counts[idle] = self.counts.mean()
            self.sums[idle] = flat[places] * self.counts.mean()
        self.entries.copy_(self.sums / self.counts[:, None].clamp_min(1e-6))


class Model(ImageModel):
    """Autoencoder, codebook and transformer, trained side by side; no gradient of the transformer reaches the codes."""

    config: Config

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.autoencoder = Autoencoder(config, layout, self.fold(config.patch, config.widths), generator)
        self.codebook = Codebook(config.codebook, config.code, config.memory, generator)
        h, w = self.autoencoder.grid
        self.label = LabelVector(layout, config.width, generator)
        self.transformer = Transformer(
            config.codebook, h * w, config.width, config.layers, config.dropout, self.precision, generator
        )

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Squared error of what is decoded, the distance to the entries, and nats of the tokens, per picture."""
        x, labels = scaled(batch["images"]), batch["tokens"]
        vectors = self.autoencoder.encode(x)
        tokens = self.codebook.nearest(vectors.detach())
        codes = self._codes(tokens)
        if self.training:
            self.codebook.follow(vectors.detach(), tokens, generator)
        decoded = self.autoencoder.decode(vectors + (codes - vectors).detach())
        error = F.mse_loss(decoded, x) + self.config.commitment * F.mse_loss(vectors, codes)
        told = rand((len(x),), generator, x.device) >= self.config.untold
        logits = self.transformer(tokens, self._first(labels, told), generator if self.training else None)
        return 10 * error + F.cross_entropy(logits.flatten(0, 1), tokens.flatten())

    def pictures(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W), token after token."""
        guidance = guidance_of(self.config.guidance, self.layout.caption > 0, GUIDANCE)
        guided = guidance != 1 and tokens.shape[1] > 0
        x = self._first(tokens, None)
        if guided:
            x = torch.cat([x, self._first(tokens, torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device))])
        h, w = self.autoencoder.grid
        uniforms = rand((h * w, len(tokens)), generator, tokens.device)
        cache: Cache = []
        written = []
        for place in range(h * w):
            logits = self.transformer.step(x, place, cache)
            if guided:
                told, untold = logits.chunk(2)
                logits = torch.lerp(untold, told, guidance)
            written.append(draw(logits / self.config.temperature, uniforms[place]))
            x = F.embedding(written[-1], self.transformer.embedding)[:, None]
            x = torch.cat([x, x]) if guided else x
        return self.autoencoder.decode(self._codes(torch.stack(written, 1)))

    def _first(self, tokens: Tensor, told: Tensor | None) -> Tensor:
        """(B, P, W) what stands before the tokens of a picture: the words of its caption, and the vector of it all."""
        known, words = self.label.read(tokens, told)
        return known[:, None] if words is None else torch.cat([words, known[:, None]], 1)

    def _codes(self, tokens: Tensor) -> Tensor:
        """(B, h w) entries as vectors (B, V, h, w)."""
        found = F.embedding(tokens, self.codebook.entries)
        return found.transpose(1, 2).reshape(len(tokens), -1, *self.autoencoder.grid)
