"""Noisy marginals and the graphical model that agrees with them best: differential privacy by measurement.

Select, measure, generate (AIM, McKenna et al. 2022; MST, McKenna, Miklau & Sheldon 2021). Counts of single columns,
then of pairs that the model so far explains worst, are measured with noise; entropic mirror descent finds the
graphical model nearest to all of them (McKenna, Sheldon & Miklau 2019, the `mbi` library), and a chain of conditional
tables p(x_d | parents) out of its junction tree is what stays.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from synth.errors import ConfigError
from synth.layout import Condition, TableLayout
from synth.models.base import Batch, GenerativeModel, TrainingConfig
from synth.nets.draws import rand
from synth.nets.groups import group
from synth.nets.junction import Clique, JunctionTree
from synth.nets.particles import Evidence, Particles, invert
from synth.privacy import Ledger, simplex

SINGLES = 0.12  # share of the budget for the columns one by one
CHOICE = 0.1  # share of a pair's budget that pays its choice
FOREST = (1.0, 0.5)  # budget of a pair of each round against that of a pair with the target
SIGNAL = 8.0  # noise deviations that a group of tokens must count
SAMPLE_ROWS = 4096  # rows drawn at once
PARTICLE_ROWS = 8192  # candidates drawn at once under a condition
HASTE = 1e2  # how much longer the first step of mirror descent is than a single table allows
LEAST = 1e-9  # probability of what never came, so that a condition can ask for it


class Config(TrainingConfig):
    """Hyper-parameters of the marginals; those of training have no effect.

    groups: parts of an ordered column's line at most; noise makes them fewer
    cells: of the largest table of the junction tree at most
    columns: at most; the time for choosing and for compiling grows with the square of their number
    iterations: of mirror descent at the end, a third of them before each choice of pairs
    """

    groups: int = Field(64, ge=1)
    cells: int = Field(2**15, ge=1)
    columns: int = Field(100, ge=1)
    iterations: int = Field(1000, ge=1)


class Model(GenerativeModel):
    """A chain of tables over the grouped columns of `layout`; until it has measured, columns as the layout says.

    order: (D,) the column at each place of the chain
    parents: (D, P) the columns that the one at a place depends on, -1 where there are fewer than P
    groups: (sum K,) the group of each token in its column; shares: (sum K,) float32 log p(token | group)
    tables: (sum R G,) float32 log p(group | parents), place after place, G values for each of R groups of parents
    """

    conditional = True
    places = False
    private = "measurements"
    grown = ("parents", "tables")

    config: Config
    order: Tensor
    parents: Tensor
    groups: Tensor
    shares: Tensor
    tables: Tensor

    def __init__(self, config: Config, layout: TableLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        D, tokens = len(layout.columns), sum(layout.cardinalities)
        frequency = [column.frequency for column in layout.columns] or [np.zeros(0, dtype=np.float32)]
        self.register_buffer("order", torch.arange(D))
        self.register_buffer("parents", torch.zeros((D, 0), dtype=torch.long))
        self.register_buffer("groups", torch.zeros(tokens, dtype=torch.long))
        self.register_buffer("shares", logs(np.concatenate(frequency)))
        self.register_buffer("tables", torch.zeros(D))

    def observe(self, batches: Iterable[Batch], generator: torch.Generator) -> None:
        """Measure without noise."""
        self.measure(batches, Ledger(None), generator)

    def measure(self, batches: Iterable[Batch], ledger: Ledger, generator: torch.Generator) -> None:
        """Columns one by one, pairs with the target, then forests of the pairs that the model explains worst."""
        mbi, float64 = library()
        found = sum(K > 1 for K in self.layout.cardinalities)
        if found > self.config.columns:
            raise ConfigError(
                f"marginals: {found} columns are more than the {self.config.columns} of its setting columns; leave "
                "some out, raise it and wait, or take another family"
            )
        tokens = gather(batches, self.layout)
        if max(self.layout.cardinalities, default=1) > 1:
            with float64:
                run = Measurements(mbi, self.config, self.layout, tokens, ledger)
                run.singles()
                run.pairs()
                self._keep(run)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """There is none."""
        raise NotImplementedError("marginals have no parameters, and so no loss")

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log-likelihood of each row in nats."""
        tokens = batch["tokens"]
        total = torch.zeros(len(tokens), device=tokens.device)
        grouped = torch.zeros_like(tokens)
        for link in self._links():
            total += link.log_prob(grouped).gather(1, tokens[:, link.column, None]).squeeze(1)
            grouped[:, link.column] = link.groups[tokens[:, link.column]]
        return total

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows, {"tokens": (n, D) int64}, column after column of the chain.

        Under a condition, the columns before the last one asked for are drawn by `synth.nets.particles`.
        """
        if condition is not None:
            return {"tokens": self._sample_under(n, generator, condition)}
        links = list(self._links())
        uniforms = rand((n, len(links)), generator, self.order.device)
        tokens = torch.zeros((n, len(links)), dtype=torch.long, device=self.order.device)
        for start in range(0, n, SAMPLE_ROWS):
            block = slice(start, start + SAMPLE_ROWS)
            grouped = torch.zeros_like(tokens[block])
            for i, link in enumerate(links):
                drawn = invert(link.log_prob(grouped), uniforms[block, i])
                tokens[block, link.column] = drawn
                grouped[:, link.column] = link.groups[drawn]
        return {"tokens": tokens}

    def _sample_under(self, n: int, generator: torch.Generator, condition: Condition) -> Tensor:
        device, order = self.order.device, self.order.tolist()
        evidence = Evidence(
            in_order(condition, order), TableLayout(tuple(self.layout.columns[d] for d in order)), device
        )
        links = list(self._links())
        sampled = torch.zeros((n, len(order)), dtype=torch.long, device=device)
        for rows, pools in evidence.pools(n, PARTICLE_ROWS):
            cloud = Particles(pools, len(rows) // pools, evidence.particles, generator, device)
            tokens = torch.zeros((len(cloud), len(order)), dtype=torch.long, device=device)
            grouped = torch.zeros_like(tokens)
            for i, link in enumerate(links):
                log_prob, gain = link.log_prob(grouped), None
                if i in evidence.columns:
                    drawn, gain = evidence.take(i, log_prob, rows, cloud.strata())
                else:
                    drawn = invert(log_prob, cloud.strata())
                tokens[:, link.column], grouped[:, link.column] = drawn, link.groups[drawn]
                if gain is not None:
                    cloud.weigh(gain)
                    kept = cloud.choose() if i == evidence.last else cloud.resample()
                    if kept is not None:
                        tokens, grouped = tokens[kept], grouped[kept]
            sampled[rows] = tokens
        return sampled

    def _links(self) -> Iterator[Link]:
        """The chain, column after column."""
        sizes = self.layout.cardinalities
        groups, shares = torch.split(self.groups, sizes), torch.split(self.shares, sizes)
        counts = [int(group.max()) + 1 for group in groups]
        start = 0
        for place, column in enumerate(self.order.tolist()):
            parents = [d for d in self.parents[place].tolist() if d >= 0]
            rows = math.prod(counts[d] for d in parents)
            end = start + rows * counts[column]
            table = self.tables[start:end].view(rows, counts[column])
            yield Link(column, [(d, counts[d]) for d in parents], groups[column], shares[column], table)
            start = end

    def _keep(self, run: Measurements) -> None:
        """Turn what was measured into buffers."""
        chain = list(run.tree().chain())
        width = max(len(parents) for _, parents, _ in chain)
        device = self.order.device
        self.order = torch.tensor([column for column, _, _ in chain], device=device)
        padded = [[*parents, *[-1] * (width - len(parents))] for _, parents, _ in chain]
        self.parents = torch.tensor(padded, dtype=torch.long, device=device).view(len(chain), width)
        self.tables = logs(np.concatenate([table.ravel() for _, _, table in chain])).to(device)
        self.groups = torch.from_numpy(np.concatenate(run.groups)).to(device)
        self.shares = logs(np.concatenate([run.inside(d) for d in range(len(run.groups))])).to(device)


@dataclass(frozen=True)
class Link:
    """One column of the chain.

    parents: (column, number of its groups); groups, shares: (K,) as in `Model`; table: (R, G) log p(group | parents)
    """

    column: int
    parents: list[tuple[int, int]]
    groups: Tensor
    shares: Tensor
    table: Tensor

    def log_prob(self, grouped: Tensor) -> Tensor:
        """(B, K) of the column's tokens, given the groups (B, D) of those before it."""
        row = torch.zeros(len(grouped), dtype=torch.long, device=grouped.device)
        for column, count in self.parents:
            row = row * count + grouped[:, column]
        return self.table[row][:, self.groups] + self.shares


class Measurements:
    """What the ledger has told so far, and the graphical model of it.

    tokens: (N, D), looked at by `_counts` alone, whose answers go nowhere but into the ledger
    """

    def __init__(
        self, mbi: Any, config: Config, layout: TableLayout, tokens: NDArray[np.int32], ledger: Ledger
    ) -> None:
        self.mbi, self.config, self.layout, self.ledger = mbi, config, layout, ledger
        self.tokens, self.grouped = tokens, False
        self.groups = [np.zeros(K, dtype=np.int64) for K in layout.cardinalities]
        self.counts = [np.ones(K) for K in layout.cardinalities]  # of each token, noisy, not negative
        self.sizes = [1] * len(self.groups)
        self.total = 1.0
        self.found: list[Any] = []  # mbi's LinearMeasurement
        self.cliques: set[Clique] = set()
        self.model: Any = None

    def singles(self) -> None:
        """Count each column's tokens, the rows with them, and group the tokens by the noise that pairs will have."""
        columns = [d for d, K in enumerate(self.layout.cardinalities) if K > 1]
        pairs = 2 * len(columns) * (len(columns) > 1)
        rho = self.ledger.left * (SINGLES if pairs else 1) / len(columns)
        noisy = [self._told((d,), rho) for d in columns]
        weights = [1 / len(counts) for counts in noisy]
        self.total = max(float(np.average([counts.sum() for counts in noisy], weights=weights)), 1.0)
        least = SIGNAL * self.ledger.deviation(self.ledger.left / pairs) if pairs else 0.0
        for d, counts in zip(columns, noisy, strict=True):
            self.counts[d] = simplex(counts, self.total)
            self.groups[d] = group(self.layout.columns[d], self.counts[d], least, self.config.groups)
            self.sizes[d] = int(self.groups[d].max()) + 1
            spread = self.ledger.deviation(rho) * np.sqrt(np.bincount(self.groups[d]))  # of all tokens of a group
            self._found((d,), np.bincount(self.groups[d], weights=counts), spread)
        self.tokens = np.stack([self.groups[d][self.tokens[:, d]] for d in range(len(self.groups))], axis=1)
        self.grouped = True

    def pairs(self) -> None:
        """Spend all that is left on pairs and triples."""
        several = [d for d, size in enumerate(self.sizes) if size > 1]
        target = self.layout.target if self.layout.target in several else None
        others = [d for d in several if d != target]
        star = [clique for d in others if target is not None and self._fits(clique := (d, target))]
        edges = max(len(others) - 1, 0)
        unit = self.ledger.left / max(len(star) + edges * sum(FOREST), 1)
        for clique in star:
            self._measure(clique, unit)
        for weight in FOREST if edges else ():
            self._estimate(self.config.iterations // 3)
            self._forest(others, target, edges, unit * weight)
        self._rest()
        self._estimate(self.config.iterations)

    def tree(self) -> JunctionTree:
        """The model's tables over its largest cliques."""
        mbi = self.mbi
        tree, _ = mbi.junction_tree.make_junction_tree(self._domain(), list(self.model.cliques))
        cliques = sorted(tree.nodes)
        tables = mbi.marginal_oracles.message_passing_stable(self.model.potentials.expand(cliques), 1.0)
        exact = {clique: np.asarray(tables[clique].values, dtype=np.float64) for clique in cliques}
        return JunctionTree(exact, {clique: sorted(tree.neighbors(clique)) for clique in cliques})

    def inside(self, d: int) -> NDArray[np.float64]:
        """(K,) share of each token in its group; even in a group that counts nothing."""
        mass = np.bincount(self.groups[d], weights=self.counts[d])[self.groups[d]]
        even = 1 / np.bincount(self.groups[d])[self.groups[d]]
        return np.where(mass > 0, self.counts[d] / np.where(mass > 0, mass, 1), even)

    def _forest(self, others: list[int], target: int | None, edges: int, rho: float) -> None:
        """Choose and measure pairs that close no circle among each other: what is wrong in two sides of a triangle
        explains the third."""
        scores = self._scores(others, target, self.ledger.deviation(rho * (1 - CHOICE)))
        part = {d: d for d in others}
        for _ in range(edges):
            apart = [clique for clique in scores if part[clique[0]] != part[clique[1]]]
            place = self.ledger.choose(
                [scores[clique] for clique in apart],
                rho * CHOICE,
                "choices of the pairs and triples",
                allowed=lambda i: self._fits(apart[i]),  # noqa: B023 - called at once
            )
            if place < 0:
                return
            self._measure(apart[place], rho * (1 - CHOICE))
            a, b = (part[d] for d in apart[place][:2])
            part = {d: a if group == b else group for d, group in part.items()}

    def _rest(self) -> None:
        """Pay what no pair has taken for the columns once more."""
        if self.ledger.privacy and self.ledger.left > 1e-6 * self.ledger.rho:
            columns = [d for d, K in enumerate(self.layout.cardinalities) if K > 1]
            rho = self.ledger.left / len(columns)
            for d in columns:
                self._measure((d,), rho)

    def _scores(self, others: list[int], target: int | None, noise: float) -> dict[Clique, float]:
        """How far the model is from the counts of each pair, alone and with the target: the L1 distance, which one row
        changes by 1, less what the noise of the measurement would add (McKenna et al. 2022, eq. 2)."""
        tree, scores = self.tree(), {}
        extra = () if target is None else (target,)
        for i, a in enumerate(others):
            known = tree.marginals((a, *extra))
            for b in others[i + 1 :]:
                table = np.moveaxis(known[b], -1, 1) * self.total  # (a, b) or (a, b, target)
                counts = self._counts((a, b, *extra)).reshape(table.shape)
                for clique in {(a, b), (a, b, *extra)}:
                    wrong = (table - counts).reshape(*table.shape[: len(clique)], -1).sum(-1)
                    scores[clique] = float(np.abs(wrong).sum() - math.sqrt(2 / math.pi) * noise * wrong.size)
        return scores

    def _fits(self, clique: Clique) -> bool:
        """Whether the junction tree with one clique more has no table above the bound."""
        return largest([*self.cliques, clique], self.sizes) <= self.config.cells

    def _measure(self, clique: Clique, rho: float) -> None:
        counts = self._told(clique, rho)
        self._found(clique, counts, np.full(len(counts), self.ledger.deviation(rho)))

    def _told(self, clique: Clique, rho: float) -> NDArray[np.float64]:
        """Noisy counts of a clique's cells; one row is in one of them."""
        what = "counts of single columns" if len(clique) == 1 else "counts of pairs and triples of columns"
        return self.ledger.gaussian(self._counts(clique), min(rho, self.ledger.left), what)

    def _counts(self, clique: Clique) -> NDArray[np.float64]:
        """Exact counts, (cells,), of tokens before they are grouped and of groups after it."""
        sizes = self.sizes if self.grouped else self.layout.cardinalities
        cell = np.zeros(len(self.tokens), dtype=np.int64)
        for d in clique:
            cell = cell * sizes[d] + self.tokens[:, d]
        return np.bincount(cell, minlength=math.prod(sizes[d] for d in clique)).astype(np.float64)

    def _found(self, clique: Clique, counts: NDArray[Any], spread: NDArray[Any]) -> None:
        """Keep counts (cells,) whose noise has the deviations `spread`."""
        if self.ledger.privacy is None:
            spread = np.sqrt(np.maximum(counts, 1.0))  # Pearson's chi-square, so that rare cells are fitted as well
        self.cliques.add(clique)
        self.found.append(self.mbi.LinearMeasurement(counts, clique, spread))

    def _domain(self) -> Any:
        return self.mbi.Domain(range(len(self.sizes)), self.sizes)

    def _estimate(self, iterations: int) -> None:
        """Go on from the former model to one that all measurements agree with."""
        mbi = self.mbi
        cliques = mbi.clique_utils.maximal_subset([told.clique for told in self.found])
        # The line search halves a step that is too long at once, but makes one that is too short longer by 1 %.
        steep = max(float(told.stddev.min()) ** -2 for told in self.found) / HASTE
        loss = mbi.MarginalLossFn(cliques, misfit, tuple(self.found), steep)
        self.model = mbi.estimation.MirrorDescent().estimate(
            self._domain(), loss, known_total=self.total, iters=iterations, warm_start=self.model
        )


def misfit(marginals: Any, measurements: tuple[Any, ...]) -> Any:
    """Half the squared errors of mbi's marginals over the variances of the measurements' noise: -log p up to a
    constant. Nothing of it but shapes is compiled, so that models of the same shape share their code."""
    errors = [
        (marginals.project(told.clique).datavector() - told.noisy_measurement) / told.stddev for told in measurements
    ]
    return sum(error @ error for error in errors) / 2


def library() -> tuple[Any, Any]:
    """`mbi` and the context in which it counts in float64; ConfigError says how to install it."""
    try:
        jax = importlib.import_module("jax")
        with jax.enable_x64(True), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a cache on disk that nothing has turned on
            return importlib.import_module("mbi"), jax.enable_x64(True)
    except ModuleNotFoundError as error:
        raise ConfigError(f"marginals need {error.name}, which is missing: pip install 'synth[privacy]'") from None


def gather(batches: Iterable[Batch], layout: TableLayout) -> NDArray[np.int32]:
    """(N, D) tokens of all batches."""
    parts = [batch["tokens"].cpu().numpy().astype(np.int32) for batch in batches]
    return np.concatenate([np.zeros((0, len(layout.columns)), dtype=np.int32), *parts])


def largest(cliques: Iterable[Clique], sizes: Sequence[int]) -> int:
    """Cells of the largest table when columns are eliminated greedily, that with the smallest table first."""
    near: dict[int, set[int]] = {}
    for clique in cliques:
        for d in clique:
            near.setdefault(d, {d}).update(clique)
    most = 1
    while near:
        cells, d = min((math.prod(sizes[c] for c in table), d) for d, table in near.items())
        most = max(most, cells)
        table = near.pop(d) - {d}
        for c in table:
            near[c] = (near[c] | table) - {d}
    return most


def in_order(condition: Condition, order: list[int]) -> Condition:
    """A condition on columns that are taken in another order."""
    spans = {place: condition.spans[d] for place, d in enumerate(order) if d in condition.spans}
    tokens = None if condition.tokens is None else np.ascontiguousarray(condition.tokens[:, order])
    return replace(condition, spans=spans, tokens=tokens, places=None)


def logs(shares: NDArray[Any]) -> Tensor:
    """float32 logarithms of shares."""
    return torch.from_numpy(np.log(np.maximum(np.asarray(shares, dtype=np.float64), LEAST))).float()
