"""CycleGAN: pictures of two domains, unpaired, translated to and fro so that a way there and back changes nothing.

Two generators and two critics (Zhu et al. 2017): each generator plays `synth.nets.game` against the critic of the
domain that it makes, a cycle has to come back, and what is of the domain already has to stay. Critics also see former
translations (Shrivastava et al. 2017). Where the pictures have labels beside their domain, some of which may be null, a
classifier of both domains and of translations has to see them in a translation (Bousmalis et al. 2017). It translates
pictures and draws none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.errors import ConfigError
from synth.layout import ImageLayout
from synth.models.base import Batch, Descend, ImageConfig, ImageModel, levels, scaled
from synth.nets.augment import affine
from synth.nets.classifier import Classifier
from synth.nets.critic import Critic
from synth.nets.draws import rand
from synth.nets.game import Game, GameConfig
from synth.nets.pyramids import Fold
from synth.nets.unet import UNet


class Config(GameConfig, ImageConfig):
    """Hyper-parameters of CycleGAN, beside the game.

    cycle: weight of the mean absolute difference after a way there and back
    identity: weight of that of pictures that are of the domain already
    label: weight of the cross-entropy of labels in a translation; sight: channels of each level of their classifier
    memory: former translations of each domain that its critic may see
    patch: pixels of a side that are folded into channels; widths: channels of each level; blocks: of each level
    """

    epochs: int = Field(200, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.5, 0.99)
    gradient_clip: float = Field(100.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    penalty: float = Field(0.1, ge=0)
    cycle: float = Field(3.0, ge=0)
    identity: float = Field(1.0, ge=0)
    label: float = Field(2.0, ge=0)
    sight: tuple[int, ...] = (16, 32, 64)
    memory: int = Field(50, ge=0)
    patch: int = Field(2, ge=1)
    widths: tuple[int, ...] = (32, 64)
    blocks: int = Field(1, ge=1)


class Translator(nn.Module):
    """Pictures of one domain -> of the other, (B, C, H, W) from -1 to 1; at first hardly a change."""

    def __init__(self, config: Config, fold: Fold, generator: torch.Generator) -> None:
        super().__init__()
        self.unet = UNet(fold, config.widths, config.blocks, None, generator)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W)."""
        return cast("Tensor", (1.5 * x + self.unet(x, None)).tanh())


class History(nn.Module):
    """Some former pictures, of which a critic is shown one in the place of every second new one."""

    kept: Tensor
    filled: Tensor

    def __init__(self, size: int, layout: ImageLayout) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros((size, layout.channels, layout.height, layout.width)))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def swap(self, made: Tensor, generator: torch.Generator) -> Tensor:
        """What is shown of pictures (B, C, H, W); those that are not are kept."""
        size, filled = len(self.kept), int(self.filled)
        if filled < size:
            count = min(size - filled, len(made))
            self.kept[filled : filled + count] = made[:count]
            self.filled += count
            return made
        places = rand((size,), generator, made.device).argsort()[: len(made)]
        former = rand((len(places),), generator, made.device) < 0.5
        rows, places = former.nonzero().squeeze(1), places[former]
        shown = made.clone()
        shown[rows] = self.kept[places]
        self.kept[places] = made[rows]
        return shown

    def forget(self) -> None:
        """Keep nothing."""
        self.kept.zero_()
        self.filled.zero_()


class Model(ImageModel):
    """A way to each of the two domains, which the values of the target are."""

    draws = False
    transforms = ("translate",)

    config: Config

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        if layout.target is None or layout.cardinalities[layout.target] != 2:
            found = "none" if layout.target is None else str(layout.cardinalities[layout.target])
            raise ConfigError(f"cyclegan: needs a target with two values, which are the domains; found {found}")
        self.target = layout.target
        fold = replace(
            self.fold(config.patch, config.widths), layout=replace(layout, columns=(), target=None, caption=0)
        )
        translators = [Translator(config, fold, generator) for _ in range(2)]
        games = [Game(Critic(fold, config.widths, 1, generator), config) for _ in range(2)]
        histories = [History(config.memory, layout) for _ in range(2)]
        self.translators, self.games = nn.ModuleList(translators), nn.ModuleList(games)
        self.histories = nn.ModuleList(histories)
        self.lasting = [(d, column) for d, column in enumerate(layout.labels.columns) if d != layout.target]
        self.sizes = [column.cardinality for _, column in self.lasting]
        self.classifier: Classifier | None = None
        if self.lasting and config.label:
            self.classifier = Classifier(layout.channels, config.sight, sum(self.sizes), self.precision, generator)
        self.sides = list(zip(translators, games, histories, strict=True))

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """There is none that all networks lower."""
        raise NotImplementedError("generators and critics follow losses of their own, see `learn`")

    def learn(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """A turn of the critics and one of the generators; returns the mean absolute difference after a cycle.

        A batch without pictures of one domain teaches nothing.
        """
        domain, x = batch["tokens"][:, self.target], scaled(batch["images"])
        sides = [(domain == side).nonzero().squeeze(1) for side in (0, 1)]
        count = min(map(len, sides))
        if not count:
            return 0.0
        real, tokens = ([whole[rows[:count]] for rows in sides] for whole in (x, batch["tokens"]))
        nothing = tokens[0][:, :0]
        pairs = zip(self.sides, real, real[::-1], strict=True)
        both = [translate(torch.cat([other, own])).chunk(2) for (translate, *_), own, other in pairs]
        made, kept = zip(*both, strict=True)
        fooled, back, same = (x.new_zeros(()) for _ in range(3))
        turns = zip(self.sides, made, made[::-1], kept, real, strict=True)
        for (translate, game, history), mine, theirs, left, own in turns:
            game.judge(own, history.swap(mine.detach(), generator), nothing, descend, generator)
            fooled = fooled + game.loss(mine, own, nothing, generator)
            back = back + F.l1_loss(translate(theirs), own)
            same = same + F.l1_loss(left, own)
        loss = fooled + self.config.cycle * back + self.config.identity * same
        if self.classifier is not None:
            translated, told = torch.cat(made), torch.cat(tokens[::-1])
            seen, known = torch.cat([*real, translated.detach()]), torch.cat([*tokens, told])
            logits = self.classifier(affine(seen, generator))
            descend(self._label_loss(logits, known), list(self.classifier.parameters()))
            loss = loss + self.config.label * self._label_loss(self.classifier(translated), told)
        descend(loss, list(self.translators.parameters()))
        return float(back.detach()) / 2

    def _label_loss(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Cross-entropy of the labels (B, D) that are known; logits: of all columns beside each other."""
        total = logits.new_zeros(())
        for (d, column), part in zip(self.lasting, torch.split(logits, self.sizes, 1), strict=True):
            label = tokens[:, d]
            known = label < column.values
            each = F.cross_entropy(part, label, reduction="none")
            total = total + (each * known).sum() / known.sum().clamp_min(1)
        return total

    def finish(self, batches: Iterable[Batch]) -> None:
        """Forget the former translations, from which training pictures could be told."""
        for _, _, history in self.sides:
            history.forget()

    def pictures(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """There are none without pictures to translate."""
        raise ConfigError("cyclegan translates pictures and draws none; give it some: `synth transform`")

    def transform(self, how: str, batch: Batch, wanted: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The pictures in the domain that is asked for, (B, D) in `wanted`; where it is -1, in the other one."""
        x, asked = scaled(batch["images"]), wanted[:, self.target]
        asked = torch.where(asked >= 0, asked, 1 - batch["tokens"][:, self.target])
        made = torch.where((asked == 1)[:, None, None, None], self.translators[1](x), self.translators[0](x))
        tokens = batch["tokens"].clone()
        tokens[:, self.target] = asked
        return {"images": levels(made), "tokens": tokens}
