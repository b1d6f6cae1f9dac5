"""The report's charts as Plotly figures in plain JSON; colours are names that the page's theme fills in."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from synth.evaluation.gains import SHORT, TITLES, WORDS

Json = Mapping[str, Any]
COLOURS = {
    "synthetic": "@synthetic",
    "class_weights": "@series1",
    "threshold": "@series2",
    "oversampling": "@series3",
    "smote": "@series4",
    "jitter": "@series1",
    "eda": "@series4",
    "ngrams": "@series5",
}

LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
HALVES = {"entrywidth": 0.45, "entrywidthmode": "fraction", "font": {"size": 11}}  # two beside each other


@dataclass(frozen=True)
class Chart:
    """name: id of the element it is drawn into. spec: `data` and `layout` for Plotly. height: pixels."""

    name: str
    spec: dict[str, Any]
    height: int
    label: str


@dataclass(frozen=True)
class ColumnChart:
    """A column's distributions, with its error and what real rows have."""

    column: str
    chart: Chart
    error: float | None
    floor: float | None
    real_null: float
    synthetic_null: float


def distribution_charts(distributions: Json, errors: Json, limit: int) -> list[ColumnChart]:
    """One chart for each column, the worst first, at most `limit`."""
    columns: Json = distributions.get("columns", {})
    order = sorted(columns, key=lambda name: -(errors.get(name, {}).get("shape_error") or 0.0))
    out = []
    for place, name in enumerate(order[:limit]):
        column = columns[name]
        draw = _bars if column["kind"] == "category" else _steps
        out.append(
            ColumnChart(
                column=name,
                chart=Chart(f"column-{place}", draw(column), 210, f"Distribution of {name}, real and synthetic"),
                error=errors.get(name, {}).get("shape_error"),
                floor=errors.get(name, {}).get("floor"),
                real_null=column.get("real_null", 0.0),
                synthetic_null=column.get("synthetic_null", 0.0),
            )
        )
    return out


def _steps(column: Json) -> dict[str, Any]:
    """Densities over the bins: rows per bin by its width, relative to the mean width."""
    edges = column["edges"]
    places = (
        [datetime.fromisoformat(edge).replace(tzinfo=UTC).timestamp() for edge in edges]
        if column["kind"] == "date"
        else edges
    )
    widths = [max(b - a, 1e-300) for a, b in pairwise(places)]
    mean = sum(widths) / len(widths)

    def heights(role: str) -> list[float]:
        tops = [float(f"{100 * share * mean / width:.5g}") for share, width in zip(column[role], widths, strict=True)]
        return [0.0, *tops, 0.0]

    def line(role: str, name: str, extra: dict[str, Any]) -> dict[str, Any]:
        ends = [edges[0], *edges]
        return {"type": "scatter", "mode": "lines", "x": ends, "y": heights(role), "name": name, **extra}

    return {
        "data": [
            line(
                "real",
                "real",
                {"fill": "tozeroy", "fillcolor": "@realfill", "line": {"shape": "hv", "width": 1, "color": "@real"}},
            ),
            line("synthetic", "synthetic", {"line": {"shape": "hv", "width": 2, "color": "@synthetic"}}),
        ],
        "layout": {
            "xaxis": {"type": "date" if column["kind"] == "date" else "linear", "nticks": 6},
            "yaxis": {"ticksuffix": " %", "rangemode": "tozero", "nticks": 4},
            "hovermode": "x unified",
            "margin": {"l": 44, "r": 8, "t": 6, "b": 28},
        },
    }


def _bars(column: Json) -> dict[str, Any]:
    """Bars side by side, the most frequent value on top; places and texts apart, so that equal texts stay apart."""
    texts = [html.escape(label if len(label) <= 17 else label[:16] + "…") for label in column["labels"]]
    full = [html.escape(label) for label in column["labels"]]
    places = list(range(len(texts)))

    def bars(role: str, colour: str) -> dict[str, Any]:
        return {
            "type": "bar",
            "orientation": "h",
            "y": places,
            "x": [round(100 * share, 3) for share in column[role]],
            "customdata": full,
            "hovertemplate": "%{customdata}: %{x:.2f} %<extra>" + role + "</extra>",
            "name": role,
            "marker": {"color": colour},
        }

    return {
        "data": [bars("real", "@real"), bars("synthetic", "@synthetic")],
        "layout": {
            "barmode": "group",
            "bargap": 0.25 if len(texts) > 4 else 1 - 0.17 * len(texts),
            "xaxis": {"ticksuffix": " %", "nticks": 5, "rangemode": "tozero"},
            "yaxis": {
                "tickvals": places,
                "ticktext": texts,
                "autorange": "reversed",
                "showgrid": False,
                "zeroline": False,
            },
            "margin": {"l": 118, "r": 8, "t": 6, "b": 28},
        },
    }


@dataclass(frozen=True)
class SeriesCharts:
    """Of a column of steps: some synthetic series, and how long values and moves are remembered."""

    column: str
    paths: Chart
    memory: Chart


def series_charts(distributions: Json, limit: int) -> list[SeriesCharts]:
    """Two charts for each column of steps, at most for the first `limit`."""
    out = []
    for place, (name, found) in enumerate(list(distributions.get("series", {}).items())[:limit]):
        paths = [_line(f"series {i + 1}", path, 0, f"@series{i + 1}") for i, path in enumerate(found["paths"])]
        memory = [
            _line(f"{what}, {role}", found[key][role], 1, f"@{role}", dash)
            for key, what, dash in (("memory", "values", "solid"), ("unrest", "moves", "dot"))
            for role in ("real", "synthetic")
        ]
        first = {"data": paths, "layout": _over("step", 10)}
        legend = {"showlegend": True, "legend": {**LEGEND, **HALVES}}
        second = {"data": memory, "layout": {**_over("steps apart", 56), **legend}}
        out.append(
            SeriesCharts(
                name,
                Chart(f"paths-{place}", first, 260, f"Some synthetic series of {name}"),
                Chart(f"memory-{place}", second, 260, f"Autocorrelations of {name}, real and synthetic"),
            )
        )
    return out


def _over(title: str, top: int) -> dict[str, Any]:
    return {"xaxis": {"title": {"text": title}}, "margin": {"l": 52, "r": 8, "t": top, "b": 42}}


def _line(name: str, values: Sequence[float | None], first: int, colour: str, dash: str = "solid") -> dict[str, Any]:
    """Values that follow each other, from the place `first` on."""
    places = list(range(first, first + len(values)))
    line = {"color": colour, "width": 2 if dash == "solid" else 1.6, "dash": dash}
    return {"type": "scatter", "mode": "lines", "name": name, "x": places, "y": list(values), "line": line}


def pair_chart(distributions: Json) -> Chart | None:
    """Heat map of the differences of all pairs of columns; None with fewer than two columns."""
    pairs = distributions.get("pairs", {"names": []})
    names = [html.escape(name if len(name) <= 22 else name[:21] + "…") for name in pairs["names"]]
    if len(names) < 2:
        return None
    places = list(range(len(names)))
    full = [html.escape(name) for name in pairs["names"]]
    top = max((value for row in pairs["matrix"] for value in row if value is not None), default=0.0)
    axis = {"tickvals": places, "ticktext": names, "showgrid": False, "zeroline": False}
    spec = {
        "data": [
            {
                "type": "heatmap",
                "x": places,
                "y": places,
                "z": pairs["matrix"],
                "text": [[f"{a} × {b}" for b in full] for a in full],
                "hovertemplate": "%{text}: %{z:.4f}<extra></extra>",
                "colorscale": [[0, "@heat0"], [0.5, "@heat1"], [1, "@heat2"]],
                "zmin": 0,
                "zmax": max(0.1, top),
                "hoverongaps": False,
                "xgap": 2,
                "ygap": 2,
                "colorbar": {"thickness": 12, "len": 0.9, "outlinewidth": 0},
            }
        ],
        "layout": {
            "xaxis": {**axis, "tickangle": -40},
            "yaxis": {**axis, "autorange": "reversed"},
            "margin": {"l": 130, "r": 10, "t": 8, "b": 100},
        },
    }
    return Chart("pairs", spec, max(320, min(760, 130 + 26 * len(names))), "Difference of every pair of columns")


def lift_charts(lift: Json) -> list[Chart]:
    """One chart a metric: gain of each strategy over real rows alone, with its interval, against the real rows."""
    if "figures" not in lift:
        return []
    return [_lift_chart(lift, metric) for metric in lift["metrics"]]


def _lift_chart(lift: Json, metric: str) -> Chart:
    strategies = list(lift["figures"][str(lift["rows"][0])][metric])
    layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "real rows"},
            "tickvals": lift["rows"],
            "ticktext": [f"{count:,}" for count in lift["rows"]],
            "showgrid": False,
            **({} if len(lift["rows"]) > 1 else {"range": _decade(lift["rows"][0])}),
        },
        "yaxis": {"title": {"text": f"change of {SHORT[metric]}"}, "tickformat": "+.2f", "zeroline": True},
        "showlegend": True,
        "legend": LEGEND,
        "margin": {"l": 62, "r": 8, "t": 44, "b": 46},
    }
    data = [_lift_line(lift, metric, strategies, place) for place in range(len(strategies))]
    label = f"Change of {WORDS[metric]} over real rows alone"
    return Chart(f"lift-{metric}", {"data": data, "layout": layout}, 330, label)


def _decade(count: int) -> list[float]:
    """The range of a logarithmic axis around one value."""
    return [math.log10(count) - 0.5, math.log10(count) + 0.5]


def _lift_line(lift: Json, metric: str, strategies: Sequence[str], place: int) -> dict[str, Any]:
    """The line of one strategy; the strategies stand a little apart, so that no interval hides another."""
    strategy = strategies[place]
    entries = [lift["figures"][str(count)][metric][strategy] for count in lift["rows"]]
    apart = 1.03 ** (place - (len(strategies) - 1) / 2)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": TITLES[strategy],
        "x": [round(count * apart, 3) for count in lift["rows"]],
        "y": [entry["value"] for entry in entries],
        "error_y": {
            "type": "data",
            "array": [entry["high"] - entry["value"] for entry in entries],
            "arrayminus": [entry["value"] - entry["low"] for entry in entries],
            "thickness": 1.2,
            "width": 3,
            "color": COLOURS[strategy],
        },
        "line": {"color": COLOURS[strategy], "width": 3 if strategy == "synthetic" else 1.4},
        "marker": {"color": COLOURS[strategy], "size": 7},
        "hovertemplate": "%{y:+.4f}<extra>" + TITLES[strategy] + "</extra>",
    }


def curve_chart(curve: Sequence[Json]) -> Chart | None:
    """Training and validation loss by epoch; None without epochs."""
    if not curve:
        return None
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [point["epoch"] if "epoch" in point else point["number"] for point in curve],
            "y": [_finite(point.get(key)) for point in curve],
            "line": {"color": colour, "width": 2},
            "marker": {"size": 5},
        }
        for key, name, colour in (
            ("train_loss", "training rows", "@real"),
            ("validation_loss", "validation rows", "@synthetic"),
        )
    ]
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "dtick": 1 if len(curve) <= 20 else None},
        "yaxis": {"title": {"text": "loss"}},
        "hovermode": "x unified",
        "showlegend": True,
        "legend": LEGEND,
        "margin": {"l": 62, "r": 8, "t": 34, "b": 46},
    }
    return Chart("curve", {"data": data, "layout": layout}, 280, "Loss by epoch")


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(float(value)) < float("inf") else None
