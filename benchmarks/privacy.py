"""Utility against epsilon: the engines of differential privacy on one table, scored from outside.

`python -m benchmarks.privacy` fits every engine at every epsilon and without a promise, one after the other. A finished
cell is kept, so an interrupted benchmark goes on where it stopped; fits under a promise are not the same twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer

from benchmarks.cells import Bench, Cell, Dataset, results
from benchmarks.picture import LINES, Curve, curves, page
from synth.console import stage
from synth.storage import write_json, write_text

FIGURES = {
    "tstr": "train on synthetic, test on real: ROC AUC, higher is better",
    "trend_error": "mean two-way error, lower is better",
}
NONE = "none"


def main(
    data: Annotated[str, typer.Option(help="name=path.csv:target")] = "adult=../shared/data/adult.csv:income",
    domains: Annotated[Path, typer.Option(help="YAML file of what the columns may hold")] = Path(
        "benchmarks/domains/adult.yaml"
    ),
    engines: Annotated[list[str], typer.Option("--engine", help="A family")] = ["marginals", "autoregressive"],  # noqa: B006
    epsilons: Annotated[list[float], typer.Option("--epsilon", help="A promise")] = [0.1, 1.0, 10.0],  # noqa: B006
    delta: Annotated[float, typer.Option(help="Of every promise")] = 1e-6,
    seeds: Annotated[list[int], typer.Option("--seed", help="A repetition")] = [0],  # noqa: B006
    bench: Annotated[Path, typer.Option(help="Folder of the independent scorer")] = Path("../shared/bench"),
    work: Annotated[Path, typer.Option(help="Splits, rows and cells")] = Path("build/benchmarks"),
    out: Annotated[Path, typer.Option(help="Folder for privacy.json, privacy.md and privacy.svg")] = Path(
        "build/privacy"
    ),
) -> None:
    """Run every cell that is not there yet; write the table and the plot."""
    place = Bench(bench.resolve(), work.resolve())
    place.script("evaluate.py")
    dataset = Dataset.parse(data)
    promises = [*(f"{epsilon:g}" for epsilon in sorted(epsilons)), NONE]
    systems = {system(engine, promise, delta, domains): (engine, promise) for engine in engines for promise in promises}
    cells = [Cell(place, dataset, name, seed) for name in systems for seed in seeds]
    done = results(cells, False, lambda _: None)
    rows = [
        {**result, "engine": systems[result["system"]][0], "epsilon": systems[result["system"]][1]} for result in done
    ]
    write_json(out / "privacy.json", rows)
    write_text(out / "privacy.md", markdown(rows))
    write_text(out / "privacy.svg", picture(rows, dataset.name, promises))
    typer.echo(markdown(rows))


def system(engine: str, promise: str, delta: float, domains: Path) -> str:
    """The name of a cell: a family and what its fit is asked for."""
    asked = "" if promise == NONE else f"epsilon={promise},delta={delta:g},"
    return f"{engine}:{asked}domains={domains}"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row for each engine, epsilon and seed."""
    lines = [
        "| engine | epsilon | seed | TSTR ↑ | TRTR | two-way error ↓ | shape error ↓ | c2st AUC | fit CPU-s | fit s |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        if row["status"] != "done":
            lines.append(f"| {row['engine']} | {row['epsilon']} | {row['seed']} | failed: {row['error']} |")
            continue
        scores, costs = row["scores"], row["costs"]
        figures = [f"{scores[name]:.4f}" for name in ("tstr", "trtr", "trend_error", "shape_error", "c2st_auc")]
        spent = [f"{costs['fit_cpu_s']:.0f}", f"{costs['fit_s']:.0f}"]
        lines.append("| " + " | ".join([row["engine"], row["epsilon"], str(row["seed"]), *figures, *spent]) + " |")
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[Mapping[str, Any]], name: str, promises: Sequence[str]) -> str:
    """A chart for each figure: a line for each engine against epsilon, from its least to its greatest seed."""
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    known = [row for row in rows if row["status"] == "done"]
    charts = []
    for figure, words in FIGURES.items():
        points = {
            engine: [
                [r["scores"][figure] for r in known if (r["engine"], r["epsilon"]) == (engine, at)] for at in promises
            ]
            for engine in engines
        }
        lines = [
            Curve(engine, LINES[number % len(LINES)], [(mean(v), min(v), max(v)) for v in values])
            for number, (engine, values) in enumerate(points.items())
            if all(values)
        ]
        if figure == "tstr" and known:
            real = mean(row["scores"]["trtr"] for row in known)
            lines.append(Curve("real rows", LINES[5], [(real, real, real)] * len(promises)))
        charts.append(curves(f"{name}: {words}", "epsilon", promises, lines, zero=False))
    return page(charts, 860)


if __name__ == "__main__":
    stage(main)
