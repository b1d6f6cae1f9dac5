"""What the families of series have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from synth.layout import Condition, SeriesLayout
from synth.models.base import Batch, GenerativeModel, TrainingConfig
from synth.nets.autoregression import Autoregression, AutoregressionConfig
from synth.nets.draws import rand
from synth.nets.steps import StepScores

ONCE_DROPOUT = 0.1


class SeriesConfig(TrainingConfig):
    """What all families of series have in common.

    width, layers, dropout: of the network over the steps
    """

    epochs: int = Field(60, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    gradient_clip: float = Field(5.0, gt=0)
    width: int = Field(64, ge=32, multiple_of=32)
    layers: int = Field(2, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)


class SeriesModel(GenerativeModel):
    """Base of the families of series.

    A batch is {"tokens": (B, S), "steps": (B, L, D), "length": (B,)} int64 and, where numbers are smoothed, {"states":
    (B, L, F)} float32, see `synth.codecs.series`; of a family with `places` also {"places": (B, S), "step_places":
    (B, L, D)} float32.
    """

    modalities = ("series",)
    conditional = True
    places = False

    config: SeriesConfig
    layout: SeriesLayout

    def __init__(self, config: SeriesConfig, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.once = Autoregression(AutoregressionConfig(dropout=ONCE_DROPOUT), layout, generator)

    @abstractmethod
    def loss_of_steps(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Scalar that training lowers, but for what a series has once."""

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of the steps, and the nats of what a series has once."""
        return torch.stack(list(self.judged(batch, generator).values())).sum()

    def judged(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Few series have many steps: what they have once is known by heart when these have hardly been learnt."""
        steps = self.loss_of_steps(batch, generator)
        once = self.once.log_prob(batch["tokens"].long(), generator if self.training else None)
        return {"": steps, "once": -once.mean()}

    def lengths(self, tokens: Tensor) -> Tensor:
        """(B,) steps of series whose own columns are (B, S)."""
        lengths = torch.from_numpy(self.layout.lengths).to(tokens.device)
        return lengths[tokens[:, self.layout.length]]

    def continued(
        self, tokens: Tensor, batch: Batch, states: Any, count: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """{"steps": (B, count, D) int64, "step_places": (B, count, D) float32} that follow those of a batch {"steps":
        (B, T, D), "states": (B, T, F)}, after which the observer has these states; where the family can tell them."""
        raise NotImplementedError(f"{type(self).__module__} forecasts nothing")

    def draw_once(self, n: int, generator: torch.Generator, condition: Condition | None) -> tuple[Tensor, Tensor]:
        """What n series have once, (n, S) tokens and places inside them."""
        tokens = self.once.sample(n, generator, condition)
        places = rand(tokens.shape, generator, tokens.device)
        for d, spans in sorted(condition.spans.items()) if condition is not None else ():
            low, high = torch.from_numpy(spans).float().to(tokens.device)[tokens[:, d]].unbind(1)
            places[:, d] = low + (high - low) * places[:, d]
        return tokens, places


class StepConfig(SeriesConfig):
    """What the families that make all steps at once have in common."""

    epochs: int = Field(150, ge=1)
    min_steps: int = Field(1500, ge=0)
    batch_size: int = Field(64, ge=1)
    weight_decay: float = Field(0.05, ge=0)
    patience: int = Field(15, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)


class StepModel(SeriesModel):
    """Base of the families that make all steps at once, as standard normal scores of their ranks, given what a series
    has once."""

    places = True

    def __init__(self, config: SeriesConfig, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.scores = StepScores(layout.steps)

    @abstractmethod
    def step_loss(self, scores: Tensor, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """What is lowered, of scores (B, L, D) of series with own columns (B, S), at steps that are there (B, L)."""

    @abstractmethod
    def steps(self, tokens: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        """(B, L, D) scores that are drawn for such series."""

    def read(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, tokens and steps that are there of a batch, as of `step_loss`."""
        scores = self.scores.of(batch["steps"].long(), batch["step_places"], generator)
        there = torch.arange(scores.shape[1], device=scores.device) < batch["length"][:, None]
        return scores * there[..., None], batch["tokens"].long(), there

    def loss_of_steps(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """That of their scores."""
        return self.step_loss(*self.read(batch, generator), generator)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n series: {"tokens": (n, S), "steps": (n, L, D)} int64, {"places", "step_places"} float32 likewise."""
        tokens, places = self.draw_once(n, generator, condition)
        lengths = self.lengths(tokens)
        there = torch.arange(int(lengths.max()) if n else 1, device=tokens.device) < lengths[:, None]
        steps, inside = self.scores.tokens(self.steps(tokens, there, generator))
        return {"tokens": tokens, "places": places, "steps": steps, "step_places": inside}


def masked_mean(values: Tensor, there: Tensor) -> Tensor:
    """Of values (B, L, D) at the steps that are there (B, L)."""
    return (values * there[..., None]).sum() / (there.sum() * values.shape[-1]).clamp_min(1)
