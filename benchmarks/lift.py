"""Lift against the number of real rows: what synthetic rows are worth to someone who has 50, 100, 200 or 500.

Two generators: one that learnt from the n rows alone, which is all that such a team has, and one that learnt from all
training rows, which is what the report shows. The scores are of real rows that neither saw.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from benchmarks.cells import settings
from benchmarks.picture import LINES, Curve, curves, page
from synth.console import stage
from synth.errors import InputError
from synth.evaluation.gains import TITLES, WORDS
from synth.evaluation.lift import PRECISION, lift
from synth.evaluation.tables import Tables
from synth.frames import to_pandas
from synth.sources import read_table
from synth.splits import split
from synth.storage import write_json, write_text

log = logging.getLogger(__name__)
VARIANTS = {"same": "generator fitted on the n rows only", "all": "generator fitted on all training rows"}
Result = Mapping[str, Any]


def main(
    data: Annotated[str, typer.Argument(help="CSV or Parquet")],
    target: Annotated[str, typer.Option(help="Column to predict")],
    out: Annotated[Path, typer.Option(help="Folder for lift.json, lift.md and lift.svg")] = Path("build/lift"),
    test: Annotated[str | None, typer.Option(help="File of unseen rows; a fifth of DATA if not given")] = None,
    rows: Annotated[list[int], typer.Option(help="A number of real rows")] = [50, 100, 200, 500],  # noqa: B006
    seeds: Annotated[int, typer.Option(help="Repetitions of each number")] = 10,
    model: Annotated[str, typer.Option(help="family or family:key=value,...")] = "autoregressive",
    synthetic: Annotated[int, typer.Option(help="Synthetic rows that join")] = 2000,
    precision: Annotated[float, typer.Option(help="At which the rarer class's recall is read")] = PRECISION,
    name: Annotated[str | None, typer.Option(help="Of the data, in titles")] = None,
    same: Annotated[bool, typer.Option(help="Fit on the n rows alone, too, anew for each draw")] = True,
    seed: int = 0,
) -> None:
    """Measure the lift of MODEL on DATA for one or both generators; print a table and what it says."""
    from synth import Synthesizer

    train, unseen = parts(data, test, target, seed)
    family, config = settings(model)

    def fitted(frame: pd.DataFrame, state: int) -> Synthesizer:
        synthesizer = Synthesizer(family, seed=state, device="cpu", **config)
        return synthesizer.fit(frame.reset_index(drop=True), target=target)

    def generate(frame: pd.DataFrame, state: int) -> pd.DataFrame:
        return fitted(frame, state).sample(synthetic)

    log.info("fitting %s on %d rows", model, len(train))
    whole = fitted(train, seed)
    tables = Tables(train, unseen, unseen, whole.sample(synthetic), whole.schema_)
    asked: dict[str, Any] = {"rows": rows, "seeds": seeds, "seed": seed, "precision": precision}
    found = {"same": lift(tables, **asked, generate=generate)} if same else {}
    found["all"] = lift(tables, **asked)
    for result in found.values():
        if "undefined" in result:
            raise InputError(f"{data}: {result['conclusion']}")
    title = f"{name or Path(data).stem}, {model}"
    text = markdown(found, title)
    write_json(out / "lift.json", found)
    write_text(out / "lift.md", text)
    write_text(out / "lift.svg", picture(found, title))
    typer.echo(text)


def parts(data: str, test: str | None, target: str | None, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and unseen rows: two files, or one of which a fifth is kept, the classes in their shares."""
    table = read_table(data)
    if test is not None:
        return to_pandas(table), to_pandas(read_table(test).select(table.column_names))
    train, _, unseen = split(table, target=target, holdout=0.2, test=0.2, seed=seed)
    return to_pandas(train), to_pandas(unseen)


def markdown(found: Mapping[str, Result], title: str) -> str:
    """A table for each generator and metric, and the words of the lift."""
    out = []
    for variant, result in found.items():
        out.append(f"### {title}: {VARIANTS[variant]}\n")
        for metric in result["metrics"]:
            out.append(f"Change of {named(result, metric)} over real rows alone:\n")
            out.append("\n".join(table(result, metric)) + "\n")
        out.append(result["conclusion"] + "\n")
    return "\n".join(out)


def named(result: Result, metric: str) -> str:
    """The metric in words, with the class and the precision that it is of."""
    if metric != "recall_at_precision":
        return WORDS[metric]
    return f"the recall of {result['minority']!r} at a precision of {result['precision']:.0%}"


def table(result: Result, metric: str) -> list[str]:
    """Lines of a Markdown table: a row for each strategy, a column for each number of real rows."""
    figures = [result["figures"][str(count)][metric] for count in result["rows"]]
    bare = [result["scores"][str(count)][metric] for count in result["rows"]]
    lines = [
        "| | " + " | ".join(f"n = {count:,}" for count in result["rows"]) + " |",
        "| --- |" + " --: |" * len(figures),
    ]
    alone = [f"{sum(scores.values()) / len(scores):.3f}" for scores in bare]
    lines.append("| real rows alone | " + " | ".join(alone) + " |")
    for strategy in figures[0]:
        cells = [
            f"{entry[strategy]['value']:+.3f} ({entry[strategy]['low']:+.3f} to {entry[strategy]['high']:+.3f})"
            for entry in figures
        ]
        lines.append(f"| {TITLES[strategy]} | " + " | ".join(cells) + " |")
    return lines


def picture(found: Mapping[str, Result], title: str) -> str:
    """A chart for each generator and metric: gains with their intervals against the number of real rows."""
    charts = []
    for variant, result in found.items():
        for metric in result["metrics"]:
            figures = [result["figures"][str(count)][metric] for count in result["rows"]]
            lines = [
                Curve(
                    TITLES[strategy],
                    LINES[list(TITLES).index(strategy) % len(LINES)],
                    [(entry[strategy]["value"], entry[strategy]["low"], entry[strategy]["high"]) for entry in figures],
                )
                for strategy in figures[0]
            ]
            places = [f"{count:,}" for count in result["rows"]]
            axis = f"change of {named(result, metric)} against the number of real rows, 95 % intervals"
            charts.append(curves(f"{title}: {VARIANTS[variant]}", axis, places, lines))
    return page(charts, 860)


if __name__ == "__main__":
    stage(main)
