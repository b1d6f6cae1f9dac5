"""What the report draws: histograms of every column, and the differences of all pairs. No rare value is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.evaluation import dynamics, quality
from synth.evaluation.encoding import EPOCH, Floats, Views
from synth.evaluation.tables import Tables
from synth.sheets import contact_sheet

RARE = 10  # a value or bin with fewer real rows is not shown by itself
BINS = 24
BARS = 9
MATRIX = 30  # columns of the picture of pairs
FIRST, LAST = ((datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds() for year in (1, 9999))  # that a page can tell
OTHER, NULL = "(other)", "(null)"
TEXTS, EXCERPT = 12, 400  # synthetic texts that are shown, and characters of each


def distributions(data: Tables, *, seed: int = 0) -> dict[str, Any]:
    """Shares of real (train) and synthetic rows per bin or value of each column, and the matrix of pair differences.

    {"columns": {name: {"kind": "number" | "date" | "category", "labels": [...], "edges": [...] (numbers and dates),
    "real": [...], "synthetic": [...], "real_null": share, "synthetic_null": share (numbers and dates)}}, "pairs":
    {"names": [...], "matrix": [[...]]}}; shares and null share sum to 1. Bins and values with fewer than 10 real rows
    are joined with their neighbours or shown as "(other)"; values outside the 1 % to 99 % quantiles, or among the 10
    outermost, are counted into the outer bins, so that no extreme is told. The matrix has the columns that differ
    most, null where a pair was not compared. Of pictures "sheet" has some of the synthetic ones, as a data URI, of
    texts "texts" some beginnings, of series "series" what `dynamics.curves` gives.
    """
    views, rng = data.views, np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for name in data.schema.names:
        if name in views.numbers:
            columns[name] = _histogram(views, views.numbers.index(name))
        elif name in views.categories:
            columns[name] = _bars(views, views.categories.index(name))
    sheet = {"sheet": contact_sheet(data.synthetic, data.schema)} if views.pictures else {}
    texts = {} if views.synthetic.texts is None else {"texts": _excerpts(views.synthetic.texts)}
    series = {"series": dynamics.curves(views)} if views.stepped else {}
    return {"columns": columns, "pairs": _pairs(views, rng), **sheet, **texts, **series}


def _excerpts(texts: NDArray[np.object_]) -> list[str]:
    """The first of the synthetic texts, or of long ones their beginnings."""
    known = [text for text in texts[: 2 * TEXTS] if text is not None][:TEXTS]
    return [text if len(text) <= EXCERPT else f"{text[:EXCERPT]} …" for text in known]


def _histogram(views: Views, place: int) -> dict[str, Any]:
    real, made = views.train.numbers[:, place], views.synthetic.numbers[:, place]
    known = real[~np.isnan(real)]
    edges = _edges(known)
    counts = _counts(known, edges)
    while len(counts) > 1 and counts.min() < RARE:  # join the emptiest bin with its emptier neighbour
        low = int(counts.argmin())
        beside = min((i for i in (low - 1, low + 1) if 0 <= i < len(counts)), key=lambda i: counts[i])
        edges = np.delete(edges, max(low, beside))
        counts = _counts(known, edges)
    date = views.numbers[place] in views.dates
    out: dict[str, Any] = {"kind": "date" if date else "number", "edges": [_label(edge, date) for edge in edges]}
    for role, values in (("real", real), ("synthetic", made)):
        present = values[~np.isnan(values)]
        out[role] = _shares(_counts(present, edges), len(values))
        out[f"{role}_null"] = round(1 - len(present) / max(1, len(values)), 5)
    return out


def _edges(known: Floats) -> Floats:
    """Around each value where there are few, else of equal width, between quantiles that 10 rows lie beyond."""
    outer = min(0.5, max(0.01, RARE / len(known)))
    low, high = np.quantile(known, [outer, 1 - outer])
    distinct = np.unique(known[(known >= low) & (known <= high)])
    if len(distinct) < 2:
        half = float(known.std()) / 2
        return np.array([np.median(known) - half, np.median(known) + half])
    if len(distinct) <= BINS:
        gaps = np.diff(distinct) / 2
        return np.concatenate([[distinct[0] - gaps[0]], distinct[:-1] + gaps, [distinct[-1] + gaps[-1]]])
    return np.linspace(low, high, BINS + 1)


def _counts(values: Floats, edges: Floats) -> Floats:
    """Rows in each bin; what lies outside counts into the outer bins."""
    places = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    return np.bincount(places, minlength=len(edges) - 1).astype(np.float64)


def _label(edge: float, date: bool) -> float | str:
    if not date:
        return float(f"{edge:.6g}")
    seconds = min(max(edge, FIRST), LAST)
    return (EPOCH + timedelta(seconds=round(seconds))).replace(tzinfo=None).isoformat(sep=" ")


def _bars(views: Views, place: int) -> dict[str, Any]:
    labels = views.labels[place]
    real = np.bincount(views.train.codes[:, place], minlength=len(labels)).astype(np.float64)
    made = np.bincount(views.synthetic.codes[:, place], minlength=len(labels)).astype(np.float64)
    shown = [i for i in np.argsort(-real, kind="stable")[:BARS].tolist() if real[i] >= RARE]
    rest = np.ones(len(labels), dtype=bool)
    rest[shown] = False
    words = [NULL if labels[i] is None else _short(labels[i] or "(empty text)") for i in shown]
    shares = [_shares(np.append(counts[shown], counts[rest].sum()), counts.sum()) for counts in (real, made)]
    if not rest.any():
        shares = [share[:-1] for share in shares]
    else:
        words.append(OTHER)
    return {"kind": "category", "labels": words, "real": shares[0], "synthetic": shares[1]}


def _short(word: str) -> str:
    return word if len(word) <= 60 else word[:57] + "..."


def _shares(counts: Floats, rows: float) -> list[float]:
    return [round(float(count) / max(1.0, float(rows)), 5) for count in counts]


def _pairs(views: Views, rng: np.random.Generator) -> dict[str, Any]:
    errors = quality.pair_errors(views, rng)
    total: dict[str, float] = dict.fromkeys(views.names, 0.0)
    for pair, error in errors.items():
        for name in pair:
            total[name] += error
    kept = set(sorted(total, key=lambda name: -total[name])[:MATRIX])
    names = [name for name in views.names if name in kept]
    matrix = [[errors.get((a, b), errors.get((b, a))) for b in names] for a in names]
    return {"names": names, "matrix": [[None if v is None else round(v, 5) for v in row] for row in matrix]}
