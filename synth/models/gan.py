"""Generative adversarial network: a generator's rows against a critic, which must not tell them from real ones.

The critic estimates a distance between real and generated rows, the generator lowers it (Goodfellow et al. 2014).
Categories are asked for by training-by-sampling (Xu et al. 2019), so that rare ones are learnt and none is lost.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from synth.layout import ColumnLayout, Condition, TableLayout
from synth.models.base import Batch, Descend, GenerativeModel, TrainingConfig
from synth.nets.dense import Linear
from synth.nets.draws import rand, randn
from synth.nets.ranks import EDGE, Ranks, probit, unprobit

REFERENCE_ROWS = 8192  # generated rows beside which drawn ones find their ranks
JUDGED_ROWS = 8192  # generated rows that a validation loss takes, so that it does not hang on their chance
LEVELS = 16  # ranges of a number in a validation loss
SHARES_FROM = 1e-3  # shares well above this are asked for by their logarithm, those below nearly as they are


class Config(TrainingConfig):
    """Hyper-parameters of the adversarial family.

    objective: what generator and critic play for: `wasserstein` with a gradient penalty (Gulrajani et al. 2017),
        `relativistic` pairs with zero-centred penalties (Huang et al. 2024) on the numbers, or the `non-saturating`
        game of 2014 without a penalty, which comes apart and is there to compare
    noise: normal variables that a row is made of
    width: size of the hidden layers of both networks
    blocks: residual blocks of both networks
    temperature: of the softmax through which a drawn category passes its gradient
    softmax_to: ordered columns of single values only, at most so many, are drawn as categories are; others as ranks
    cosines: cosines of each rank that the critic sees beside its probit
    penalty: weight of the objective's gradient penalty
    critic_steps: steps of the critic for each of the generator
    marginal: weight of the divergence between the real and the generated shares of the categories
    epochs: more than a likelihood needs; there is no early stopping
    batch_size: many small steps do better than few large ones
    learning_rate: of both networks
    weight_decay: none; the penalty is what keeps the critic smooth
    betas: a short memory, since the two networks chase each other
    ema_decay: a long average, since they circle around the solution
    patience: validation losses fluctuate; the training always runs to its end
    """

    objective: Literal["wasserstein", "relativistic", "non-saturating"] = "wasserstein"
    noise: int = Field(64, ge=1)
    width: int = Field(128, ge=1)
    blocks: int = Field(2, ge=0)
    temperature: float = Field(0.5, gt=0)
    softmax_to: int = Field(20, ge=0)
    cosines: int = Field(16, ge=0)
    penalty: float = Field(10.0, ge=0)
    critic_steps: int = Field(2, ge=1)
    marginal: float = Field(1.0, ge=0)
    epochs: int = Field(30, ge=1)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.0, 0.9)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    patience: int = Field(1000, ge=1)


class Block(nn.Module):
    """x + W2 silu(W1 x), the input normalised where `normed`; x: (B, H)."""

    def __init__(self, width: int, normed: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.normed = normed
        self.inner = Linear(width, width, 1.4, generator)
        self.outer = Linear(width, width, 0.3, generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H) -> (B, H)."""
        inside = F.layer_norm(x, x.shape[-1:]) if self.normed else x
        added: Tensor = self.outer(F.silu(self.inner(inside)))
        return x + added


class Critic(nn.Module):
    """A residual network of a row and the column that its label is in: (B, I), (B,) int64 -> (B, 1)."""

    def __init__(self, inputs: int, columns: int, config: Config, generator: torch.Generator) -> None:
        super().__init__()
        self.entry = Linear(inputs, config.width, 1.0, generator)
        self.column = nn.Parameter(torch.randn((columns, config.width), generator=generator) * 0.5)
        self.blocks = nn.Sequential(*(Block(config.width, False, generator) for _ in range(config.blocks)))
        self.exit = Linear(config.width, 1, 1.0, generator)

    def forward(self, x: Tensor, column: Tensor | None) -> Tensor:
        """x: (B, I); column: (B,) or None."""
        hidden = self.entry(x)
        if column is not None:
            hidden = hidden + F.embedding(column, self.column)
        out: Tensor = self.exit(F.silu(self.blocks(hidden)))
        return out


class Generator(nn.Module):
    """Noise and a label become a row: its categories in turn, each knowing those before it, then its numbers.

    A category that the network drew without telling itself could agree with nothing else in the row.
    """

    def __init__(self, sizes: list[int], numbers: int, config: Config, generator: torch.Generator) -> None:
        super().__init__()
        H, S = config.width, sum(sizes)
        self.sizes = sizes
        self.temperature = config.temperature
        self.entry = Linear(config.noise, H, 1.0, generator)
        self.label = nn.Parameter(torch.randn((S, H), generator=generator) * 0.5)
        self.first = nn.Sequential(*(Block(H, True, generator) for _ in range(config.blocks)))
        self.logits = Linear(H, S, 1.0, generator)
        self.chosen = nn.Parameter(torch.randn((S, H), generator=generator) * 0.5)
        self.again = Linear(config.noise, H, 1.0, generator)
        self.second = nn.Sequential(*(Block(H, True, generator) for _ in range(config.blocks)))
        self.exit = Linear(H, numbers, 1.0, generator)

    def forward(self, noise: Tensor, label: Tensor | None, gumbel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """noise: (B, Z), label: (B,), gumbel: (B, S) -> numbers (B, C), categories (B, S), their mean chances (S,).

        Categories are drawn by the Gumbel-max trick; their gradient is that of the relaxed draw, straight through
        (Jang et al. 2017).
        """
        hidden = self.entry(noise)
        if label is not None:
            hidden = hidden + F.embedding(label, self.label)
        hidden = self.first(hidden)
        drawn, chances, start = [gumbel[:, :0]], [self.logits.bias[:0]], 0
        for K in self.sizes:
            own = slice(start, start + K)
            logits = F.linear(activated(hidden), self.logits.weight[own], self.logits.bias[own])
            if label is not None:
                named = F.one_hot((label - start).clamp(0, K - 1), K).bool()  # (B, K)
                mine = (label >= start) & (label < start + K)
                logits = logits.masked_fill(mine[:, None] & ~named, -1e4)
            drawn.append(straight_through(logits + gumbel[:, own], self.temperature))
            chances.append(logits.softmax(1).mean(0))
            hidden = hidden + drawn[-1] @ self.chosen[own]
            start += K
        hidden = self.second(hidden + self.again(noise))
        return self.exit(activated(hidden)), torch.cat(drawn, 1), torch.cat(chances)


class Rows(NamedTuple):
    """Rows as both networks know them.

    ranks: (B, C) float32 in (0, 1), the columns of `Model.ranked`
    categories: (B, S) float32, one-hot in each column of `Model.drawn`, side by side
    """

    ranks: Tensor
    categories: Tensor


class Model(GenerativeModel):
    """A generator and its critic over the columns of `layout`.

    A label is one of the S categories: generated rows have it by construction. The critic is told its column.
    """

    config: Config
    frequency: Tensor
    offsets: Tensor
    column: Tensor

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        columns = layout.columns
        if not columns:
            return
        self.drawn = [d for d, column in enumerate(columns) if by_softmax(column, config.softmax_to)]
        self.ranked = [d for d in range(len(columns)) if d not in self.drawn]
        self.ranks = Ranks(TableLayout(tuple(columns[d] for d in self.ranked)))
        self.sizes = [columns[d].cardinality for d in self.drawn]
        frequency = np.concatenate([columns[d].frequency for d in self.drawn] or [np.zeros(0, np.float32)])
        which = np.repeat(np.arange(len(self.sizes)), self.sizes)
        starts = np.cumsum([0, *self.sizes])[: len(self.sizes)]
        self.register_buffer("frequency", torch.from_numpy(frequency), persistent=False)  # (S,)
        self.register_buffer("column", torch.from_numpy(which).long(), persistent=False)  # (S,)
        self.register_buffer("offsets", torch.from_numpy(starts).long(), persistent=False)  # (len(drawn),)
        C, S = len(self.ranked), len(frequency)
        self.generator = Generator(self.sizes, C, config, generator)
        self.critic = Critic(C * (1 + config.cosines) + S, len(self.sizes), config, generator)
        with torch.no_grad():
            self.generator.logits.bias[:] = self.frequency.clamp_min(1e-5).log()

    def step(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """Steps of the critic, each against generated rows of its own, then one of the generator with all of these.

        Returns the generator's loss.
        """
        real, label = self._asked(self._real(batch, generator), generator)
        seen, k = self._features(real), self.config.critic_steps
        labels = None if label is None else label.repeat(k)
        fake, chances = self._generate(k * len(seen), labels, generator)
        made = self._features(fake)
        column = None if label is None else self.column[label]
        for part in made.detach().chunk(k):
            descend(self._critic_loss(seen, part, column, generator), self.critic.parameters())
        loss = self._generator_loss(seen.repeat(k, 1), made, None if column is None else column.repeat(k))
        if self.drawn:
            loss = loss + self.config.marginal * divergence(real.categories.mean(0), chances)
        return descend(loss, self.generator.parameters())

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Squared Hellinger distance between the batch and generated rows, 0 to 1: the mean over all pairs of columns
        of that of their joint shares, numbers in LEVELS ranges of equal share."""
        real = self._levels(self._real(batch, generator))
        fake = self._levels(self._draw(JUDGED_ROWS, generator))
        widths = [LEVELS] * len(self.ranked) + self.sizes
        parts = zip(torch.split(real, widths, 1), torch.split(fake, widths, 1), strict=True)
        apart = [hellinger(one.t() @ real / len(real), other.t() @ fake / len(fake)) for one, other in parts]
        return torch.stack(apart).sum() / len(widths) ** 2

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows, {"tokens": (n, D) int64, "places": (n, D) float32}, labels at their real shares."""
        if not self.layout.columns:
            return {"tokens": torch.zeros((n, 0), dtype=torch.long), "places": torch.zeros((n, 0))}
        rows = self._draw(n, generator)
        tokens = torch.zeros((n, len(self.layout.columns)), dtype=torch.long, device=rows.ranks.device)
        places = torch.full(tokens.shape, 0.5, device=tokens.device)
        tokens[:, self.ranked], places[:, self.ranked] = self.ranks.token(rows.ranks)
        for d, chosen in zip(self.drawn, torch.split(rows.categories, self.sizes, 1), strict=True):
            tokens[:, d] = chosen.argmax(1)
        return {"tokens": tokens, "places": places}

    @torch.no_grad()
    def _draw(self, n: int, generator: torch.Generator) -> Rows:
        """n rows of labels at their real shares, whose ranks are made uniform: each becomes its rank among those of
        further generated rows."""
        rows, _ = self._generate(n, self._labels(n, generator), generator)
        if not self.ranked:
            return rows
        others, _ = self._generate(REFERENCE_ROWS, self._labels(REFERENCE_ROWS, generator), generator)
        return Rows(uniform(rows.ranks, others.ranks), rows.categories)

    def _real(self, batch: Batch, generator: torch.Generator) -> Rows:
        tokens, places = batch["tokens"], batch.get("places")
        ranks = self.ranks.rank(tokens[:, self.ranked], None if places is None else places[:, self.ranked], generator)
        categories = torch.zeros((len(tokens), len(self.frequency)), device=tokens.device)
        return Rows(ranks, categories.scatter_(1, tokens[:, self.drawn] + self.offsets, 1.0))

    def _asked(self, rows: Rows, generator: torch.Generator) -> tuple[Rows, Tensor | None]:
        """Training-by-sampling inside a batch: rows drawn by the logarithm of the share of their category in one
        column, columns in turn, and that category, (B,), as the label of a generated row."""
        if not self.drawn:
            return rows, None
        B, D = len(rows.ranks), len(self.drawn)
        weight = (1 + self.frequency / SHARES_FROM).log() / self.frequency.clamp_min(1e-6)  # (S,)
        split = zip(torch.split(rows.categories, self.sizes, 1), torch.split(weight, self.sizes), strict=True)
        each = torch.stack([own @ weights for own, weights in split])  # (D, B)
        cumulative = each.double().cumsum(1)
        drawn = rand((D, -(-B // D)), generator, each.device)
        chosen = torch.searchsorted(cumulative, drawn * cumulative[:, -1:], right=True).clamp(max=B - 1)
        chosen, column = chosen.t().flatten()[:B], torch.arange(B, device=each.device) % D
        categories = rows.categories[chosen]
        label = (categories * (self.column == column[:, None])).argmax(1)
        return Rows(rows.ranks[chosen], categories), label

    def _labels(self, n: int, generator: torch.Generator) -> Tensor | None:
        """(n,) categories at their real shares, all columns alike, in random order; None of a table without any.

        Drawn systematically: none whose share of the n rows, over the number of columns, is a row or more is missed.
        """
        if not self.drawn:
            return None
        order = torch.randperm(n, generator=generator, device=generator.device)
        start = rand((1,), generator, order.device).double()
        steps = ((order + start) / max(n, 1)).to(self.frequency.device)
        cumulative = self.frequency.double().cumsum(0)
        return torch.searchsorted(cumulative, steps * cumulative[-1], right=True).clamp(max=len(cumulative) - 1)

    def _generate(self, n: int, label: Tensor | None, generator: torch.Generator) -> tuple[Rows, Tensor]:
        """n rows of the labels (n,), and the mean chance (S,) of every category."""
        device = self.frequency.device
        noise = randn((n, self.config.noise), generator, device)
        shape = (n, len(self.frequency))
        drawn = rand(shape, generator, device)
        gumbel = -(-drawn.clamp(1e-7, 1 - 1e-7).log()).log()
        numbers, categories, chances = self.generator(noise, label, gumbel)
        return Rows(unprobit(numbers), categories), chances

    def _features(self, rows: Rows) -> Tensor:
        """(B, C * (1 + cosines) + S): what the critic sees, probits, cosines of the ranks and categories."""
        k = torch.arange(1, self.config.cosines + 1, device=rows.ranks.device)
        waves = torch.cos(math.pi * k * rows.ranks[..., None]).flatten(1)
        return torch.cat([probit(rows.ranks), waves, rows.categories], 1)

    def _levels(self, rows: Rows) -> Tensor:
        """(B, C * LEVELS + S): one-hot in every column."""
        levels = F.one_hot((rows.ranks * LEVELS).long(), LEVELS)
        return torch.cat([levels.flatten(1).float(), rows.categories], 1)

    def _critic_loss(self, real: Tensor, fake: Tensor, column: Tensor | None, generator: torch.Generator) -> Tensor:
        """What the critic lowers; real and fake: (B, F)."""
        r: Tensor = self.critic(real, column)
        f: Tensor = self.critic(fake, column)
        if self.config.objective == "wasserstein":
            mix = rand((len(real), 1), generator, real.device)
            slope = self._gradient(mix * real + (1 - mix) * fake, column)
            away: Tensor = (slope.norm(dim=1) - 1).square()
            return (f - r).mean() + self.config.penalty * away.mean()
        if self.config.objective == "relativistic":
            # Of the numbers: categories learn from the very slope at one-hot rows that it would flatten.
            numbers = real.shape[1] - len(self.frequency)
            steepness = [self._gradient(x, column)[:, :numbers].square().sum(1).mean() for x in (real, fake)]
            return F.softplus(f - r).mean() + self.config.penalty / 2 * torch.stack(steepness).sum()
        return (F.softplus(f) + F.softplus(-r)).mean()

    def _generator_loss(self, real: Tensor, fake: Tensor, column: Tensor | None) -> Tensor:
        """What the generator lowers against the critic."""
        f: Tensor = self.critic(fake, column)
        if self.config.objective == "wasserstein":
            return -f.mean()
        if self.config.objective == "relativistic":
            return F.softplus(self.critic(real, column) - f).mean()
        return F.softplus(-f).mean()

    def _gradient(self, x: Tensor, column: Tensor | None) -> Tensor:
        """(B, F) gradient of the critic at x."""
        x = x.detach().requires_grad_()
        slope: Tensor = torch.autograd.grad(self.critic(x, column).sum(), x, create_graph=True)[0]
        return slope


def activated(hidden: Tensor) -> Tensor:
    """silu(norm(h)), (B, H)."""
    return F.silu(F.layer_norm(hidden, hidden.shape[-1:]))


def by_softmax(column: ColumnLayout, softmax_to: int) -> bool:
    """Whether a column is drawn as categories are: nominal ones, and ordered ones of a few single values."""
    nominal = bool(np.isnan(column.ordered).all())
    return nominal or (bool(column.embedded.all()) and column.cardinality <= softmax_to)


def straight_through(noisy: Tensor, temperature: float) -> Tensor:
    """(B, K) one-hot of the largest; its gradient is that of softmax(noisy / temperature)."""
    hard = torch.zeros_like(noisy).scatter_(1, noisy.argmax(1, keepdim=True), 1.0)
    if not torch.is_grad_enabled():
        return hard
    soft = (noisy / temperature).softmax(1)
    return hard + soft - soft.detach()


def divergence(real: Tensor, shares: Tensor) -> Tensor:
    """Kullback-Leibler divergence of generated shares (S,) from real ones, summed over the columns; it grows without
    bound where a category is lost."""
    return (real * (real.clamp_min(1e-9) / shares.clamp_min(1e-9)).log()).sum()


def uniform(ranks: Tensor, others: Tensor) -> Tensor:
    """(B, C) ranks in (0, 1) by the distribution function of others (N, C), linear between neighbouring values."""
    ends = torch.tensor([[0.0], [1.0]], device=ranks.device).expand(-1, ranks.shape[1])
    knots = torch.cat([ends[:1], others.sort(0).values, ends[1:]]).t().contiguous()  # (C, N + 2)
    values = ranks.t().contiguous()  # (C, B)
    right = torch.searchsorted(knots, values, right=True).clamp(1, knots.shape[1] - 1)
    low, high = knots.gather(1, right - 1), knots.gather(1, right)
    part = ((values - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    return ((right - 1 + part) / (knots.shape[1] - 1)).t().clamp(EDGE, 1 - EDGE)


def hellinger(one: Tensor, other: Tensor) -> Tensor:
    """Squared Hellinger distance between distributions of equal shape; summed, where they are several."""
    return (one.sqrt() - other.sqrt()).square().sum() / 2
