"""Attacks: what they cost on many rows, and whether they agree with the library that published the method.

`python -m benchmarks.attacks --rows 1000000` attacks a generator that hands out its training rows, and one that never
saw them. `python -m benchmarks.attacks --reference adult.csv` measures both with `anonymeter`, too.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import agreement
from benchmarks.processes import Spent, spend
from benchmarks.victims import GENERATORS
from synth.console import stage
from synth.errors import InputError
from synth.storage import write_json, write_text

log = logging.getLogger(__name__)

TARGET = "churned"  # of the made-up table


def main(
    reference: Annotated[Path | None, typer.Option(help="CSV of real rows: compare with anonymeter on it")] = None,
    attempts: Annotated[int, typer.Option(min=100, help="Attacks of each kind beside the reference")] = 1_000,
    rows: Annotated[int, typer.Option(min=1000, help="Training rows, and as many synthetic ones")] = 1_000_000,
    columns: Annotated[int, typer.Option(min=2, max=20, help="Of the made-up table")] = 20,
    generator: Annotated[list[str] | None, typer.Option(help="leaky or honest; both without it")] = None,
    work: Annotated[Path, typer.Option(help="Tables, environments, logs and figures")] = Path("build/attacks"),
    seed: int = 0,
) -> None:
    """Attack a leaky and an honest generator: on ROWS made-up rows, or beside the reference on a CSV."""
    if reference is not None:
        typer.echo(agreement.compare(reference, attempts, work, seed))
        return
    chosen = tuple(generator or GENERATORS)
    if unknown := set(chosen) - set(GENERATORS):
        raise InputError(f"--generator {sorted(unknown)[0]}: expected one of {', '.join(GENERATORS)}")
    folder = work / f"crowd-{rows}-{seed}"
    if not (folder / "leaky.parquet").is_file():
        log.info("make %s ...", folder)
        made = ["-m", "benchmarks.victims", str(rows), str(folder), "--seed", str(seed)]
        spend([sys.executable, *made], work / "logs" / "make.log")
    costs = {name: _attacked(folder, name, columns, seed, work) for name in chosen}
    text = markdown(rows, costs)
    write_text(work / "scale.md", text)
    write_json(
        work / "scale.json",
        {
            name: {**cost.answer(), "wall_seconds": cost.seconds, "memory_mb": cost.memory_mb}
            for name, cost in costs.items()
        },
    )
    typer.echo(text)


def _attacked(folder: Path, name: str, columns: int, seed: int, work: Path) -> Spent:
    log.info("attack %s ...", name)
    files = [str(folder / f"{role}.parquet") for role in ("train", "control", name)]
    command = [sys.executable, "-m", "benchmarks.attacked", *files, TARGET, str(columns), "--seed", str(seed)]
    return spend(command, work / "logs" / f"{name}.log")


def markdown(rows: int, costs: Mapping[str, Spent]) -> str:
    """A column for each generator, a line for each figure and for what the attacks took."""
    answers = {name: cost.answer() for name, cost in costs.items()}
    first = next(iter(answers.values()))
    lines = [f"| {rows:,} x {first['columns']} | {' | '.join(answers)} |", "| --- |" + " --: |" * len(answers)]
    lines += [
        f"| {figure} | {' | '.join(shown(a['figures'][figure]) for a in answers.values())} |"
        for figure in first["figures"]
    ]
    lines.append(f"| minutes | {' | '.join(f'{cost.seconds / 60:.1f}' for cost in costs.values())} |")
    lines.append(f"| peak memory, MB | {' | '.join(f'{cost.memory_mb:,.0f}' for cost in costs.values())} |")
    return "\n".join(lines) + "\n"


def shown(rate: Any) -> str:
    """A figure with its interval; a dash where there is none."""
    return "–" if rate is None else "{:.4f} ({:.4f} to {:.4f})".format(*rate)


if __name__ == "__main__":
    stage(main)
