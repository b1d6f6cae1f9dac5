"""A transformer that tells hidden tokens from both sides (BERT, Devlin et al. 2019): gaps, vectors and labels of texts.

A share of the tokens is hidden and told from all others of its text; heads on the mean of a text's vectors tell the
columns beside it. It fills gaps, encodes and classifies given texts, and draws none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.errors import ConfigError
from synth.layout import TEXT_END, TEXT_GAP, TEXT_PAD, Condition, TextLayout
from synth.models.base import Batch, NewTextConfig, TextModel
from synth.nets.columns import draw
from synth.nets.compiled import compiled
from synth.nets.dense import Linear
from synth.nets.draws import rand
from synth.nets.encoder import Encoder

PAGES = 64  # read at once
KEPT, SWAPPED = 0.1, 0.1  # shares of the hidden tokens that are left as they are, and that others stand for


class Config(NewTextConfig):
    """Hyper-parameters of BERT.

    hidden: share of the tokens that are hidden while it learns, more than the first one had (Wettig et al. 2023)
    labelled: weight of telling the columns beside a text
    temperature: of the tokens that fill gaps
    """

    hidden: float = Field(0.3, gt=0, lt=1)
    labelled: float = Field(1.0, ge=0)
    temperature: float = Field(1.0, gt=0)


class Model(TextModel):
    """The encoder, what tells a token, and what tells each column."""

    draws = False

    config: Config

    def __init__(self, config: Config, layout: TextLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.encoder = Encoder(
            layout.vocabulary, config.width, config.layers, config.dropout, self.precision, generator
        )
        if config.compile:
            compiled(self.encoder.layers)
        self.exit = Linear(config.width, layout.vocabulary, 0.0, generator)
        self.heads = nn.ModuleList(Linear(config.width, size, 0.0, generator) for size in layout.cardinalities)
        share = torch.from_numpy(layout.frequency.copy())
        self.register_buffer("share", share, persistent=False)

    share: Tensor

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Nats per hidden token, and of the columns of each text."""
        found, noise = [], generator if self.training else None
        for text, tokens in zip(*(torch.split(batch[name], PAGES) for name in ("text", "tokens")), strict=True):
            shown, wanted = text[:, 1:].long(), text[:, 1:].long()
            hidden = (rand(wanted.shape, generator, wanted.device) < self.config.hidden) & (wanted != TEXT_PAD)
            vectors = self.encoder(self._shown(shown, hidden, generator), _texts(wanted), noise)
            nats = F.cross_entropy(self.exit(vectors[hidden]), wanted[hidden], reduction="sum")
            told = nats / hidden.sum().clamp_min(1)
            found.append((told + self.config.labelled * self._told(vectors, wanted, tokens)) * len(text))
        return torch.stack(found).sum() / len(batch["text"])

    def _shown(self, tokens: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """The tokens with gaps in place of most of the hidden ones."""
        kind = rand(tokens.shape, generator, tokens.device)
        other = torch.searchsorted(self.share.cumsum(0), kind / SWAPPED % 1).clamp_max(len(self.share) - 1)
        swapped = torch.where(kind < SWAPPED, other, TEXT_GAP)
        return torch.where(hidden & (kind < 1 - KEPT), swapped, tokens)

    def _told(self, vectors: Tensor, wanted: Tensor, tokens: Tensor) -> Tensor:
        """Nats of the columns of a text, the mean over the texts on these pages."""
        if not len(self.heads):
            return vectors.new_zeros(())
        text = _texts(wanted)
        count = int(text.max()) + 1
        place = text + count * torch.arange(len(text), device=text.device)[:, None]
        pooled, filled = _pooled(vectors, place.flatten(), count * len(text), wanted.flatten() != TEXT_PAD)
        first = torch.zeros((len(filled), tokens.shape[-1]), dtype=torch.long, device=text.device)
        first[place.flatten()] = tokens.flatten(0, 1).long()  # all places of a text have the same
        nats = [F.cross_entropy(head(pooled[filled]), first[filled, d]) for d, head in enumerate(self.heads)]
        return torch.stack(nats).sum()

    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """It draws no texts."""
        raise ConfigError("bert fills gaps in texts and draws none; give it some: `synth transform --how infill`")

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """(N, W): the mean over a text's tokens of their vectors."""
        rows = int(batch["row"].max()) + 1 if len(batch["row"]) else 0
        total = torch.zeros((rows, self.config.width), device=self.used.device)
        count = torch.zeros((rows, 1), device=self.used.device)
        filled = (batch["text"] != TEXT_PAD).sum(1)
        for pages in torch.split(filled.argsort(), PAGES):
            wanted, row = batch["text"][pages, 1 : int(filled[pages[-1]])], batch["row"][pages]
            vectors = self.encoder(wanted, _texts(wanted), None)
            known = torch.arange(wanted.shape[1], device=row.device) < batch["known"][pages, None]
            counted = (wanted != TEXT_PAD) & ~known
            total.index_add_(0, row, (vectors * counted[..., None]).sum(1))
            count.index_add_(0, row, counted.sum(1, keepdim=True).float())
        return total / count.clamp_min(1)

    @torch.no_grad()
    def classify(self, batch: Batch) -> list[Tensor]:
        """Of each column beside the text (N, K) chances of its tokens."""
        pooled = self.encode(batch)
        return [head(pooled).softmax(1) for head in self.heads]

    @torch.no_grad()
    def infill(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The pages with every gap filled but those at their first places, which are read on an earlier page; that of
        each page first of which is most certain what stands there."""
        text = batch["text"].clone()
        allowed = self.used.clone()
        allowed[TEXT_END] = False
        for pages in torch.split(torch.arange(len(text), device=text.device), PAGES):
            left = pages
            while len(left := left[(text[left, 1:] == TEXT_GAP).any(1)]):
                read = text[left, 1:]
                logits = self.exit(self.encoder(read, _texts(read), None)).masked_fill(~allowed, -torch.inf)
                chances = (logits / self.config.temperature).softmax(-1)
                place = chances.amax(-1).masked_fill(read != TEXT_GAP, -1.0).argmax(1)
                uniform = rand((len(left),), generator, text.device)
                told = logits[torch.arange(len(left), device=text.device), place] / self.config.temperature
                text[left, place + 1] = draw(told, uniform)
        return text


def _texts(wanted: Tensor) -> Tensor:
    """(B, T) number of the text that each token belongs to, an end to the one that it ends."""
    ends = wanted == TEXT_END
    return ends.cumsum(1) - ends.long()


def _pooled(vectors: Tensor, place: Tensor, size: int, counted: Tensor) -> tuple[Tensor, Tensor]:
    """(size, W) means of vectors (B, T, W) over the places (B T,) that count, and which of them have any."""
    flat = vectors.flatten(0, 1) * counted[:, None]
    count = torch.zeros(size, device=place.device).index_add_(0, place, counted.float())
    total = torch.zeros((size, vectors.shape[-1]), device=place.device).index_add(0, place, flat)
    return total / count.clamp_min(1)[:, None], count > 0
