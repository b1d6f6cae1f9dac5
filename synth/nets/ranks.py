"""Ordered columns as ranks: every token an interval of (0, 1) as wide as its share of the training rows.

The rank of a value under its own distribution function is uniform (the probability integral transform, Rosenblatt
1952), so the probit of it is standard normal on the training rows whatever the column was: heavy tails, frequent
single values and nulls included. Models of continuous values see nothing but this.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synth.layout import TableLayout
from synth.nets.draws import rand

EDGE = 1e-6  # ranks and their probits stay this far from the ends
EVERY = slice(None)


class Ranks(nn.Module):
    """The ordered columns of a layout, C of its D, between (tokens, places) and ranks u in (0, 1).

    Intervals follow the number line, single values and bins in ascending order, the null last. `columns` holds the
    C positions in the layout, `nominal` those of the other columns.

    discrete: ordered columns of at most so many tokens count as nominal
    """

    edges: Tensor
    order: Tensor
    position: Tensor
    bins: Tensor

    def __init__(self, layout: TableLayout, discrete: int = 0) -> None:
        super().__init__()
        ordered = [column.cardinality > discrete and not np.isnan(column.ordered).all() for column in layout.columns]
        self.columns = [d for d, found in enumerate(ordered) if found]
        self.nominal = [d for d, found in enumerate(ordered) if not found]
        size = max((layout.columns[d].cardinality for d in self.columns), default=0)
        edges = np.full((len(self.columns), size + 1), 2.0)  # padding that no rank reaches
        order = np.zeros((len(self.columns), size), dtype=np.int64)  # the token at each place of the line
        position = np.zeros((len(self.columns), size), dtype=np.int64)  # and back
        bins = np.zeros((len(self.columns), size), dtype=bool)
        for i, d in enumerate(self.columns):
            column = layout.columns[d]
            K = column.cardinality
            line = np.argsort(np.where(np.isnan(column.ordered), np.inf, column.ordered), kind="stable")
            share = column.frequency.astype(np.float64)[line]
            edges[i, : K + 1] = np.append(0.0, share.cumsum() / share.sum())
            edges[i, K] = 1.0
            order[i, :K], position[i, line] = line, np.arange(K)
            bins[i, :K] = ~column.embedded
        self.register_buffer("edges", torch.from_numpy(edges), persistent=False)  # (C, K + 1) float64
        self.register_buffer("order", torch.from_numpy(order), persistent=False)  # (C, K)
        self.register_buffer("position", torch.from_numpy(position), persistent=False)  # (C, K)
        self.register_buffer("bins", torch.from_numpy(bins), persistent=False)  # (C, K)

    def rank(self, tokens: Tensor, places: Tensor | None, generator: torch.Generator) -> Tensor:
        """(B, D) int64 and (B, D) float32 in [0, 1] -> (B, C) float32 ranks in [EDGE, 1 - EDGE].

        A single value lies uniformly in its interval (dequantised anew at each call), a value of a bin at its place;
        without `places` that too is drawn.
        """
        low, high, binned = self.interval(tokens[:, self.columns])
        uniform = rand(low.shape, generator, tokens.device)
        inside = uniform if places is None else torch.where(binned, places[:, self.columns], uniform)
        return (low + (high - low) * inside).float().clamp(EDGE, 1 - EDGE)

    def interval(self, tokens: Tensor, which: slice = EVERY) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C) int64 tokens of `which` of the C columns -> the ends of their intervals, (B, C) float64 both, and
        which are bins, (B, C)."""
        line, edges = tokens.t(), self.edges[which]
        at = self.position[which].gather(1, line)
        return edges.gather(1, at).t(), edges.gather(1, at + 1).t(), self.bins[which].gather(1, line).t()

    def token(self, ranks: Tensor, which: slice = EVERY) -> tuple[Tensor, Tensor]:
        """(B, C) ranks -> (B, C) int64 tokens and (B, C) float32 places in [0, 1], of `which` of the C columns."""
        edges = self.edges[which]
        exact = ranks.double().clamp(EDGE, 1 - EDGE).t().contiguous()  # (C, B)
        at = torch.searchsorted(edges, exact, right=True) - 1
        low, high = edges.gather(1, at), edges.gather(1, at + 1)
        places = ((exact - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
        return self.order[which].gather(1, at).t(), places.float().t()


def probit(ranks: Tensor) -> Tensor:
    """Standard normal values of ranks in (0, 1)."""
    values: Tensor = torch.special.ndtri(ranks.clamp(EDGE, 1 - EDGE))
    return values


def unprobit(values: Tensor) -> Tensor:
    """Ranks in (0, 1) of standard normal values."""
    ranks: Tensor = torch.special.ndtr(values)
    return ranks.clamp(EDGE, 1 - EDGE)
