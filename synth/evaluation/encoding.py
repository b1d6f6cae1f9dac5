"""Tables as arrays: numbers and dates on the real line, everything else as places in one vocabulary."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.errors import InputError
from synth.evaluation import series_features
from synth.evaluation.picture_features import features as picture_features
from synth.evaluation.text_features import features as text_features
from synth.schema import Column, Schema
from synth.series import codes_of, flat_chunks, nesting

LONGEST = 256  # steps of a series that are read
Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Rows = NDArray[np.int64]

MADE = {"identifier": "an identifier", "personal": "personal data"}  # kinds that are not learnt
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class View:
    """One table. numbers: (N, Dn) float64, NaN where null. codes: (N, Dc) int32, places in the vocabulary. texts: (N,)
    of the column of texts, None where null, in a table that has one. steps: (N, L, C) float64 of series, their times
    where they have some, and their numbers; NaN where there is none."""

    numbers: Floats
    codes: Codes
    texts: NDArray[np.object_] | None = None
    steps: Floats | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def width(self) -> int:
        """Number of columns that can be compared, Dn + Dc."""
        return int(self.numbers.shape[1] + self.codes.shape[1])

    def take(self, rows: Rows) -> View:
        """These rows, in this order."""
        texts = None if self.texts is None else self.texts[rows]
        steps = None if self.steps is None else self.steps[rows]
        return View(self.numbers[rows], self.codes[rows], texts, steps)

    def select(self, numbers: Sequence[int], categories: Sequence[int]) -> View:
        """These columns of all rows."""
        return View(self.numbers[:, list(numbers)], self.codes[:, list(categories)])

    def draw(self, count: int, rng: np.random.Generator) -> View:
        """`count` rows without replacement in the table's order; all of them where there are no more."""
        if count >= len(self):
            return self
        return self.take(np.sort(rng.choice(len(self), count, replace=False)))


@dataclass(frozen=True)
class Views:
    """The four tables over the same columns.

    numbers, categories: names of the columns of `View.numbers` and `View.codes`
    labels: the vocabulary of each category, the training rows' most frequent first; None stands for null
    dates: those of `numbers` that count seconds since 1970
    undefined: columns that are left out, with the reason
    target: the schema's target, where it is among the compared columns
    pictures: whether the numbers are features of some
    timed: how many of the columns of steps are times, 0 or 1
    stepped: names of the other columns of steps
    """

    train: View
    holdout: View
    test: View
    synthetic: View
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    labels: tuple[tuple[str | None, ...], ...]
    dates: frozenset[str] = frozenset()
    undefined: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    pictures: bool = False
    timed: int = 0
    stepped: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Compared columns, numbers first."""
        return self.numbers + self.categories

    @property
    def sizes(self) -> tuple[int, ...]:
        """Vocabulary size of each category."""
        return tuple(len(labels) for labels in self.labels)

    def with_synthetic(self, view: View) -> Views:
        """The same comparison for the rows of another generator."""
        return replace(self, synthetic=view)

    def places(self, names: Collection[str]) -> tuple[list[int], list[int]]:
        """Where these columns stand among the numbers and among the categories."""
        return (
            [place for place, name in enumerate(self.numbers) if name in names],
            [place for place, name in enumerate(self.categories) if name in names],
        )


def encode(frames: Mapping[str, pd.DataFrame], schema: Schema) -> Views:
    """Encode train, holdout, test and synthetic. InputError names a table that lacks a column of the schema.

    A column of pictures, of texts or of the steps of series becomes the numbers of their features, see
    `synth.evaluation.picture_features`, `text_features` and `series_features`.

    Identifiers are left out, and so are columns without two different values among the training rows: no
    distance between distributions is defined on them.
    """
    numbers: dict[str, dict[str, Floats]] = {}
    codes: dict[str, dict[str, Codes]] = {}
    labels: dict[str, tuple[str | None, ...]] = {}
    undefined: dict[str, str] = {}
    nested = nesting(schema.arrow_schema)
    steps: dict[str, dict[str, Floats]] = {}
    for column in schema.columns:
        arrays = {role: _arrow(frame, column.name, role) for role, frame in frames.items()}
        if nested is not None and column.name in nested.steps:
            own, made = _of_steps(arrays, column, column.name == nested.time)
            numbers |= made
            if column.name == nested.time or column.kind == "number":
                steps[column.name] = own
        elif column.kind == "image" or (column.kind == "text" and schema.modality == "text"):
            read = picture_features if column.kind == "image" else text_features
            seen = {role: read(array) for role, array in arrays.items()}
            numbers |= {
                f"{column.name}[{place}]": {role: values[:, place] for role, values in seen.items()}
                for place in np.flatnonzero(np.nanmax(seen["train"], axis=0) > np.nanmin(seen["train"], axis=0))
            }
        elif column.kind == "text":
            undefined[column.name] = "captions: no values that a table compares"
        elif column.made_up:
            undefined[column.name] = f"{MADE[column.kind]}: generated anew, not compared"
        elif (values := _continuous(arrays, column)) is not None:
            numbers[column.name] = values
        else:
            coded, words = _coded({role: _text(array, column) for role, array in arrays.items()})
            if len(np.unique(coded["train"])) > 1:
                codes[column.name], labels[column.name] = coded, words
            else:
                only = "null alone" if words[0] is None else "one single value"
                undefined[column.name] = f"{only} among the training rows"
    name = next((column.name for column in schema.columns if column.kind == "text"), None)
    written = schema.modality == "text" and name is not None
    texts = {role: _objects(_arrow(frame, str(name), role)) for role, frame in frames.items()} if written else {}
    timed = nested.time if nested is not None else None
    ordered = sorted(steps, key=lambda name: name != timed)
    views = {
        role: View(
            _stack([values[role] for values in numbers.values()], len(frame), np.float64),
            _stack([values[role] for values in codes.values()], len(frame), np.int32),
            texts.get(role),
            _side_by_side([steps[name][role] for name in ordered]) if ordered else None,
        )
        for role, frame in frames.items()
    }
    return Views(
        **views,
        numbers=tuple(numbers),
        categories=tuple(codes),
        labels=tuple(labels.values()),
        dates=frozenset(column.name for column in schema.columns if column.name in numbers and _is_date(column)),
        undefined=undefined,
        target=schema.target if schema.target in {*numbers, *codes} else None,
        pictures=schema.modality == "image",
        timed=int(timed in steps),
        stepped=tuple(name for name in ordered if name != timed),
    )


def _of_steps(
    arrays: Mapping[str, pa.ChunkedArray], column: Column, time: bool
) -> tuple[dict[str, Floats], dict[str, dict[str, Floats]]]:
    """A column of the steps of series by table, and the features of it that differ among the training ones."""
    steps = {role: _steps(array, column, time) for role, array in arrays.items()}
    found = {role: series_features.features(part, column, time=time) for role, part in steps.items()}
    numbers = {}
    for what, values in found["train"].items():
        known = values[~np.isnan(values)]
        if len(known) and known.min() < known.max():
            numbers[f"{column.name} {what}"] = {role: each[what] for role, each in found.items()}
    return steps, numbers


def _steps(array: pa.ChunkedArray, column: Column, time: bool) -> Floats:
    """(N, L) numbers of a column of lists: values, moments in seconds, of anything else a number for each value; NaN
    where there is none, and behind the last step."""
    lists = flat_chunks(array)
    if not pa.types.is_list(lists.type) and not pa.types.is_large_list(lists.type):
        raise InputError(f"column {column.name!r} is {lists.type}; expected lists of the steps of series")
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    values = pa.chunked_array([pc.list_flatten(lists)])
    if time or column.kind in ("number", "datetime"):
        numbers = _floats(values, column)
    else:
        numbers = np.where(np.asarray(values.is_null()), np.nan, codes_of(values))
    there = np.arange(max(int(counts.max(initial=0)), 1)) < counts[:, None]
    found = np.full(there.shape, np.nan)
    found[there] = numbers
    return found[:, :LONGEST]


def _side_by_side(columns: Sequence[Floats]) -> Floats:
    """(N, L, C) of columns (N, L)."""
    longest = max(column.shape[1] for column in columns)
    wide = [np.pad(c, ((0, 0), (0, longest - c.shape[1])), constant_values=np.nan) for c in columns]
    return np.stack(wide, axis=-1)


def _objects(array: pa.ChunkedArray) -> NDArray[np.object_]:
    found = np.empty(len(array), dtype=object)
    found[:] = array.to_pylist()
    return found


def _continuous(arrays: Mapping[str, pa.ChunkedArray], column: Column) -> dict[str, Floats] | None:
    """Values of a number or a date; None for other kinds and where train has fewer than two different values."""
    if column.kind not in ("number", "datetime"):
        return None
    values = {role: _floats(array, column) for role, array in arrays.items()}
    known = values["train"][~np.isnan(values["train"])]
    return values if len(known) and known.min() < known.max() else None


def _stack(columns: list[NDArray[Any]], rows: int, dtype: type) -> NDArray[Any]:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0), dtype=dtype)


def _is_date(column: Column) -> bool:
    return column.kind == "datetime" and not column.dtype.startswith(("duration", "time32", "time64"))


def _arrow(frame: pd.DataFrame, name: str, role: str) -> pa.ChunkedArray:
    """One column of a frame as Arrow, dictionaries decoded; labels that are not text go by their text."""
    places = {str(label): place for place, label in enumerate(frame.columns)}
    if name not in places:
        raise InputError(f"{role}: column {name!r} is missing; there are: {', '.join(places)}")
    series = frame.iloc[:, places[name]]
    try:
        array = pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # mixed Python objects
        array = pa.array([None if _is_null(value) else str(value) for value in series], pa.string())
    array = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _is_null(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _floats(array: pa.ChunkedArray, column: Column) -> Floats:
    """(N,) float64; NaN where null, infinite or not to be read as a number. Dates and durations in seconds."""
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = _read_text(array, column)
    elif pa.types.is_date(kind):
        values = _plain(array.cast(pa.timestamp("s")).cast(pa.int64()))
    elif pa.types.is_temporal(kind):
        whole = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        values = _plain(array.cast(whole)) / PER_SECOND[kind.unit]
    else:
        values = _plain(array)
    return np.where(np.isfinite(values), values, np.nan)


def _plain(array: pa.ChunkedArray) -> Floats:
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.string())  # by way of text the nearest float is found
    numbers = array.cast(pa.float64(), safe=False)
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def _read_text(array: pa.ChunkedArray, column: Column) -> Floats:
    """Numbers or dates that a table holds as text, in the column's format where it has one."""
    unique = pc.dictionary_encode(array).combine_chunks()
    unique = unique if isinstance(unique, pa.DictionaryArray) else unique.chunk(0)
    words = pd.Series(unique.dictionary.to_pylist(), dtype=object)
    if column.kind == "datetime":
        known = np.array([_seconds(word, column.format) for word in words], dtype=np.float64)
    else:
        known = pd.to_numeric(words, errors="coerce").to_numpy(np.float64)
    places = unique.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(known, np.nan)[places], dtype=np.float64)


def _seconds(word: str, form: str | None) -> float:
    """Seconds since 1970 of a date as text, years 1 to 9999; a date without a zone counts as UTC."""
    try:
        moment = datetime.strptime(word, form) if form else datetime.fromisoformat(word)  # noqa: DTZ007
    except ValueError:
        return float("nan")
    offset = moment.utcoffset() or timedelta(0)
    return (moment.replace(tzinfo=UTC) - EPOCH - offset).total_seconds()


def _text(array: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Values as text, so that 1, 1.0 and "1" of a category are one value; nested ones as canonical JSON."""
    kind = array.type
    if pa.types.is_nested(kind):
        words = [None if v is None else json.dumps(v, sort_keys=True, default=str) for v in array.to_pylist()]
        return pa.chunked_array([pa.array(words, pa.large_string())])
    if pa.types.is_null(kind):
        return array.cast(pa.large_string())
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
        whole = pc.all(pc.and_(pc.equal(array, pc.floor(array)), pc.less(pc.abs(array), 2.0**53))).as_py()
        array = array.cast(pa.int64()) if whole else array
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.chunked_array(
            [pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.large_string())]
        )
    words = array.cast(pa.large_string())
    return pc.utf8_lower(words) if column.kind == "boolean" else words


def _coded(arrays: Mapping[str, pa.ChunkedArray]) -> tuple[dict[str, Codes], tuple[str | None, ...]]:
    """Places in one vocabulary: train's values by falling frequency, then those that only others have."""
    indices: dict[str, NDArray[np.int64]] = {}
    known: dict[str | None, int] = {}
    weight: list[int] = []
    for role, array in arrays.items():
        encoded = pc.dictionary_encode(array, null_encoding="encode").combine_chunks()
        encoded = encoded if isinstance(encoded, pa.DictionaryArray) else encoded.chunk(0)
        words = encoded.dictionary.to_pylist()
        places = np.array([known.setdefault(word, len(known)) for word in words], dtype=np.int64)
        indices[role] = places[encoded.indices.to_numpy(zero_copy_only=False)] if len(array) else np.zeros(0, np.int64)
        weight += [0] * (len(known) - len(weight))
        if role == "train":
            weight = np.bincount(indices[role], minlength=len(known)).tolist()
    order = sorted(known, key=lambda word: (-weight[known[word]], word is None, word or ""))
    rank = np.empty(len(order), dtype=np.int32)
    rank[[known[word] for word in order]] = np.arange(len(order), dtype=np.int32)
    return {role: rank[places] for role, places in indices.items()}, tuple(order)
