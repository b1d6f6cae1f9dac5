"""The results as one table: means over the seeds for a reader, every figure for a program, and what they say."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.cells import FLOOR
from benchmarks.peers import PEERS

Result = Mapping[str, Any]
YARDSTICK = "TabularARGN"  # the strongest peer: costs are compared with its own


@dataclass(frozen=True)
class Figure:
    """A column of the table.

    best: `low`, `high`, the value that real rows would have, or `none`. quality: systems are ranked by it.
    """

    key: str
    title: str
    best: Literal["low", "high", "none"] | float
    digits: int
    quality: bool = True

    def gap(self, value: float) -> float:
        """How far from the best: smaller is better."""
        if isinstance(self.best, float):
            return abs(value - self.best)
        return value if self.best == "low" else -value

    def text(self, value: float | None) -> str:
        """As it stands in the table."""
        return "–" if value is None else f"{value:,.{self.digits}f}"

    @property
    def head(self) -> str:
        """Title with the direction that is better."""
        sign = {"low": " ↓", "high": " ↑", "none": ""}.get(str(self.best), f" → {self.best}")
        return f"{self.title}{sign}"


FIGURES = (
    Figure("shape_error", "shape error", "low", 4),
    Figure("trend_error", "trend error", "low", 4),
    Figure("c2st_auc", "two-sample AUC", 0.5, 3),
    Figure("tstr", "TSTR", "high", 4),
    Figure("trtr", "TRTR", "none", 4, quality=False),
    Figure("lift", "lift", "high", 4, quality=False),
    Figure("precision", "precision", "high", 3),
    Figure("recall", "recall", "high", 3),
    Figure("coverage", "coverage", "high", 3),
    Figure("density", "density", 1.0, 3),
    Figure("dcr_share", "DCR share", 0.5, 3, quality=False),
    Figure("copies", "copies", "none", 4, quality=False),
    Figure("copies_floor", "copies, real", "none", 4, quality=False),
    Figure("fit_cpu_s", "fit CPU-s", "low", 1, quality=False),
    Figure("cpu_s", "all CPU-s", "low", 1, quality=False),
    Figure("memory_mb", "memory MB", "low", 0, quality=False),
    Figure("rows_per_s", "rows/s", "high", 0, quality=False),
)
BY_KEY = {figure.key: figure for figure in FIGURES}


@dataclass(frozen=True)
class Row:
    """A system on a dataset: the figures of each seed that was done, and the errors of those that failed."""

    dataset: str
    system: str
    seeds: Mapping[int, Mapping[str, float]]
    errors: Mapping[int, str]

    def values(self, key: str) -> list[float]:
        """The figure for each seed that has it."""
        return [figures[key] for figures in self.seeds.values() if key in figures]

    def mean(self, key: str) -> float | None:
        """Mean over the seeds; None where no seed has the figure."""
        values = self.values(key)
        return sum(values) / len(values) if values else None


def rows_of(results: Iterable[Result]) -> list[Row]:
    """Results by dataset and system, in the order in which they first come."""
    seeds: dict[tuple[str, str], dict[int, dict[str, float]]] = defaultdict(dict)
    errors: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    order: dict[tuple[str, str], None] = {}
    for result in results:
        key = (result["dataset"], result["system"])
        order[key] = None
        if result["status"] == "done":
            figures = {**result["scores"], **result["costs"]}
            seeds[key][result["seed"]] = {name: figures[name] for name in BY_KEY if figures.get(name) is not None}
        else:
            errors[key][result["seed"]] = result["error"]
    return sorted(
        (Row(*key, seeds=seeds[key], errors=errors[key]) for key in order),
        key=lambda row: list(dict.fromkeys(dataset for dataset, _ in order)).index(row.dataset),
    )


def markdown(results: Sequence[Result]) -> str:
    """One table of the means, the spread over the seeds in brackets, then the failures, the sentences and versions."""
    rows = rows_of(results)
    head = ["dataset", "system", "seeds", *(figure.head for figure in FIGURES)]
    lines = [_line(head), _line(["---"] * 3 + ["--:"] * len(FIGURES))]
    lines += [
        _line([row.dataset, row.system, _seeds(row), *(_cell(row, figure) for figure in FIGURES)]) for row in rows
    ]
    failures = [
        f"- {row.dataset}, {row.system}, seed {seed}: failed ({error})"
        for row in rows
        for seed, error in row.errors.items()
    ]
    said = [f"- {sentence}" for sentence in sentences(rows)]
    versions = [f"- {system}: {text}" for system, text in versions_of(results).items()]
    parts = [("", lines), ("Failed", failures), ("What it says", said), ("Versions", versions)]
    return (
        "\n\n".join("\n".join([*([f"{title}:", ""] if title else []), *part]) for title, part in parts if part) + "\n"
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _seeds(row: Row) -> str:
    return ", ".join(map(str, row.seeds)) or "none"


def _cell(row: Row, figure: Figure) -> str:
    values, mean = row.values(figure.key), row.mean(figure.key)
    if len(values) < 2 or mean is None:
        return figure.text(mean)
    return f"{figure.text(mean)} ({figure.text(min(values))}–{figure.text(max(values))})"


def table_csv(results: Sequence[Result]) -> str:
    """A line for each dataset, system and seed, and one for the mean over the seeds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["dataset", "system", "seed", "error", *BY_KEY])
    for row in rows_of(results):
        for seed, figures in row.seeds.items():
            writer.writerow([row.dataset, row.system, seed, "", *(figures.get(key) for key in BY_KEY)])
        for seed, error in row.errors.items():
            writer.writerow([row.dataset, row.system, seed, error, *([None] * len(BY_KEY))])
        writer.writerow([row.dataset, row.system, "mean", "", *(row.mean(key) for key in BY_KEY)])
    return out.getvalue()


def versions_of(results: Iterable[Result]) -> dict[str, str]:
    """What each system ran with; two versions of one package, from cells of different days, stand side by side."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for result in results:
        for name, version in result["versions"].items():
            found[result["system"]][name].add(version)
    return {
        system: ", ".join(f"{name} {' and '.join(sorted(versions))}" for name, versions in packages.items())
        for system, packages in found.items()
    }


def sentences(rows: Sequence[Row]) -> list[str]:
    """Where each family stands to the floor, to the peers and to the strongest peer's cost."""
    said = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        there = {row.system: row for row in rows if row.dataset == dataset and row.seeds}
        peers = [row for name, row in there.items() if name in PEERS]
        for name, row in there.items():
            if name not in PEERS and name != FLOOR and (peers or FLOOR in there):
                said.append(f"{name} on {dataset}: {_standing(row, peers, there.get(FLOOR))}.")
    return said


def _standing(row: Row, peers: Sequence[Row], floor: Row | None) -> str:
    parts = []
    if floor is not None:
        met = [f.title for f in FIGURES[:2] if _gap(row, f) <= _gap(floor, f)]
        missed = [f"{f.title} ({f.text(row.mean(f.key))} against {f.text(floor.mean(f.key))})" for f in FIGURES[:2]
                  if _gap(row, f) > _gap(floor, f)]  # fmt: skip
        parts += [f"at or below the real-rows floor in {' and '.join(met)}"] if met else []
        parts += [f"above the floor in {' and '.join(missed)}"] if missed else []
    if peers:
        ahead, behind = [], []
        for figure in (figure for figure in FIGURES if figure.quality):
            best = min(peers, key=lambda peer: _gap(peer, figure))
            if _gap(row, figure) <= _gap(best, figure):
                ahead.append(figure.title)
            else:
                behind.append(f"{best.system} in {figure.title} ({figure.text(best.mean(figure.key))})")
        parts += [f"ahead of every peer in {', '.join(ahead)}"] if ahead else []
        parts += [f"behind {', '.join(behind)}"] if behind else []
    yardstick = next((peer for peer in peers if peer.system == YARDSTICK), None)
    ours, theirs = row.mean("fit_cpu_s"), yardstick.mean("fit_cpu_s") if yardstick else None
    if ours is not None and theirs:
        parts.append(f"its fit takes {ours / theirs:.2f} of {YARDSTICK}'s CPU-seconds")
    return "; ".join(parts)


def _gap(row: Row, figure: Figure) -> float:
    mean = row.mean(figure.key)
    return float("inf") if mean is None else figure.gap(mean)
