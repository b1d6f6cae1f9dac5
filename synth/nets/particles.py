"""Sampling from a chain of conditionals p(x_1) p(x_2 | x_1) ... under evidence on any of the columns.

Sequential importance resampling (Gordon, Salmond & Smith 1993): several candidates for each row go through the
columns; where a column has to take an asked-for value, every candidate is weighed by the probability that it would
have, and candidates of small weight give way to those of large. In the end as many are drawn by weight as rows are
wanted. Rows with the same evidence share one pool of candidates. Every row keeps its evidence exactly; its
distribution tends to the exact conditional one as the candidates grow in number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from synth.layout import Condition, TableLayout
from synth.nets.draws import rand

LEAST = 1e-9  # width of a single point inside a token


class Particles:
    """P pools of R rows, each pool with R * M candidates; candidate c of pool p is entry p * R * M + c."""

    def __init__(self, pools: int, rows: int, count: int, generator: torch.Generator, device: torch.device) -> None:
        self.pools = pools
        self.rows = rows
        self.size = rows * count
        self.generator = generator
        self.device = device
        self.log_weight = torch.zeros((pools, self.size), device=device)

    def __len__(self) -> int:
        return self.pools * self.size

    def strata(self) -> Tensor:
        """(P * R * M,) uniform numbers: in each pool one in each of R * M equal parts of [0, 1), in random order."""
        part = self._uniform(self.size).argsort(1)
        return ((part + self._uniform(self.size)) / self.size).clamp(max=1 - 2**-24).flatten()

    def weigh(self, log_likelihood: Tensor) -> None:
        """Multiply the weights by the likelihood (P * R * M,) of the evidence of one column."""
        self.log_weight += log_likelihood.view(self.pools, self.size)

    def resample(self) -> Tensor | None:
        """(P * R * M,) entries that go on, by weight in pools whose effective number of candidates is below a half;
        None where all go on."""
        share = self.log_weight.softmax(1)
        poor = (1 / share.square().sum(1) < self.size / 2)[:, None]  # (P, 1)
        if self.size == self.rows or not bool(poor.any()):
            return None
        own = torch.arange(self.size, device=self.device).expand(self.pools, -1)
        ancestors = torch.where(poor, self._systematic(share, self.size), own)
        self.log_weight = torch.where(poor, 0.0, self.log_weight)
        return self._entries(ancestors)

    def choose(self) -> Tensor:
        """(P * R,) entries drawn by weight, one for each row; from here on they are the rows' only candidates."""
        entries = self._entries(self._systematic(self.log_weight.softmax(1), self.rows))
        self.size = self.rows
        self.log_weight = torch.zeros((self.pools, self.size), device=self.device)
        return entries

    def _systematic(self, share: Tensor, count: int) -> Tensor:
        """(P, count) candidates at evenly spaced steps through the weights, from one random start in each pool."""
        steps = (torch.arange(count, device=self.device) + self._uniform(1)) / count
        cumulative = share.double().cumsum(1)
        return torch.searchsorted(cumulative, steps.double() * cumulative[:, -1:]).clamp(max=self.size - 1)

    def _entries(self, candidates: Tensor) -> Tensor:
        """(P, J) candidate numbers -> (P * J,) entries."""
        return (torch.arange(self.pools, device=self.device)[:, None] * self.size + candidates).flatten()

    def _uniform(self, count: int) -> Tensor:
        """(P, count) in [0, 1)."""
        return rand((self.pools, count), self.generator, self.device)


class Evidence:
    """A condition as tensors, column by column: which tokens are allowed by how much, and which are given.

    columns: those with evidence; last: the last of them
    particles: candidates per row, 1 where no candidate can weigh more than another
    """

    def __init__(self, condition: Condition, layout: TableLayout, device: torch.device) -> None:
        self.given: Tensor | None = None
        if condition.tokens is not None:
            self.given = torch.from_numpy(condition.tokens).to(device)  # (n, D)
        self.log_width = {
            d: log_width(torch.from_numpy(spans)).to(device)  # (K,)
            for d, spans in condition.spans.items()
        }
        D = len(layout.columns)
        self.columns = [d for d in range(D) if d in self.log_width or bool(self._given(d).any())]
        self.last = max(self.columns, default=-1)
        free = [d for d in range(D) if not (bool(self._given(d).all()) or self._single(d))]
        self.particles = condition.particles if any(d < self.last for d in free) else 1

    def pools(self, n: int, size: int) -> Iterator[tuple[Tensor, int]]:
        """Row numbers (B,), pool after pool, and how many pools of equal size they make.

        Rows with the same evidence share a pool. size: candidates at once
        """
        step = max(size // self.particles, 1)
        if self.particles == 1:
            yield from ((rows, len(rows)) for rows in torch.split(torch.arange(n), step))
            return
        kind, counts = torch.zeros(n, dtype=torch.long), torch.tensor([n])
        if self.given is not None:
            _, kind, counts = torch.unique(self.given.cpu(), dim=0, return_inverse=True, return_counts=True)
        for count in sorted(set(counts.tolist())):
            rows = (counts[kind] == count).nonzero().squeeze(1)
            rows = rows[kind[rows].argsort(stable=True)].view(-1, count)  # (P, R)
            if count <= step:
                yield from ((part.flatten(), len(part)) for part in torch.split(rows, step // count))
            else:
                yield from ((part, 1) for row in rows for part in torch.split(row, step))

    def take(self, d: int, log_prob: Tensor, rows: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (E,) of column d under the evidence, and the log-likelihood (E,) of that evidence.

        log_prob: (E, K) of the column's tokens; rows: (B,) numbers of the rows; uniform: (E,) in [0, 1)
        """
        kept = log_prob + self.log_width[d] if d in self.log_width else log_prob
        tokens = invert(kept, uniform)
        gain = kept.logsumexp(1) if d in self.log_width else log_prob.new_zeros(len(log_prob))
        if self.given is not None:
            given = self.given[rows, d].repeat_interleave(len(log_prob) // len(rows))  # (E,)
            known = log_prob.gather(1, given.clamp_min(0)[:, None]).squeeze(1)
            tokens = torch.where(given >= 0, given, tokens)
            gain = torch.where(given >= 0, known, gain)
        return tokens, gain

    def _given(self, d: int) -> Tensor:
        return torch.zeros(1, dtype=torch.bool) if self.given is None else self.given[:, d] >= 0

    def _single(self, d: int) -> bool:
        return d in self.log_width and int((self.log_width[d] > -math.inf).sum()) == 1


def log_width(spans: Tensor) -> Tensor:
    """(K, 2) float64 -> (K,) log of the allowed part of each token; a single point counts as one of tiny width."""
    low, high = spans[:, 0], spans[:, 1]
    return torch.where(high >= low, (high - low).clamp_min(LEAST), 0).log().float()


def invert(log_prob: Tensor, uniform: Tensor) -> Tensor:
    """Invert the distribution function of exp(log_prob), (E, K), at `uniform`, (E,); a token of -inf never comes."""
    cumulative = (log_prob - log_prob.amax(1, keepdim=True)).exp().cumsum(1)
    drawn = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
    drawn = drawn.squeeze(1).clamp(max=log_prob.shape[1] - 1)
    impossible = log_prob.gather(1, drawn[:, None]).squeeze(1) == -math.inf  # by rounding at the upper end
    return torch.where(impossible, log_prob.argmax(1), drawn)
