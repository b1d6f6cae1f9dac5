"""Scale: fit on and sample many rows, each in a process of its own, and print what it took.

`python -m benchmarks.scale` makes 10,000,000 rows of 20 columns. Sampling is done for a tenth of the rows, too: memory
that is flat is the same for both.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.processes import Spent, spend
from synth.console import stage
from synth.storage import write_json, write_text

log = logging.getLogger(__name__)


def main(
    rows: Annotated[int, typer.Option(min=1000, help="To learn from and to draw")] = 10_000_000,
    model: Annotated[str, typer.Option(help="Family")] = "autoregressive",
    max_minutes: Annotated[float, typer.Option(help="Budget of the fit")] = 20.0,
    options: Annotated[
        list[str] | None, typer.Option("--option", help="More for `synth fit`: --option=--threads=2")
    ] = None,
    work: Annotated[Path, typer.Option(help="The table, the model, the rows and the figures")] = Path("build/scale"),
    seed: int = 0,
) -> None:
    """Make a table, fit MODEL on it, sample as many rows and a tenth of them; print the costs of each."""
    source, fitted = work / f"crowd-{rows}-{seed}.parquet", work / f"model-{rows}"
    made, few = work / "synthetic", max(rows // 10, 1)
    if not source.is_file():
        _spend("make", ["-m", "benchmarks.crowd", str(rows), str(source), "--seed", str(seed)], work)
    synth = ["-m", "synth.cli"]
    given = ["--model", model, "--target", "churned", "--seed", str(seed), "--max-minutes", str(max_minutes)]
    fit = _spend("fit", [*synth, "fit", str(source), "--out", str(fitted), *given, *(options or [])], work)
    drawn = {
        count: _spend("sample", [*synth, "sample", str(fitted), "--rows", str(count), "--out", str(made)], work)
        for count in (few, rows)
    }
    log.info("%s", fit.output.strip())
    text = markdown(model, rows, fit, drawn)
    write_text(work / "scale.md", text)
    costs = {"fit": fit, **{f"sample {count}": spent for count, spent in drawn.items()}}
    write_json(work / "scale.json", {step: _figures(spent) for step, spent in costs.items()})
    typer.echo(text)


def _spend(step: str, arguments: list[str], work: Path) -> Spent:
    log.info("%s ...", step)
    return spend([sys.executable, *arguments], work / "logs" / f"{step}.log")


def _figures(spent: Spent) -> dict[str, float]:
    return {"seconds": spent.seconds, "cpu_seconds": spent.cpu_seconds, "memory_mb": spent.memory_mb}


def markdown(model: str, rows: int, fit: Spent, drawn: Mapping[int, Spent]) -> str:
    """A line for the fit and for each sample."""
    lines = ["| step | rows | seconds | CPU-seconds | peak memory, MB | rows/s |", "| --- |" + " --: |" * 5]
    for step, count, spent in [(f"fit {model}", rows, fit), *(("sample to Parquet", *pair) for pair in drawn.items())]:
        figures = (f"{spent.seconds:,.0f}", f"{spent.cpu_seconds:,.0f}", f"{spent.memory_mb:,.0f}")
        lines.append(f"| {step} | {count:,} | {' | '.join(figures)} | {count / spent.seconds:,.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    stage(main)
