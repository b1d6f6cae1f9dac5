"""The game between a generator of pictures and a critic, in three forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from synth.nets.critic import Critic, penalty, shifted
from synth.nets.draws import rand


class GameConfig(BaseModel):
    """How generator and critic play.

    objective: what for: the `non-saturating` game (Goodfellow et al. 2014), which has no penalty; the `wasserstein`
        distance (Arjovsky et al. 2017) with a gradient penalty (Gulrajani et al. 2017), which kept most modes here; or
        `relativistic` pairs with zero-centred penalties on real and on generated pictures (R3GAN, Huang et al. 2024),
        which made the best pictures
    penalty: weight of the gradient penalty; every: steps of the critic from one penalty to the next, each as many times
        as heavy
    critic_steps: steps of the critic for each of the generator
    shift: share of the sides by which the critic sees pictures moved
    """

    objective: Literal["relativistic", "wasserstein", "non-saturating"] = "relativistic"
    penalty: float = Field(1.0, ge=0)
    every: int = Field(4, ge=1)
    critic_steps: int = Field(1, ge=1)
    shift: float = Field(0.07, ge=0, le=0.5)


class Descend(Protocol):
    """As `synth.models.base.Descend`."""

    def __call__(self, loss: Tensor, parameters: Iterable[nn.Parameter] | None = None) -> float: ...


class Game(nn.Module):
    """A critic, and the turns of both sides."""

    turns: Tensor

    def __init__(self, critic: Critic, config: GameConfig) -> None:
        super().__init__()
        self.critic, self.config = critic, config
        self.register_buffer("turns", torch.zeros((), dtype=torch.long))

    def play(
        self,
        real: Tensor,
        tokens: Tensor,
        make: Callable[[], Tensor],
        maker: nn.Module,
        descend: Descend,
        generator: torch.Generator,
    ) -> float:
        """A turn of the critic and, every `critic_steps`, one of the generator; returns the critic's loss.

        real: (B, C, H, W) with labels (B, D); make: draws as many pictures with these labels, by `maker`'s parameters
        """
        with torch.no_grad():
            made = make()
        told = self.judge(real, made, tokens, descend, generator)
        if int(self.turns) % self.config.critic_steps == 0:
            descend(self.loss(make(), real, tokens, generator), list(maker.parameters()))
        return told

    def judge(self, real: Tensor, made: Tensor, tokens: Tensor, descend: Descend, generator: torch.Generator) -> float:
        """A turn of the critic; returns its loss. real, made: (B, C, H, W) with labels (B, D)."""
        told = descend(self._critic_loss(real, made, tokens, generator), list(self.critic.parameters()))
        self.turns += 1
        return told

    def loss(self, made: Tensor, real: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """What the generator of the pictures lowers."""
        scores = self.critic(self._seen(made, generator), tokens)
        match self.config.objective:
            case "relativistic":
                with torch.no_grad():
                    beside = self.critic(self._seen(real, generator), tokens)
                return F.softplus(beside - scores).mean()
            case "wasserstein":
                return cast("Tensor", -scores.mean())
            case _:
                return F.softplus(-scores).mean()

    def _seen(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        return shifted(pictures, self.config.shift, generator)

    def _critic_loss(self, real: Tensor, made: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        real, made, both = self._seen(real, generator), self._seen(made, generator), torch.cat([tokens, tokens])
        good, bad = self.critic(torch.cat([real, made]), both).chunk(2)
        match self.config.objective:
            case "relativistic":
                loss = F.softplus(bad - good).mean()
            case "wasserstein":
                loss = (bad - good).mean()
            case _:
                return (F.softplus(bad) + F.softplus(-good)).mean()
        if int(self.turns) % self.config.every:
            return loss
        if self.config.objective == "wasserstein":
            way = rand((len(real), 1, 1, 1), generator, real.device)
            steep = penalty(lambda x: self.critic(x, tokens), torch.lerp(real, made, way), 1.0)
        else:
            steep = penalty(lambda x: self.critic(x, both), torch.cat([real, made]), 0.0)
        return loss + self.config.every * self.config.penalty * steep.mean()
