"""Peers and every family side by side: fitted, sampled and scored one after the other, as one table and one picture.

`python -m benchmarks.tables` needs the folder of the independent scorer (`--bench`) and CSV files (`--data`). A
finished cell (dataset, system, seed) is kept, so an interrupted benchmark goes on where it stopped.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.board import BY_KEY, Row, markdown, rows_of, table_csv
from benchmarks.cells import FLOOR, Bench, Cell, Dataset, results
from benchmarks.peers import PEERS
from benchmarks.picture import OURS, REAL, THEIRS, Panel, dots, page, panel_width
from benchmarks.processes import spend
from synth.console import stage
from synth.errors import InputError
from synth.storage import write_json, write_text

DATA = ("adult=../shared/data/adult.csv:income", "magic=../shared/data/magic.csv:class")
SHOWN = ("shape_error", "trend_error", "c2st_auc", "tstr", "coverage", "fit_cpu_s", "memory_mb", "rows_per_s")
LOGARITHMIC = ("fit_cpu_s", "rows_per_s")


def main(
    data: Annotated[list[str], typer.Option(help="name=path.csv:target, with :regression for a number")] = list(DATA),  # noqa: B006
    seeds: Annotated[list[int], typer.Option("--seed", help="A repetition")] = [0, 1],  # noqa: B006
    systems: Annotated[
        list[str] | None, typer.Option("--system", help="Only this peer, family[:key=value,...] or 'real rows'")
    ] = None,
    again: Annotated[bool, typer.Option(help="Run the selected cells anew")] = False,
    bench: Annotated[Path, typer.Option(help="Folder of the independent scorer")] = Path("../shared/bench"),
    work: Annotated[Path, typer.Option(help="Environments, splits, rows and cells")] = Path("build/benchmarks"),
    out: Annotated[
        Path | None, typer.Option(help="Where tables.md, .csv, .json and .svg go; --work if not given")
    ] = None,
) -> None:
    """Run every selected cell that is not there yet; write the table and the picture of all selected ones."""
    place = Bench(bench.resolve(), work.resolve())
    place.script("evaluate.py")
    datasets = [Dataset.parse(text) for text in data]
    chosen = select(systems, families(work / "logs"))
    cells = [Cell(place, dataset, system, seed) for dataset in datasets for seed in seeds for system in chosen]
    folder = out or work
    done = results(cells, again, lambda so_far: write(folder, so_far))
    write(folder, done)
    typer.echo(markdown(done))
    typer.echo(f"{folder / 'tables.md'}: written, with tables.csv, tables.json and tables.svg")


def families(logs: Path) -> list[str]:
    """The families for tables that `synth models` lists."""
    listed = spend([sys.executable, "-m", "synth.cli", "models"], logs / "models.log").output
    found = re.findall(r"^(\w+) \(([^)]*)\)", listed, re.MULTILINE)
    return [name for name, modalities in found if "table" in modalities.split(", ")]


def select(asked: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """The systems to run: the asked ones, or the floor, every family and every peer, the cheap ones first."""
    everything = [FLOOR, *known, *PEERS]
    for name in asked or ():
        if name not in everything and name.partition(":")[0] not in known:
            raise InputError(f"--system {name!r} is unknown; there are: {', '.join(everything)}")
    return list(dict.fromkeys(asked or everything))


def write(folder: Path, done: Sequence[dict[str, Any]]) -> None:
    """Write the table as Markdown, CSV and JSON, and the picture."""
    write_text(folder / "tables.md", markdown(done))
    write_text(folder / "tables.csv", table_csv(done))
    write_json(folder / "tables.json", list(done))
    write_text(folder / "tables.svg", picture(rows_of(done)))


def picture(rows: Sequence[Row]) -> str:
    """A row of panels for each dataset; a dot is a seed, the dashed line is what real rows have."""
    parts, longest = [], [row.system for row in rows]
    for dataset in dict.fromkeys(row.dataset for row in rows):
        there = [row for row in rows if row.dataset == dataset]
        floor = next((row for row in there if row.system == FLOOR), None)
        shown = [row for row in there if row.system != FLOOR]
        panels = [
            Panel(
                BY_KEY[key].head, [row.values(key) for row in shown], _mark(key, there, floor), log=key in LOGARITHMIC
            )
            for key in SHOWN
        ]
        colours = [THEIRS if row.system in PEERS else OURS for row in shown]
        parts.append(dots(dataset, [row.system for row in shown], colours, panels))
    note = "A dot is a seed. Blue: this project. Orange: peers at their defaults. Dashed: real rows."
    parts.append(([f'<text y="12" font-size="12" fill="{REAL}">{note}</text>'], 20.0))
    return page(parts, panel_width(len(SHOWN), longest))


def _mark(key: str, rows: Sequence[Row], floor: Row | None) -> float | None:
    """What real rows have: the floor's figure; for TSTR, a model that learnt from all real training rows."""
    if key == "tstr":
        return next((row.mean("trtr") for row in rows if row is not floor and row.seeds), None)
    return floor.mean(key) if floor else None


if __name__ == "__main__":
    stage(main)
