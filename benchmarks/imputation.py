"""Imputation: how well the holes of real rows are filled, column by column, beside what people use.

A share of the cells is removed completely at random. Every imputer is fitted on the same training rows and fills the
same holes of the same unseen rows: categories are scored by the share that is right, numbers by the root of the mean
squared error. The target, where one is named, has no holes and is known to all.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from benchmarks.cells import settings
from benchmarks.lift import parts
from synth.console import stage
from synth.detection import detect
from synth.errors import InputError
from synth.frames import from_pandas
from synth.storage import write_json, write_text

log = logging.getLogger(__name__)
Holes = NDArray[np.bool_]  # (N, D), True where a cell was removed


@dataclass(frozen=True)
class Task:
    """What every imputer gets.

    train: rows to learn from. holed: unseen rows with holes. numbers: names of the numeric columns.
    """

    train: pd.DataFrame
    holed: pd.DataFrame
    numbers: Sequence[str]
    target: str | None
    seed: int

    @property
    def categories(self) -> list[str]:
        """Names of all other columns."""
        return [str(name) for name in self.train if name not in self.numbers]


def main(
    data: Annotated[str, typer.Argument(help="CSV or Parquet")],
    target: Annotated[str | None, typer.Option(help="Column without holes")] = None,
    out: Annotated[Path, typer.Option(help="Folder for imputation.json and imputation.md")] = Path("build/imputation"),
    test: Annotated[str | None, typer.Option(help="File of unseen rows; a fifth of DATA if not given")] = None,
    share: Annotated[float, typer.Option(min=0.01, max=0.99, help="Of the cells that is removed")] = 0.2,
    train_holes: Annotated[bool, typer.Option(help="The training rows have holes, too")] = False,
    model: Annotated[str, typer.Option(help="family or family:key=value,...")] = "autoregressive",
    draws: Annotated[int, typer.Option(min=1, help="Whose most frequent category or mean number is taken")] = 200,
    imputers: Annotated[list[str] | None, typer.Option("--imputer", help="Only this one besides the family")] = None,
    seed: int = 0,
) -> None:
    """Fill the holes of unseen rows by MODEL, by scikit-learn's IterativeImputer and by mode and mean."""
    ways: dict[str, Way] = {"mode/mean": simple, "iterative, ordinal": ordinal, "iterative, one-hot": one_hot}
    for name in imputers or ():
        if name not in ways:
            raise InputError(f"--imputer {name!r} is unknown; there are: {', '.join(ways)}")
    chosen = {name: way for name, way in ways.items() if not imputers or name in imputers}
    chosen = {model: lambda task: ours(task, model, draws), **chosen}
    train, truth = parts(data, test, target, seed)
    rng = np.random.default_rng(seed)
    if train_holes:
        train = pierced(train, holes(train, share, target, rng))
    removed = holes(truth, share, target, rng)
    numbers = [column.name for column in detect(from_pandas(train)).columns if column.kind == "number"]
    task = Task(train, pierced(truth, removed), numbers, target, seed)
    scores, seconds = {}, {}
    for name, way in chosen.items():
        start = time.monotonic()
        scores[name] = score(truth, way(task), removed, task)
        seconds[name] = round(time.monotonic() - start, 1)
        log.info("%s: %.1f s", name, seconds[name])
    protocol = {"share": share, "train_holes": train_holes, "draws": draws, "seed": seed, "rows": len(truth)}
    text = markdown(scores, task.numbers, model)
    write_json(out / "imputation.json", {"scores": scores, "seconds": seconds, "protocol": protocol})
    write_text(out / "imputation.md", text)
    typer.echo(text)


Way = Callable[[Task], pd.DataFrame]


def holes(frame: pd.DataFrame, share: float, target: str | None, rng: np.random.Generator) -> Holes:
    """Cells to remove: known ones, of every column but the target, each with the same chance."""
    drawn = rng.random(frame.shape) < share
    drawn[:, [name == target for name in frame]] = False
    return np.asarray(drawn & frame.notna().to_numpy())


def pierced(frame: pd.DataFrame, removed: Holes) -> pd.DataFrame:
    """The frame without those cells; whole numbers and truth values keep their kind, as nullable ones."""
    return pd.DataFrame(
        {name: _nullable(frame[name]).mask(removed[:, place]) for place, name in enumerate(frame)}, index=frame.index
    )


def _nullable(column: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_bool_dtype(column):
        return column.astype("boolean")
    return column.astype("Int64") if pd.api.types.is_integer_dtype(column) else column


def score(truth: pd.DataFrame, filled: pd.DataFrame, removed: Holes, task: Task) -> dict[str, float]:
    """For each column with holes: share of right categories, or root mean squared error of a number."""
    found = {}
    for place, name in enumerate(map(str, truth)):
        rows = removed[:, place]
        if not rows.any():
            continue
        right, guess = truth[name].to_numpy()[rows], filled[name].to_numpy()[rows]
        if name in task.numbers:
            found[name] = float(np.sqrt(np.mean((right.astype(float) - guess.astype(float)) ** 2)))
        else:
            found[name] = float(np.mean(right.astype(str) == guess.astype(str)))
    return found


def ours(task: Task, model: str, draws: int) -> pd.DataFrame:
    """A family that draws each row's holes given what is known of it."""
    from synth import Synthesizer

    family, config = settings(model)
    synthesizer = Synthesizer(family, seed=task.seed, device="cpu", **config).fit(task.train, target=task.target)
    return synthesizer.impute(task.holed, draws=draws, seed=task.seed)


def simple(task: Task) -> pd.DataFrame:
    """The mean of a number, the most frequent category."""
    values: dict[str, Any] = {name: task.train[name].astype(float).mean() for name in task.numbers}
    values |= {name: task.train[name].mode()[0] for name in task.categories}
    return pd.DataFrame({name: task.holed[name].astype(object).fillna(values[str(name)]) for name in task.holed})


def ordinal(task: Task) -> pd.DataFrame:
    """IterativeImputer (scikit-learn's MICE) on categories as whole numbers, rounded to the nearest one."""
    from sklearn.preprocessing import OrdinalEncoder

    coder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    coded = [_text(frame[task.categories]) for frame in (task.train, task.holed)]
    coder.fit(coded[0])
    tops = [len(known) - 1 - pd.isna(known).any() for known in coder.categories_]
    sides = [np.hstack([_floats(frame[task.numbers]), coder.transform(words)])
             for frame, words in zip((task.train, task.holed), coded, strict=True)]  # fmt: skip
    filled = _iterative(task, *sides)
    places = np.clip(np.rint(filled[:, len(task.numbers) :]), 0, tops).astype(int)
    words = {name: coder.categories_[i][places[:, i]] for i, name in enumerate(task.categories)}
    return _frame(task, filled, words)


def one_hot(task: Task) -> pd.DataFrame:
    """IterativeImputer on a column for each category but the most frequent one, the largest taken.

    All categories would sum to one: each would be explained by the others, and stay where it began.
    """
    counts = {name: _text(task.train[[name]])[name].value_counts() for name in task.categories}
    known = {name: found.index.to_numpy(dtype=object) for name, found in counts.items()}

    def wide(frame: pd.DataFrame) -> NDArray[np.float64]:
        blocks = [_floats(frame[task.numbers])]
        for name, values in known.items():
            words = _text(frame[[name]])[name]
            block = (words.to_numpy()[:, None] == values[None, 1:]).astype(float)
            blocks.append(np.where(words.isna().to_numpy()[:, None], np.nan, block))
        return np.hstack(blocks)

    filled = _iterative(task, wide(task.train), wide(task.holed))
    words, start = {}, len(task.numbers)
    for name, values in known.items():
        block = filled[:, start : start + len(values) - 1]
        words[name] = values[np.column_stack([1 - block.sum(axis=1), block]).argmax(axis=1)]
        start += len(values) - 1
    return _frame(task, filled, words)


def _iterative(task: Task, train: NDArray[np.float64], holed: NDArray[np.float64]) -> NDArray[np.float64]:
    """At its defaults, on standardised columns and within what the training rows have (it may diverge without).

    Where the training rows have no holes it would stop after one round of ten; the tolerance keeps it going.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    known, asked = scaler.transform(train), scaler.transform(holed)
    imputer = IterativeImputer(
        random_state=task.seed,
        tol=1e-3 if np.isnan(known).any() else 0,
        min_value=np.nanmin(known, axis=0),
        max_value=np.nanmax(known, axis=0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(scaler.inverse_transform(imputer.fit(known).transform(asked)))


def _floats(frame: pd.DataFrame) -> NDArray[np.float64]:
    return frame.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), np.nan).map(lambda value: value if value != value else str(value))


def _frame(task: Task, filled: NDArray[np.float64], words: Mapping[str, Any]) -> pd.DataFrame:
    numbers = {name: filled[:, place] for place, name in enumerate(task.numbers)}
    return pd.DataFrame({**numbers, **words}, index=task.holed.index)[list(task.holed)]


def markdown(scores: Mapping[str, Mapping[str, float]], numbers: Sequence[str], model: str) -> str:
    """A row for each column, and in how many the family is the best of all."""
    others = [name for name in scores if name != model]
    lines = ["| column | score | " + " | ".join(scores) + " |", "| --- | --- |" + " --: |" * len(scores)]
    won = []
    for column in scores[model]:
        values = {name: found[column] for name, found in scores.items()}
        number = column in numbers
        best = (min if number else max)(values[name] for name in others) if others else None
        if best is not None and (values[model] < best if number else values[model] > best):
            won.append(column)
        cells = [f"{value:,.4g}" if number else f"{value:.4f}" for value in values.values()]
        lines.append(f"| {column} | {'RMSE ↓' if number else 'accuracy ↑'} | " + " | ".join(cells) + " |")
    lost = [column for column in scores[model] if column not in won]
    said = f"{model} is better than every other in {len(won)} of {len(scores[model])} columns"
    return "\n".join(lines) + f"\n\n{said}" + (f"; not in {', '.join(lost)}." if lost and others else ".") + "\n"


if __name__ == "__main__":
    stage(main)
