"""Series, step after step: each is told from all steps before it, column after column, with an exact likelihood.

log p(series) = log p(what it has once) + sum_t log p(step_t | steps before it, what it has once): a causal transformer
(as DeepAR, Salinas et al. 2020, has a recurrent network) reads the steps, the network of the family `autoregressive`
tells the columns of the next one. Given some steps it forecasts those that follow.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import Condition, SeriesLayout, TableLayout
from synth.models.base import Batch
from synth.models.base_series import SeriesConfig, SeriesModel
from synth.nets.autoregression import Autoregression, AutoregressionConfig
from synth.nets.clock import StepClock
from synth.nets.decoder import Layer, turn
from synth.nets.dense import Linear, dropped
from synth.nets.draws import rand
from synth.nets.labels import LabelVector


class Config(SeriesConfig):
    """Hyper-parameters of the autoregressive family of series.

    column_width, column_blocks: of the network of each column
    forgotten: share of the steps that are left out of what the next ones are told from while training
    """

    weight_decay: float = Field(0.5, ge=0)
    column_width: int = Field(64, ge=1)
    column_blocks: int = Field(1, ge=0)
    forgotten: float = Field(0.1, ge=0, lt=1)


class Model(SeriesModel):
    """A network over columns for what a series has once, and one for its steps, which a transformer tells the past."""

    config: Config
    places_of: Tensor

    def __init__(self, config: Config, layout: SeriesLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        width = config.width
        columns = AutoregressionConfig(
            width=config.column_width, blocks=config.column_blocks, dropout=config.dropout, cosines=12
        )
        self.each = Autoregression(columns, layout.steps, generator)
        known = TableLayout(tuple(layout.columns[d] for d in layout.known))
        self.told = LabelVector(known, width, generator)
        self.read = LabelVector(layout.steps, width, generator)
        self.clock = StepClock(layout)
        D = len(layout.steps.columns)
        self.moved = Linear(2 * D, width, 1.0, generator)
        self.timed = Linear(self.clock.size, width, 1.0, generator)
        self.known = Linear(layout.states, width, 1.0, generator)
        self.direct = Linear(layout.states, config.column_width, 0.3, generator)
        self.layers = nn.ModuleList(Layer(width, config.dropout, generator) for _ in range(config.layers))
        self.exit = Linear(width, config.column_width, 0.3, generator)
        most = max(layout.steps.cardinalities, default=1)
        places = torch.zeros((D, most))
        for d, column in enumerate(layout.steps.columns):
            places[d, : column.cardinality] = 2 * torch.nan_to_num(torch.from_numpy(column.ordered.copy()), nan=0.5) - 1
        self.register_buffer("places_of", places, persistent=False)  # (D, K) from -1 to 1

    def loss_of_steps(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats of a step."""
        noise = generator if self.training else None
        steps, tokens = batch["steps"].long(), batch["tokens"].long()
        nats, there = self._nats(tokens, steps, self._states(batch), batch["length"], noise)
        return nats.sum() / there.sum().clamp_min(1)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) nats of each series."""
        nats, _ = self._nats(batch["tokens"], batch["steps"], self._states(batch), batch["length"], None)
        return self.once.log_prob(batch["tokens"]) - nats.sum(1)

    def _nats(
        self, tokens: Tensor, steps: Tensor, states: Tensor, length: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """(B, L) of each step, 0 where there is none, and where there is one."""
        longest = int(length.max())
        steps = steps[:, :longest]
        there = torch.arange(longest, device=steps.device) < length[:, None]
        hidden = self._hidden(tokens, steps, states[:, :longest], generator)
        found = torch.zeros(there.shape, device=steps.device)
        found[there] = -self.each.log_prob(steps[there], generator, hidden[there])
        return found, there

    def _states(self, batch: Batch) -> Tensor:
        """(B, L, F), F 0 where no column is smoothed."""
        return (
            batch["states"] if self.layout.states else batch["steps"].new_zeros((*batch["steps"].shape[:2], 0)).float()
        )

    def _hidden(self, tokens: Tensor, steps: Tensor, states: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, L, H) what each step is told of those before it."""
        B, L, _ = steps.shape
        entered = self._entered(steps)
        if generator is not None and self.config.forgotten:
            kept = rand((B, L, 1), generator, steps.device) >= self.config.forgotten
            entered = entered * kept
        x = F.pad(entered, (0, 0, 1, 0))[:, :L]
        x = x + self.timed(self.clock(tokens, 0, L)) + self._told(tokens)[:, None] + self.known(states)
        turned = turn(torch.arange(L, device=steps.device), self.config.width, x.dtype)
        for layer in self.layers:
            x = layer(x, turned, None, generator)
        return self._left(x, states, generator)

    def _told(self, tokens: Tensor) -> Tensor:
        """(B, W) of what the source says of series; what they begin with, told as it is, would name each of them."""
        found: Tensor = self.told(tokens[:, self.layout.known])
        return found

    def _left(self, x: Tensor, states: Tensor, generator: torch.Generator | None) -> Tensor:
        left = self.exit(dropped(F.rms_norm(x, x.shape[-1:]), self.config.dropout, generator))
        return cast("Tensor", left + self.direct(states))

    def _entered(self, steps: Tensor, before: tuple[Tensor, int] | None = None) -> Tensor:
        """(B, L, W) vectors of steps: their tokens, where these are on the line, and the sum of that so far.

        before: that sum (B, D) of earlier steps, and their number
        """
        B, L, D = steps.shape
        vectors = self.read(steps.reshape(-1, D)).view(B, L, -1)
        where = self._where(steps)
        total, count = before or (torch.zeros_like(where[:, 0]), 0)
        sums = total[:, None] + where.cumsum(1)
        roots = torch.arange(count + 1, count + L + 1, device=steps.device).float().sqrt()
        moved: Tensor = self.moved(torch.cat([where, sums / roots[:, None]], -1))
        found: Tensor = vectors + moved
        return found

    def _where(self, steps: Tensor) -> Tensor:
        """(B, L, D) places of tokens on their lines, from -1 to 1."""
        places: Tensor = self.places_of[torch.arange(steps.shape[-1], device=steps.device), steps]
        return places

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n series: {"tokens": (n, S), "steps": (n, L, D)} int64, {"places", "step_places"} float32 likewise."""
        tokens, places = self.draw_once(n, generator, condition)
        observer = self.layout.observer
        states = None if observer is None else observer.begin(tokens.cpu().numpy(), places.cpu().numpy())
        none = torch.zeros((n, 0, len(self.layout.steps.columns)), dtype=torch.long, device=tokens.device)
        count = int(self.lengths(tokens).max()) if n else 1
        batch = {"steps": none, "states": torch.zeros((n, 0, self.layout.states), device=tokens.device)}
        return {"tokens": tokens, "places": places, **self.continued(tokens, batch, states, count, generator)}

    @torch.no_grad()
    def continued(
        self, tokens: Tensor, batch: Batch, states: Any, count: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """See `SeriesModel.continued`."""
        B, T, D = batch["steps"].shape
        device, width, observer = tokens.device, self.config.width, self.layout.observer
        told, past = self._told(tokens), self._states(batch)
        heads = [cast("Layer", layer).heads for layer in self.layers]
        caches = [torch.zeros((2, B, h, T + count, width // h), device=device) for h in heads]
        found = torch.zeros((B, T + count, D), dtype=torch.long, device=device)
        found[:, :T] = batch["steps"]
        places = rand((B, count, D), generator, device)
        total = torch.zeros((B, D), device=device)
        entered = torch.zeros((B, 1, width), device=device)
        for place in range(T + count):
            if place < T or observer is None:
                seen = past[:, place : place + 1] if place < T else past.new_zeros((B, 1, 0))
            else:
                seen = torch.from_numpy(observer.seen(states)).to(device)[:, None]
            x = entered + self.timed(self.clock(tokens, place, 1)) + told[:, None] + self.known(seen)
            turned = turn(torch.tensor([place], device=device), width, x.dtype)
            for layer, (keys, values) in zip(cast("list[Layer]", self.layers), caches, strict=True):
                x = layer.step(x, turned, keys, values, place)
            if place >= T:
                step = self.each.sample(B, generator, told=self._left(x, seen, None)[:, 0])
                found[:, place] = step
                if observer is not None:
                    states = observer.after(states, step.cpu().numpy(), places[:, place - T].cpu().numpy())
            step = found[:, place : place + 1]
            entered = self._entered(step, (total, place))
            total = total + self._where(step)[:, 0]
        return {"steps": found[:, T:], "step_places": places}
