"""Generative adversarial network of pictures: a generator against a critic, by one of three games.

See `synth.nets.game` for the games. Both networks are told the labels; the averaged generator draws.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ImageLayout
from synth.models.base import Batch, Descend, ImageConfig, ImageModel, scaled
from synth.nets.critic import Critic
from synth.nets.dense import Linear
from synth.nets.draws import randn
from synth.nets.game import Game, GameConfig
from synth.nets.labels import LabelVector
from synth.nets.pyramids import Fold, Up
from synth.nets.styles import normalised


class Config(GameConfig, ImageConfig):
    """Hyper-parameters of the adversarial family of pictures, beside those of the game.

    noise: normal variables that a picture is made of
    patch: pixels of a side that are folded into channels
    widths: channels of each level, the finest first; blocks: of each level
    """

    epochs: int = Field(60, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.0, 0.99)
    gradient_clip: float = Field(100.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    noise: int = Field(64, ge=1)
    patch: int = Field(2, ge=1)
    widths: tuple[int, ...] = (64, 128)
    blocks: int = Field(1, ge=1)


class Generator(nn.Module):
    """Noise (B, Z) and labels (B, D) -> pictures (B, C, H, W) from -1 to 1."""

    def __init__(self, config: Config, layout: ImageLayout, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        width = config.widths[-1]
        known = 2 * width
        self.grid = fold.grid
        self.label = LabelVector(layout, config.noise, generator)
        self.inner = Linear(2 * config.noise, known, 1.0, generator)
        self.known = Linear(known, known, 1.4, generator)
        self.entry = Linear(known, width * fold.grid[0] * fold.grid[1], 1.0, generator)
        self.up = Up(fold, layout.channels, config.widths, config.blocks, known, generator)

    def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """noise: (B, Z), tokens: (B, D)."""
        both = torch.cat([noise, normalised(self.label(tokens))], 1)
        known = F.silu(self.known(F.silu(self.inner(both))))
        picture: Tensor = self.up(self.entry(known).view(len(noise), -1, *self.grid), known)
        return picture.tanh()


class Model(ImageModel):
    """Generator and critic."""

    config: Config

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        fold = self.fold(config.patch, config.widths)
        self.generator = Generator(config, layout, fold, generator)
        self.game = Game(Critic(fold, config.widths, config.blocks, generator), config)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """There is none that both networks lower."""
        raise NotImplementedError("generator and critic follow losses of their own, see `step`")

    def step(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """A turn of the game; returns the critic's loss."""
        tokens = batch["tokens"]
        make = lambda: self.pictures(tokens, generator)  # noqa: E731 - what both sides ask for
        return self.game.play(scaled(batch["images"]), tokens, make, self.generator, descend, generator)

    def pictures(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W), in one pass."""
        made: Tensor = self.generator(randn((len(tokens), self.config.noise), generator, tokens.device), tokens)
        return made
