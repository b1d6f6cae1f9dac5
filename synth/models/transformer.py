"""A transformer that writes texts token by token (GPT, Radford et al. 2019), told the columns beside them.

log p(row) = log p(columns) + sum_t log p(token_t | tokens before it, columns); the columns as the family
`autoregressive` does. Texts are learnt on pages of one length, several short ones or a part of a long one on each.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from synth.layout import TEXT_END, TEXT_PAD, Condition, TextLayout
from synth.models.base import Batch, NewTextConfig, TextConfig, TextModel
from synth.nets.autoregression import Autoregression, AutoregressionConfig
from synth.nets.columns import draw
from synth.nets.compiled import compiled
from synth.nets.decoder import Decoder, nucleus
from synth.nets.draws import rand
from synth.nets.labels import LabelVector

PAGES = 64  # judged at once, so that logits of a large vocabulary have room
CROWD = 0.75  # share of the texts being written below which the ended ones are taken out


class Writer(Protocol):
    """What tells the next token of a text; see `synth.nets.decoder.Decoder`."""

    width: int

    def __call__(
        self, tokens: Tensor, told: Tensor | None, first: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Logits (B, T, V) of what follows each of (B, T) tokens."""

    def cache(self, rows: int) -> list[Tensor]:
        """Room for what is kept of `rows` texts, the rows on the second axis."""

    def step(self, tokens: Tensor, told: Tensor | None, place: int, cache: list[Tensor]) -> Tensor:
        """Logits (B, V) of what follows (B,) tokens at a place."""


class WritingConfig(TextConfig):
    """What the families that write texts have in common.

    untold: share of the training pages whose columns are left out
    guidance: how much of what the columns add is drawn with, 1 for none of the exaggeration
    temperature: of the tokens while drawing; top_p: share of the likeliest ones that are drawn from, 1 for all
    """

    untold: float = Field(0.1, ge=0, le=1)
    guidance: float = Field(1.0, ge=0)
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)


class Config(WritingConfig, NewTextConfig):
    """Hyper-parameters of the transformer."""


class WritingModel(TextModel):
    """A decoder of texts, and a model of the columns beside the text where there are some.

    A batch is {"text": (B, L + 1), "tokens": (B, L, D)} int64, see `synth.codecs.corpus.TextCodec.pages`; that of
    `log_prob` has every text on pages of its own, see `TextCodec.encode`.
    """

    conditional = True

    config: WritingConfig
    decoder: Writer

    def __init__(self, config: WritingConfig, layout: TextLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.decoder = self.build(generator)
        self.told: LabelVector | None = None
        if layout.columns:
            self.told = LabelVector(layout, self.decoder.width, generator)
            self.columns = Autoregression(AutoregressionConfig(), layout, generator)

    @abstractmethod
    def build(self, generator: torch.Generator) -> Writer:
        """The network that tells the next token."""

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats per token, those of the columns beside the texts included."""
        text, tokens = batch["text"].long(), batch["tokens"]
        told = torch.ones(len(text), dtype=torch.bool, device=text.device)
        if self.training:
            told = rand((len(text),), generator, text.device) >= self.config.untold
        noise = generator if self.training else None
        parts = zip(*(torch.split(whole, PAGES) for whole in (text, tokens, told)), strict=True)
        nats = [self._nats(part, self._vectors(columns, who), noise).sum() for part, columns, who in parts]
        count = (text[:, 1:] != TEXT_PAD).sum().clamp_min(1)
        return (torch.stack(nats).sum() + self._column_nats(text, tokens, generator)) / count

    def _nats(self, text: Tensor, vectors: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """(B, L) of every token that comes next, 0 where there is none."""
        read, wanted = text[:, :-1], text[:, 1:]
        logits = self.decoder(read, vectors, read == TEXT_END, generator)
        return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=TEXT_PAD, reduction="none").view_as(
            wanted
        )

    def _column_nats(self, text: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Of the columns of all texts that begin on these pages."""
        first = (text[:, :-1] == TEXT_END) & (text[:, 1:] != TEXT_PAD)
        if self.told is None or not bool(first.any()):
            return torch.zeros((), device=text.device)
        return -self.columns.log_prob(tokens[first], generator if self.training else None).sum()

    def _vectors(self, tokens: Tensor, told: Tensor | None) -> Tensor | None:
        """(B, L, W) of columns (B, L, D), or (B, W) of (B, D); told: (B,) bool, whose columns are."""
        if self.told is None:
            return None
        places = tokens.shape[1] if tokens.ndim == 3 else 1
        each = None if told is None else told.repeat_interleave(places)
        found: Tensor = self.told(tokens.reshape(-1, tokens.shape[-1]), each)
        return found.view(*tokens.shape[:-1], -1)

    def log_prob(self, batch: Batch) -> Tensor:
        """(N,) nats of each row: of its columns, and of its text, whose tokens beyond the first page are told from half
        a page at least."""
        text, tokens, row = batch["text"], batch["tokens"], batch["row"]
        first = torch.cat([row.new_ones(1), row.diff()]).bool() if len(row) else row.bool()
        found = torch.zeros(int(first.sum()), device=text.device)
        if self.told is not None:
            found = found + self.columns.log_prob(tokens[first])
        filled = (text != TEXT_PAD).sum(1)
        for pages in torch.split(filled.argsort(), PAGES):
            part = text[pages, : int(filled[pages[-1]])]
            vectors = self._vectors(tokens[pages, None].expand(-1, part.shape[1] - 1, -1), None)
            nats = self._nats(part, vectors, None)
            known = torch.arange(nats.shape[1], device=text.device) < batch["known"][pages, None]
            found = found.index_add(0, row[pages], -nats.masked_fill(known, 0).sum(1))
        return found

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows: {"tokens": (n, D), "text": (n, T)} int64, all that comes after a TEXT_END being so too."""
        device = self.used.device
        tokens = torch.zeros((n, 0), dtype=torch.long, device=device)
        if self.told is not None:
            asked = condition if condition is not None and (condition.spans or condition.tokens is not None) else None
            tokens = self.columns.sample(n, generator, asked)
        beginnings = torch.full((n, 0), -1)
        if condition is not None and condition.beginnings is not None:
            beginnings = torch.from_numpy(condition.beginnings)
        return {"tokens": tokens, "text": self._written(tokens, beginnings.to(device), generator)}

    def _written(self, tokens: Tensor, beginnings: Tensor, generator: torch.Generator) -> Tensor:
        """(n, T) texts of rows with columns (n, D), of which the first tokens may be given, (n, P), -1 where not."""
        n, device = len(tokens), tokens.device
        guided = self.config.guidance != 1 and self.told is not None
        vectors = self._doubled(tokens, guided)
        cache = self.decoder.cache(2 * n if guided else n)
        written = torch.full((n, self.layout.longest + 1), TEXT_END, device=device)
        writing, last = torch.arange(n, device=device), torch.full((n,), TEXT_END, device=device)
        for place in range(self.layout.longest):
            uniform = rand((n,), generator, device)[writing]
            logits = self.decoder.step(torch.cat([last, last]) if guided else last, vectors, place, cache)
            if guided:
                told, untold = logits.chunk(2)
                logits = torch.lerp(untold, told, self.config.guidance)
            logits = logits.masked_fill(~self.used, -torch.inf) / self.config.temperature
            drawn = draw(nucleus(logits, self.config.top_p), uniform)
            if place < beginnings.shape[1]:
                asked = beginnings[writing, place]
                drawn = torch.where(asked >= 0, asked, drawn)
            last = torch.where((last == TEXT_END) & (place > 0), TEXT_END, drawn)
            written[writing, place] = last
            going = last != TEXT_END
            if not bool(going.any()):
                break
            if going.float().mean() < CROWD:
                kept = going.nonzero().squeeze(1)
                writing, last = writing[kept], last[kept]
                both = torch.cat([kept, kept + len(going)]) if guided else kept
                cache = [part[:, both] for part in cache]
                vectors = None if vectors is None else vectors[both]
        return written[:, : 1 + int((written != TEXT_END).any(0).sum())]

    def _doubled(self, tokens: Tensor, guided: bool) -> Tensor | None:
        """(n, W) of columns (n, D), and those of nothing told after them."""
        found = self._vectors(tokens, None)
        if not guided or found is None:
            return found
        nobody = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
        return torch.cat([found, self.told(tokens, nobody)]) if self.told is not None else found


class Model(WritingModel):
    """The transformer, which has read nothing before."""

    config: Config

    def build(self, generator: torch.Generator) -> Writer:
        """See `WritingModel.build`."""
        config, layout = self.config, self.layout
        decoder = Decoder(
            layout.vocabulary, layout.page, config.width, config.layers, config.dropout, self.precision, generator
        )
        if config.compile:
            compiled(decoder.layers)
        return decoder
