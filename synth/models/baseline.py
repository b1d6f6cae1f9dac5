"""What a practitioner tries anyway: independent columns, rows again, a Gaussian copula, neighbours interpolated.

Nothing is trained. Two ideas make the four kinds. A Gaussian copula (Sklar 1959; Patki, Wedge & Veeramachaneni 2016)
draws correlated normal values and turns each, by its distribution function, into a value of its column: every column
alone is exact. With no correlation the columns are independent. A store of training rows is drawn from with
replacement (Efron 1979), as they are, or each moved towards one of its neighbours (SMOTE, Chawla et al. 2002).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from synth.layout import Condition, TableLayout
from synth.models.base import Batch, GenerativeModel, TrainingConfig
from synth.nets.draws import rand, randn
from synth.nets.ranks import Ranks, probit, unprobit

MISMATCH = 12**-0.5  # distance of two categories: the deviation of a rank, as in SMOTE-NC
SIMPLEX = 32  # more categories than this get random directions, about equally far apart
QUERIES = 512  # rows whose neighbours are looked for at once


class Config(TrainingConfig):
    """Hyper-parameters of the baselines; those of training have no effect.

    kind: what is tried, see `docs/models/baseline.md`
    rows: of the source that bootstrap and interpolation hold at most, drawn uniformly from all
    neighbours: of each row, towards one of which interpolation moves it
    """

    kind: Literal["independent", "bootstrap", "copula", "interpolation"] = "copula"
    rows: int = Field(50_000, ge=1)
    neighbours: int = Field(5, ge=1)


class Model(GenerativeModel):
    """One of the four kinds over the columns of `layout`.

    factor: (D, D) Cholesky factor of the correlation of the columns' normal scores; the unit matrix until observed
    held_tokens, held_places: (M, D) rows of the source; neighbours: (M, k) the nearest of each
    """

    grown = ("held_tokens", "held_places", "neighbours")

    config: Config
    factor: Tensor
    held_tokens: Tensor
    held_places: Tensor
    neighbours: Tensor
    null: Tensor

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.holds = config.kind in ("bootstrap", "interpolation")
        self.ranks = Ranks(layout if self.holds else in_line(layout))
        D = len(layout.columns)
        if config.kind == "copula":
            self.register_buffer("factor", torch.eye(D))
        if self.holds:
            self.register_buffer("held_tokens", torch.zeros((0, D), dtype=torch.int32))
            self.register_buffer("held_places", torch.zeros((0, D)))
            self.register_buffer("neighbours", torch.zeros((0, 0), dtype=torch.int32))
        null = [np.isnan(layout.columns[d].ordered) for d in self.ranks.columns]
        found = [int(missing.argmax()) if missing.any() else -1 for missing in null]
        self.register_buffer("null", torch.tensor(found, dtype=torch.long), persistent=False)  # (C,)

    @property
    def exposed(self) -> str | None:
        """The rows that the model file holds."""
        if not self.holds:
            return None
        rows = f"{len(self.held_tokens):,} rows of the source"
        return f"{self.config.kind} keeps {rows} in the model file and draws from them"

    def observe(self, batches: Iterable[Batch], generator: torch.Generator) -> None:
        """Estimate the correlation, or fill the store."""
        if self.config.kind == "copula":
            self.factor = self._correlate(batches, generator)
        elif self.holds:
            self.held_tokens, self.held_places = reservoir(batches, self.config.rows, generator)
        if self.config.kind == "interpolation":
            self.neighbours = nearest(positions(self.held_tokens, self.layout, generator), self.config.neighbours)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """There is none."""
        raise NotImplementedError("a baseline has no parameters, and so no loss")

    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """{"tokens": (n, D) int64, "places": (n, D) float32}."""
        if self.holds:
            return self._held(n, generator)
        normal = randn((n, len(self.layout.columns)), generator, self.null.device)
        if self.config.kind == "copula":
            normal = normal @ self.factor.T
        tokens, places = self.ranks.token(unprobit(normal))
        return {"tokens": tokens, "places": places}

    def _correlate(self, batches: Iterable[Batch], generator: torch.Generator) -> Tensor:
        """(D, D) factor of the correlation of the normal scores of all rows."""
        D = len(self.layout.columns)
        total = torch.zeros((D, D), dtype=torch.float64, device=self.factor.device)
        for batch in batches:
            scores = probit(self.ranks.rank(batch["tokens"], batch.get("places"), generator)).double()  # (B, D)
            total += scores.T @ scores  # of mean 0 by construction
        scale = total.diagonal().clamp_min(1e-12).rsqrt()
        correlation = total * scale[:, None] * scale
        correlation.fill_diagonal_(1 + 1e-6)  # positive definite even where columns are copies of each other
        factor: Tensor = torch.linalg.cholesky(correlation)
        return factor.float().contiguous()

    def _held(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Rows of the store, and on the way to a neighbour where there are neighbours."""
        device = self.held_tokens.device
        rows = (rand((n,), generator, device) * len(self.held_tokens)).long()
        tokens, places = self.held_tokens[rows].long(), self.held_places[rows]
        if self.config.kind == "bootstrap":
            return {"tokens": tokens, "places": places}
        k = self.neighbours.shape[1]
        others = self.neighbours[rows, (rand((n,), generator, device) * k).long()].long()
        way = rand((n, 1), generator, device)
        return self._between(
            (tokens, places), (self.held_tokens[others].long(), self.held_places[others]), way, generator
        )

    def _between(
        self, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], way: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Numbers at `way`, (n, 1) in [0, 1], between the ranks of two rows; categories and nulls of one of the two."""
        chosen = rand(one[0].shape, generator, way.device) < way
        tokens, places = (torch.where(chosen, b, a) for a, b in zip(one, other, strict=True))
        start, end = (self.ranks.rank(*row, generator) for row in (one, other))  # (n, C)
        moved = self.ranks.token(torch.lerp(start, end, way))
        columns = self.ranks.columns
        known = (one[0][:, columns] != self.null) & (other[0][:, columns] != self.null)
        tokens[:, columns] = torch.where(known, moved[0], tokens[:, columns])
        places[:, columns] = torch.where(known, moved[1], places[:, columns])
        return {"tokens": tokens, "places": places}


def in_line(layout: TableLayout) -> TableLayout:
    """The layout with the tokens of nominal columns in a line, the most frequent first."""
    columns = [
        replace(column, ordered=np.argsort(np.argsort(-column.frequency, kind="stable")).astype(np.float32))
        if np.isnan(column.ordered).all()
        else column
        for column in layout.columns
    ]
    return TableLayout(tuple(columns))


def reservoir(batches: Iterable[Batch], rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A uniform sample of at most `rows` rows, in one pass: those with the smallest of random keys.

    Returns tokens (M, D) int32 and places (M, D) float32.
    """
    kept: list[Tensor] = []
    for batch in batches:
        tokens = batch["tokens"]
        places = batch.get("places", torch.full(tokens.shape, 0.5, device=tokens.device))
        keys = torch.rand(len(tokens), generator=generator, device=generator.device, dtype=torch.float64)
        found = [keys.to(tokens.device), tokens.int(), places]
        kept = [torch.cat(pair) for pair in zip(kept, found, strict=True)] if kept else found
        if len(kept[0]) > rows:
            smallest = kept[0].topk(rows, largest=False).indices
            kept = [values[smallest] for values in kept]
    return kept[1], kept[2]


def positions(tokens: Tensor, layout: TableLayout, generator: torch.Generator) -> Tensor:
    """(M, P) float32 points of rows (M, D) whose distances tell how alike the rows are.

    A number is its mid-rank; two categories, and a null and any value, are MISMATCH apart (Chawla et al. 2002, 6.1).
    """
    parts = [torch.zeros((len(tokens), 0), device=tokens.device)]
    for d, column in enumerate(layout.columns):
        place = torch.from_numpy(column.ordered)[:, None]  # (K, 1)
        if np.isnan(column.ordered).all():
            table = directions(column.cardinality, generator) * (MISMATCH / 2**0.5)
        else:
            table = torch.cat([place.nan_to_num(0.5), place.isnan() * MISMATCH], dim=1)
        parts.append(table.to(tokens.device)[tokens[:, d].long()])
    return torch.cat(parts, dim=1)


def directions(count: int, generator: torch.Generator) -> Tensor:
    """(K, P) vectors at the distance sqrt(2) from each other, on average where they are many."""
    if count <= SIMPLEX:
        return torch.eye(count)
    vectors: Tensor = randn((count, SIMPLEX), generator, torch.device("cpu")) / SIMPLEX**0.5
    return vectors


def nearest(points: Tensor, count: int) -> Tensor:
    """(M, k) int32: the nearest other points of each of (M, P), k of them, fewer where there are fewer; itself where
    it is alone."""
    if len(points) == 1:
        return torch.zeros((1, 1), dtype=torch.int32, device=points.device)
    found = []
    for start in range(0, len(points), QUERIES):
        part = points[start : start + QUERIES]
        distance = torch.cdist(part, points)
        own = torch.arange(len(part), device=points.device)
        distance[own, start + own] = torch.inf
        found.append(distance.topk(min(count, len(points) - 1), largest=False).indices.int())
    return torch.cat(found)
