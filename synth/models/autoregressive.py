"""Autoregressive over the columns: each is drawn given the ones before it, with an exact likelihood.

log p(x) = sum_d log p(x_d | x_1 .. x_{d-1}), the chain rule over the columns of a row, as in NADE
(Larochelle & Murray 2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from synth.layout import Condition, TableLayout
from synth.models.base import PRIVATE, Batch, GenerativeModel, TrainingConfig
from synth.nets.autoregression import Autoregression, AutoregressionConfig


class Config(AutoregressionConfig, TrainingConfig):
    """Hyper-parameters of the autoregressive family: those of its network, and of its training."""


class Model(GenerativeModel):
    """The autoregressive network over the columns of `layout`, in its order."""

    conditional = True
    places = False
    private = "gradients"
    private_config: ClassVar[Mapping[str, Any]] = PRIVATE

    config: Config

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.columns = Autoregression(config, layout, generator)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean negative log-likelihood of a row in nats, with dropout while in training mode."""
        return -self.columns.log_prob(batch["tokens"], generator if self.training else None).mean()

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """(B,) negative log-likelihood of each row in nats."""
        return -self.log_prob(batch)

    def settle(self, generator: torch.Generator) -> None:
        """See `Autoregression.settle`."""
        self.columns.settle(generator)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) exact log-likelihood of each row in nats; 0 for a table without modelled columns."""
        return self.columns.log_prob(batch["tokens"])

    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows, {"tokens": (n, D) int64}, see `Autoregression.sample`."""
        return {"tokens": self.columns.sample(n, generator, condition)}
