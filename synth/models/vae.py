"""Variational autoencoder with a learnt prior: rows become Gaussian latents, whose distribution is learnt as well.

The evidence lower bound of Kingma & Welling (2014), where p(z) is not a standard normal but autoregressive over the
latents, trained in the same bound (Chen et al. 2017, "Variational lossy autoencoder"): with a fixed prior the encoded
rows as a whole miss it, and samples are blurred (Dai & Wipf 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import Condition, TableLayout
from synth.models.base import PRIVATE, Batch, GenerativeModel, TrainingConfig
from synth.nets.columns import (
    Block,
    ColumnLinear,
    ColumnNetwork,
    Head,
    draw,
    group_heads,
    stack_features,
    token_rows,
    token_vectors,
)
from synth.nets.draws import rand, randn

SAMPLE_ROWS = 2048  # rows drawn at once, so that activations stay in the processor's cache
LEAST_LOG_SCALE = -7.0  # of a Gaussian of the prior


class Config(TrainingConfig):
    """Hyper-parameters of the autoencoder and of its prior.

    latent: dimensions of a row's latent
    width: size of the hidden layers of encoder and decoder
    blocks: residual blocks of the encoder, and of the decoder
    beta: weight of the bound's divergence term (Higgins et al. 2017); 1 is the bound itself, less reconstructs better
    cosines: cosine functions that make the head of an ordered column smooth over neighbouring tokens
    smooth_from: ordered columns with more tokens than this get a smooth head
    components: Gaussians in the mixture of each latent's prior
    prior_width: size of the hidden layers of the prior's network for one latent
    prior_blocks: residual blocks of the prior's network for one latent
    """

    latent: int = Field(16, ge=1)
    width: int = Field(256, ge=1)
    blocks: int = Field(2, ge=0)
    beta: float = Field(0.25, gt=0)
    cosines: int = Field(24, ge=1)
    smooth_from: int = Field(30, ge=0)
    components: int = Field(10, ge=1)
    prior_width: int = Field(64, ge=1)
    prior_blocks: int = Field(2, ge=0)

    epochs: int = Field(40, ge=1)
    min_steps: int = Field(300, ge=0)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)


class Encoder(nn.Module):
    """Rows to Gaussian posteriors: tokens (B, D) int64 -> mean and log variance of the latents, each (B, L).

    A token counts by its embedding where it has one, and by its position on the number line where it has one.
    """

    offsets: Tensor
    rows: Tensor
    features: Tensor
    positioned: Tensor

    def __init__(self, layout: TableLayout, config: Config, generator: torch.Generator) -> None:
        super().__init__()
        columns, width = layout.columns, config.width
        offsets, rows = token_rows(layout, [column.embedded for column in columns])
        positioned = [d for d, column in enumerate(columns) if column.features.any()]
        self.register_buffer("offsets", offsets, persistent=False)  # (D,)
        self.register_buffer("rows", rows, persistent=False)  # (sum K,)
        self.register_buffer("features", stack_features(layout), persistent=False)  # (sum K, F)
        self.register_buffer("positioned", torch.tensor(positioned, dtype=torch.long), persistent=False)  # (P,)

        self.embedding = token_vectors(rows, width, math.sqrt(max(len(columns), 1)), generator)
        self.position = ColumnLinear(1, len(positioned) * self.features.shape[1], width, 1.0, generator)
        self.blocks = nn.ModuleList(Block(1, width, generator) for _ in range(config.blocks))
        self.exit = ColumnLinear(1, width, 2 * config.latent, 0.5, generator)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens: (B, D) int64."""
        flat = tokens + self.offsets  # (B, D) row of each token in the tables
        known = F.embedding_bag(self.rows[flat], self.embedding, mode="sum", padding_idx=0)  # (B, H)
        position = self.features[flat[:, self.positioned]].flatten(1)  # (B, P F)
        hidden = known + self.position(position[None])  # (1, B, H)
        for block in self.blocks:
            hidden = block(hidden)
        mean, log_variance = self.exit(normed(hidden))[0].chunk(2, dim=1)
        return mean, log_variance - 2


class Decoder(nn.Module):
    """Latents (B, L) to the logits of every column's tokens."""

    def __init__(self, layout: TableLayout, config: Config, generator: torch.Generator) -> None:
        super().__init__()
        self.entry = ColumnLinear(1, config.latent, config.width, 1.0, generator)
        self.blocks = nn.ModuleList(Block(1, config.width, generator) for _ in range(config.blocks))
        groups = group_heads(layout, config.cosines, config.smooth_from)
        self.members = [members for _, members in groups]
        self.heads = nn.ModuleList(
            Head([layout.columns[d] for d in members], config.width, cosines) for cosines, members in groups
        )

    def forward(self, latents: Tensor) -> list[Tensor]:
        """Logits (C, B, K) of each group of columns in `members`."""
        hidden = self.entry(latents[None])  # (1, B, H)
        for block in self.blocks:
            hidden = block(hidden)
        hidden = normed(hidden)
        groups = zip(self.heads, self.members, strict=True)
        return [head(hidden.expand(len(members), -1, -1)) for head, members in groups]


class Prior(nn.Module):
    """The density of the latents, one after the other: p(z_l | z_<l) a mixture of Gaussians (RNADE, Uria et al. 2013).

    One network per latent, all run as one batched product, as in the autoregressive family.
    """

    earlier: Tensor

    def __init__(self, config: Config, generator: torch.Generator) -> None:
        super().__init__()
        L, width = config.latent, config.prior_width
        self.register_buffer("earlier", torch.ones(L, L).tril(-1)[:, None], persistent=False)  # (L, 1, L)
        self.network = ColumnNetwork(L, L, width, config.prior_blocks, generator)
        self.exit = ColumnLinear(L, width, 3 * config.components, 0.1, generator)
        with torch.no_grad():  # about standard normal at first
            weight, mean, log_scale = self.exit.bias.chunk(3, dim=1)
            mean.copy_(torch.linspace(-1.5, 1.5, config.components).expand_as(mean))
            weight.copy_(-mean.square() / 2)
            log_scale.fill_(math.log(0.5))

    def forward(self, latents: Tensor) -> Tensor:
        """(B, L) -> (B,) log density in nats."""
        hidden = self.network(latents * self.earlier)  # (L, B, H)
        log_weight, mean, log_scale = self.exit(normed(hidden)).chunk(3, dim=2)  # (L, B, M)
        log_scale = log_scale.clamp_min(LEAST_LOG_SCALE)
        deviation = (latents.t()[:, :, None] - mean) * (-log_scale).exp()
        log_density = log_weight.log_softmax(2) - deviation.square() / 2 - log_scale
        total: Tensor = log_density.logsumexp(2).sum(0) - len(self.earlier) * math.log(2 * math.pi) / 2
        return total

    def draw(self, uniforms: Tensor, noise: Tensor) -> Tensor:
        """Latents (B, L) out of uniform numbers in [0, 1) and standard normal ones, each (B, L)."""
        latents = torch.zeros_like(noise)
        for i in range(latents.shape[1]):
            hidden = self.network.column(latents, i)  # latents from i on are still 0
            log_weight, mean, log_scale = self.exit.column(normed(hidden), i).chunk(3, dim=1)  # (B, M)
            chosen = draw(log_weight, uniforms[:, i])[:, None]
            scale = log_scale.gather(1, chosen).clamp_min(LEAST_LOG_SCALE).exp()
            latents[:, i] = (mean.gather(1, chosen) + scale * noise[:, i : i + 1]).squeeze(1)
        return latents


class Model(GenerativeModel):
    """Encoder, decoder and prior over the columns of `layout`."""

    places = False
    private = "gradients"
    private_config: ClassVar[Mapping[str, Any]] = PRIVATE

    config: Config

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        if not layout.columns:  # nothing to learn
            config = config.model_copy(update={"latent": 0, "width": 0})
        self.encoder = Encoder(layout, config, generator)
        self.decoder = Decoder(layout, config, generator)
        self.prior = Prior(config, generator)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Negative evidence lower bound of a row in nats, its divergence weighted by beta."""
        return self.losses(batch, generator).mean()

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """(B,) the same of each row."""
        reconstruction, divergence = self.bound(batch["tokens"], generator)
        return reconstruction + self.config.beta * divergence

    def bound(self, tokens: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Both terms of the negative evidence lower bound of each row, (B,) in nats, from one draw of latents each.

        They are E[-log p(x | z)] and E[log q(z | x) - log p(z)]; tokens: (B, D) int64.
        """
        mean, log_variance = self.encoder(tokens)
        noise = randn(mean.shape, generator, mean.device)
        latents = mean + (log_variance / 2).exp() * noise
        entropy = (log_variance + math.log(2 * math.pi) + 1).sum(1) / 2
        divergence = -(entropy + self.prior(latents))
        columns = tokens.t()
        reconstruction = torch.zeros_like(divergence)
        for logits, members in zip(self.decoder(latents), self.decoder.members, strict=True):
            nats = F.cross_entropy(logits.flatten(0, 1), columns[members].flatten(), reduction="none")
            reconstruction = reconstruction + nats.view(-1, len(tokens)).sum(0)
        return reconstruction, divergence

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows, {"tokens": (n, D) int64}: latents from the prior, then every column from the decoder."""
        D, L = len(self.layout.columns), len(self.prior.earlier)
        device = self.prior.earlier.device
        tokens = torch.empty((n, D), dtype=torch.long, device=device)
        for start in range(0, n if D else 0, SAMPLE_ROWS):
            block = tokens[start : start + SAMPLE_ROWS]
            uniforms = rand((len(block), L + D), generator, device)
            noise = randn((len(block), L), generator, device)
            latents = self.prior.draw(uniforms[:, :L], noise)
            for logits, members in zip(self.decoder(latents), self.decoder.members, strict=True):
                for i, d in enumerate(members):
                    block[:, d] = draw(logits[i], uniforms[:, L + d])
        return {"tokens": tokens}


def normed(x: Tensor) -> Tensor:
    """Each hidden vector with mean 0 and variance 1."""
    return F.layer_norm(x, x.shape[-1:])
