"""Forecasts of several series by the continuous ranked probability score and the quantile loss, beside seasonal naive
and autoregression.

`python -m benchmarks.forecasts --data weather.csv --entity origin --time time_hour --season 24 --minutes 8`
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from benchmarks.cells import settings
from synth import Synthesizer
from synth.console import stage
from synth.frames import from_pandas
from synth.nest import nest
from synth.series_tools import forecast
from synth.storage import write_json, write_text

LATE = 0.2  # share of the times that are forecast, the last ones
LAGS = 2  # seasons that the autoregression looks back
RIDGE = 1.0
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Floats = NDArray[np.float64]


def main(
    data: Annotated[Path, typer.Option(help="CSV of series, a row for each step")],
    entity: Annotated[str, typer.Option(help="Column that names a series")],
    time: Annotated[str, typer.Option(help="Column of times")],
    season: Annotated[int, typer.Option(help="Steps of a season")],
    columns: Annotated[
        list[str] | None, typer.Option(help="Numbers that are learnt and forecast; all by default")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for forecasts.json and forecasts.md")] = Path("build/forecasts"),
    system: Annotated[str, typer.Option(help="family:key=value,...")] = "series_autoregressive",
    minutes: Annotated[float, typer.Option(help="Bound on the training")] = 8.0,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    paths: int = 100,
    seed: int = 0,
) -> None:
    """Learn the first 80 % of the times in windows of four seasons, forecast a season from each of the later ones."""
    frame = pd.read_csv(data).drop_duplicates([entity, time])
    names = columns or [str(n) for n in frame.select_dtypes("number") if n not in (entity, time)]
    frame = frame[[entity, time, *names]].assign(**{time: pd.to_datetime(frame[time])})
    cut = frame[time].quantile(1 - LATE)
    train, late = frame[frame[time] <= cut], frame[frame[time] > cut]
    family, config = settings(system)
    nested = nest(from_pandas(train), entity=[entity], time=time, window=4 * season, stride=max(season // 4, 1))
    model = Synthesizer(family, seed=seed, max_minutes=minutes, threads=threads, **config)
    start = clock.monotonic()
    model.fit(nested)
    fit = round((clock.monotonic() - start) / 60, 2)
    history, truth = origins(late, entity, time, names, season)
    start = clock.monotonic()
    made = forecast(model, from_pandas(history), season, paths=paths, seed=seed).to_pandas()
    made = made.sort_values("series", kind="stable")
    spent = round((clock.monotonic() - start) / 60, 2)
    past = {name: history[name].to_numpy().reshape(len(truth), -1) for name in names}
    known = {name: _whole(train, entity, name) for name in names}
    table: dict[str, Any] = {}
    for i, name in enumerate(names):
        ours = made[name].to_numpy(float).reshape(len(truth), paths, season).transpose(1, 0, 2)
        ours = np.where(np.isnan(ours), np.nanmedian(ours, axis=0), ours)  # a null says nothing of the value
        told = {
            family: ours,
            "seasonal naive": naive(known[name], past[name], season, paths, seed),
            "autoregression": autoregression(known[name], past[name], season, paths, seed),
        }
        table[name] = {key: round(crps(value, truth[..., i]), 4) for key, value in told.items()}
        table[name]["quantile_loss"] = {k: round(quantile_loss(value, truth[..., i]), 4) for k, value in told.items()}
        table[name]["covered_90"] = round(covered(ours, truth[..., i]), 3)
        typer.echo(f"{name}: {table[name]}")
    found = {"system": system, "fit_minutes": fit, "forecast_minutes": spent, "origins": len(truth), "scores": table}
    write_json(out / "forecasts.json", found)
    write_text(out / "forecasts.md", markdown(found, family))
    typer.echo(markdown(found, family))


def origins(
    late: pd.DataFrame, entity: str, time: str, names: Sequence[str], season: int
) -> tuple[pd.DataFrame, Floats]:
    """Histories of three seasons, each a series of its own name, and the season after each, (N, season, C): of runs
    without a gap."""
    histories: list[pd.DataFrame] = []
    truths: list[Floats] = []
    for who, part in late.groupby(entity, sort=True):
        part = part.sort_values(time).reset_index(drop=True)
        usual = part[time].diff().mode()[0]
        for first in range(0, len(part) - 4 * season + 1, season):
            run = part.iloc[first : first + 4 * season]
            if run[time].iloc[-1] - run[time].iloc[0] != usual * (4 * season - 1):
                continue
            histories.append(run.iloc[: 3 * season].assign(**{"series": len(histories), entity: who}))
            truths.append(run.iloc[3 * season :][list(names)].to_numpy(float))
    return pd.concat(histories, ignore_index=True), np.stack(truths)


def _whole(train: pd.DataFrame, entity: str, name: str) -> list[Floats]:
    """Of each series its values, gaps filled straight."""
    return [part[name].interpolate(limit_direction="both").to_numpy(float) for _, part in train.groupby(entity)]


def _filled(past: Floats) -> Floats:
    return pd.DataFrame(past.T).interpolate(limit_direction="both").to_numpy().T


def naive(known: list[Floats], past: Floats, season: int, paths: int, seed: int) -> Floats:
    """(P, N, H): the season before, and how far that was off in the training series at the same distance."""
    errors = [part[2 * season :] - part[season:-season] for part in known]
    runs = np.concatenate([np.lib.stride_tricks.sliding_window_view(part, season)[::season] for part in errors])
    rng = np.random.default_rng(seed)
    last = _filled(past)[:, -season:]
    return np.asarray(last + runs[rng.integers(len(runs), size=(paths, len(past)))])


def autoregression(known: list[Floats], past: Floats, season: int, paths: int, seed: int) -> Floats:
    """(P, N, H): linear in the last two seasons by ridge regression, its residuals drawn anew at each step."""
    lags = LAGS * season
    rows = np.concatenate([np.lib.stride_tricks.sliding_window_view(part, lags + 1) for part in known])
    mean, spread = rows.mean(), rows.std() or 1.0
    rows = (rows - mean) / spread
    inputs = np.column_stack([rows[:, :-1], np.ones(len(rows))])
    weights = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(lags + 1), inputs.T @ rows[:, -1])
    residuals = rows[:, -1] - inputs @ weights
    rng = np.random.default_rng(seed)
    state = np.repeat(((_filled(past)[:, -lags:] - mean) / spread)[None], paths, 0)
    found = []
    for _ in range(season):
        step = state @ weights[:-1] + weights[-1] + rng.choice(residuals, state.shape[:2])
        found.append(step)
        state = np.concatenate([state[..., 1:], step[..., None]], -1)
    return np.asarray(np.stack(found, -1) * spread + mean)


def crps(paths: Floats, truth: Floats) -> float:
    """Mean over all known values of E |X - x| - E |X - X'| / 2 (Gneiting & Raftery 2007), from paths (P, N, H)."""
    ordered = np.sort(paths, axis=0)
    count = len(paths)
    weights = 2 * np.arange(1, count + 1) - count - 1
    spread = np.tensordot(weights, ordered, 1) / (count * (count - 1))  # E |X - X'| / 2 without bias
    known = ~np.isnan(truth)
    return float((np.nanmean(np.abs(paths - truth)[:, known], 0) - spread[known]).mean())


def quantile_loss(paths: Floats, truth: Floats) -> float:
    """Mean over all known values and `QUANTILES` of (q - [x < x_q]) (x - x_q) (Koenker & Bassett 1978)."""
    levels = np.array(QUANTILES)[:, None, None]
    off = truth - np.nanquantile(paths, QUANTILES, axis=0)
    return float(np.nanmean(np.maximum(levels * off, (levels - 1) * off)))


def covered(paths: Floats, truth: Floats) -> float:
    """Share of the truth between the 5 % and 95 % quantiles."""
    low, high = np.nanquantile(paths, [0.05, 0.95], axis=0)
    known = ~np.isnan(truth)
    return float(((truth >= low) & (truth <= high))[known].mean())


def markdown(found: dict[str, Any], family: str) -> str:
    """A table of the scores."""
    rivals = ("seasonal naive", "autoregression")
    lines = [f"| CRPS, quantile loss | {family} | {' | '.join(rivals)} | covered at 90 % |", "|---|--:|--:|--:|--:|"]
    for name, row in found["scores"].items():
        cells = [f"{row[key]}, {row['quantile_loss'][key]}" for key in (family, *rivals)]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['covered_90']} |")
    lines += ["", f"{found['origins']} origins; fitted in {found['fit_minutes']} minutes."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    stage(main)
