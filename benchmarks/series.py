"""Windows of one series: the scores of a separate scorer, by its published protocol and by its strict one, and what is
kept of the series' nature beside what chance makes of real windows.

`python -m benchmarks.series --series stock.csv --bench series_scores.py --minutes 4`
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from numpy.typing import NDArray

from benchmarks.cells import settings
from synth import Synthesizer
from synth.console import stage
from synth.errors import InputError
from synth.nest import nest
from synth.sources import read_table
from synth.storage import replacing, write_json, write_text

EARLY = 0.8  # share of the series that the strict protocol learns
TAIL = 0.05  # share of the moves that a tail index is read from
RESAMPLED = 200

Floats = NDArray[np.float64]


def main(
    series: Annotated[Path, typer.Option(help="CSV of one series of numbers, a row for each step")],
    bench: Annotated[Path, typer.Option(help="The scorer")],
    out: Annotated[Path, typer.Option(help="Folder for windows, series.json and series.md")] = Path("build/series"),
    system: Annotated[str, typer.Option(help="family:key=value,...")] = "series_autoregressive",
    window: int = 24,
    minutes: Annotated[float, typer.Option(help="Bound on each training")] = 4.0,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    runs: Annotated[int, typer.Option(help="Of the scorer's networks")] = 5,
    seed: int = 0,
) -> None:
    """Learn all windows, and those of the first 80 %, draw as many, and score both."""
    table = read_table(series)
    values = np.stack([table.column(name).to_numpy().astype(np.float64) for name in table.column_names], 1)
    found: dict[str, Any] = {"system": system, "minutes": minutes}
    for name, rows in (("published", table.num_rows), ("strict", round(EARLY * table.num_rows))):
        start = time.monotonic()
        made = windows(table.slice(0, rows), system, window, minutes=minutes, threads=threads, seed=seed)
        spent = (time.monotonic() - start) / 60  # the scorer's own networks take longer than these
        place = out / f"{name}.npy"
        out.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary, temporary.open("wb") as file:
            np.save(file, made)
        scores = scored(series, bench, place, window, runs, seed)
        kept = {
            key: value for key, value in scores.items() if ("strict" in key or "floor" in key) == (name == "strict")
        }
        found[name] = {"minutes_to_fit_and_draw": round(spent, 2), **kept, **nature(values[:rows], made)}
        typer.echo(f"{name}: {found[name]}")
    write_json(out / "series.json", found)
    write_text(out / "series.md", markdown(found))
    typer.echo(markdown(found))


def windows(
    table: pa.Table, system: str, window: int, *, minutes: float, threads: int, seed: int
) -> NDArray[np.float64]:
    """(N, window, C) synthetic ones, as many as the table has."""
    family, config = settings(system)
    nested = nest(table, window=window, stride=1)
    model = Synthesizer(family, seed=seed, max_minutes=minutes, threads=threads, **config).fit(nested, rare_values=0)
    made = model.sample_table(nested.num_rows, seed=seed)
    columns = [made.column(name).to_numpy().astype(np.float64) for name in table.column_names]
    return np.stack(columns, 1).reshape(nested.num_rows, window, -1)


def scored(series: Path, bench: Path, made: Path, window: int, runs: int, seed: int) -> dict[str, Any]:
    """What the scorer prints."""
    files = ["--real", str(series), "--synthetic", str(made)]
    numbers = ["--window", str(window), "--runs", str(runs), "--seed", str(seed)]
    command = [sys.executable, str(bench), *files, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the user's own scorer
    if done.returncode:
        raise InputError(f"{bench}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return dict(json.loads(done.stdout))


def nature(values: Floats, made: Floats) -> dict[str, Any]:
    """Autocorrelation of absolute returns and tail index of the columns' mean, synthetic, real, and the 95 % interval
    of as many real windows drawn with replacement in blocks."""
    real = np.lib.stride_tricks.sliding_window_view(values, made.shape[1], axis=0).transpose(0, 2, 1)
    rng = np.random.default_rng(0)
    length = made.shape[1]
    blocks = -(-len(real) // length)
    drawn = []
    for _ in range(RESAMPLED):
        starts = rng.integers(0, max(len(real) - length, 1), blocks)
        drawn.append(_natures(real[(starts[:, None] + np.arange(length)).ravel()]))
    low, high = np.nanquantile(np.array(drawn), [0.025, 0.975], axis=0)
    names = ("absolute_autocorrelation", "tail_index")
    pairs = zip(names, _natures(made), _natures(real), low, high, strict=True)
    return {name: [round(float(one), 4) for one in each] for name, *each in pairs}


def _natures(windows: Floats) -> tuple[float, float]:
    moves = np.diff(np.log(np.maximum(windows, 1e-12)), axis=1)
    sizes = np.abs(moves)
    centred = sizes - sizes.mean((0, 1))
    memory = (centred[:, 1:] * centred[:, :-1]).mean((0, 1)) / (centred**2).mean((0, 1))
    flat = np.sort(sizes.reshape(-1, sizes.shape[2]), axis=0)[::-1]
    count = int(TAIL * len(flat))
    tails = 1 / np.log(np.maximum(flat[:count], 1e-12) / np.maximum(flat[count], 1e-12)).mean(0)
    return float(memory.mean()), float(tails.mean())


def markdown(found: dict[str, Any]) -> str:
    """A table of the figures."""
    lines = ["| protocol | figure | value |", "|---|---|--:|"]
    for protocol in ("published", "strict"):
        lines += [f"| {protocol} | {name} | {value} |" for name, value in found[protocol].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    stage(main)
