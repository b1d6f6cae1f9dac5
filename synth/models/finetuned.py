"""A language model of a local folder, fine-tuned by low-rank adapters: what it has read before, it need not learn.

Its weights are frozen; to each of its matrices W a product B A of `rank` is added and learnt (LoRA, Hu et al. 2022),
with the vectors of the tokens that its vocabulary lacks. Texts and columns are told and drawn as the family
`transformer` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import nn

from synth.errors import ConfigError
from synth.layout import TEXT_END, TextLayout
from synth.models.base import Batch
from synth.models.transformer import WritingConfig, WritingModel
from synth.nets.pretrained import VOCABULARY, Pretrained, architecture


class Config(WritingConfig):
    """Hyper-parameters of the fine-tuned family.

    folder: where a causal language model was saved by the library transformers, with its fast tokenizer
    rank: of what is added to each matrix
    architecture: what the folder's config.json says, so that a saved model needs the folder no more
    """

    epochs: int = Field(10, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    folder: str = ""
    rank: int = Field(8, ge=1)
    architecture: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Config:
        if self.architecture:
            return self
        if not self.folder:
            raise ValueError("folder: name one that holds a language model")
        try:
            return self.model_copy(update={"architecture": architecture(self.folder)})
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @property
    def codec(self) -> dict[str, Any]:
        """As of `TextConfig`; drawn texts end with their page."""
        shape = {"page": self.page, "longest": min(self.longest, self.page - 1)}
        return {"tokenizer": f"{self.folder}/{VOCABULARY}", **shape}


class Model(WritingModel):
    """The model of the folder with its adapters."""

    config: Config
    decoder: Pretrained

    def __init__(self, config: Config, layout: TextLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        if self.told is not None:
            nn.init.zeros_(self.told.weight)  # at first the folder's model reads what it knows

    def observe(self, batches: Iterable[Batch], generator: torch.Generator) -> None:
        """Take the folder's weights; a saved model has its own."""
        self.decoder.read(self.config.folder, generator)

    def build(self, generator: torch.Generator) -> Pretrained:
        """See `WritingModel.build`."""
        config, layout = self.config, self.layout
        return Pretrained(
            config.architecture,
            own=layout.own,
            vocabulary=layout.vocabulary,
            end=TEXT_END,
            page=layout.page,
            rank=config.rank,
            precision=self.precision,
            generator=generator,
        )
