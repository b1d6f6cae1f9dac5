"""The measurements as one self-contained HTML page: no request leaves it, and it opens without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from synth.charts import Chart, curve_chart, distribution_charts, lift_charts, pair_chart, series_charts
from synth.evaluation.gains import TITLES, WORDS
from synth.evaluation.measurements import METRICS
from synth.evaluation.metric import Metric
from synth.schema import Schema

TEMPLATES = Path(__file__).parent / "templates"
OPEN_COLUMNS = 12  # distributions that are shown without unfolding
SHOWN_COLUMNS = 60  # distributions that are drawn at all, the worst first
SHOWN_SERIES = 12  # columns of steps that are drawn
NEGLIGIBLE = 1e-3  # a gap to real data that no reader would act on
CHANCE = {"membership_tpr_1": 0.01, "membership_tpr_01": 0.001, "membership_auc": 0.5}  # of other attacks 0
STRIP_WIDTH, STRIP_PAD = 180, 10

Json = Mapping[str, Any]


def render(
    *,
    title: str,
    schema: Schema,
    metrics: Json,
    distributions: Json | None = None,
    lift: Json | None = None,
    speed: Json | None = None,
    validation: Json | None = None,
    verdict: Json | None = None,
    curve: Sequence[Json] | None = None,
    provenance: Json | None = None,
    walk: str | None = None,
) -> str:
    """The page as text, about 5 MB (most of it the chart library).

    metrics: what `evaluate` returned; distributions: what `distributions` returned; lift: what `lift` returned.
    verdict: `passed`, `reasons`, `checks` of the gate. validation: result of the suite. curve: records with `epoch`,
    `train_loss`, `validation_loss`. speed: what the stopwatches of `fit` and `sample` said. walk: what
    `synth.picture_tools.walk_sheet` gave. A part that is None is left out. Everything that comes from data is escaped.
    """
    charts: list[Chart] = []
    columns = distribution_charts(distributions or {}, metrics.get("columns", {}), SHOWN_COLUMNS)
    series = series_charts(distributions or {}, SHOWN_SERIES)
    pairs = pair_chart(distributions or {})
    gains = lift_charts(lift or {})
    training = curve_chart(curve or [])
    charts += [column.chart for column in columns]
    charts += [chart for one in series for chart in (one.paths, one.memory)]
    charts += [chart for chart in (pairs, *gains, training) if chart is not None]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=figure, percent=percent, words=words)
    return environment.get_template("report.html.j2").render(
        title=title,
        schema=schema,
        metrics=metrics,
        areas=[
            (area, [_row(metric, metrics[area][metric.name], area) for metric in METRICS[area]])
            for area in METRICS
            if area in metrics
        ],
        attacks=_attacks(metrics["attacks"]),
        tiles=_tiles(metrics, lift),
        sheet=(distributions or {}).get("sheet"),
        texts=(distributions or {}).get("texts"),
        walk=walk,
        series=series,
        columns=columns,
        open_columns=OPEN_COLUMNS,
        column_count=len((distributions or {}).get("columns", {})),
        pairs=pairs,
        gains=gains,
        lift=lift,
        lift_titles=TITLES,
        lift_words=WORDS,
        training=training,
        curve=curve,
        speed=_speed(speed or {}),
        validation=_validation(validation),
        verdict=_verdict(verdict),
        provenance=_flat(provenance or {}),
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),  # noqa: S704
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # noqa: S704
        charts=_script_json({chart.name: chart.spec for chart in charts}),
    )


def figure(value: Any, signed: bool = False) -> str:
    """A number as people read it; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) >= 10:
        return f"{int(value):,}"
    places = 4 if abs(value) < 0.1 else 3 if abs(value) < 100 else 1
    return f"{value:{'+' if signed else ''},.{places}f}"


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{100 * value:.1f} %"


def words(name: str) -> str:
    """A key as words."""
    return name.replace("_", " ").replace("-", " ")


def _script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: nothing in it can close the element or open a comment."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def _row(metric: Metric, entry: Json, area: str) -> dict[str, Any]:
    """One line of the table of figures."""
    standing, label = _standing(metric, entry, "independent" if area in ("quality", "diversity") else "copy")
    arrow = {"lower": "↓ lower", "higher": "↑ higher", "target": "→ floor"}[metric.better]
    if metric.target is not None:
        arrow = f"→ {metric.target:g}"
    return {
        "metric": metric,
        "entry": entry,
        "arrow": arrow,
        "standing": standing,
        "label": label,
        "strip": _strip(entry),
    }


def _standing(metric: Metric, entry: Json, trivial: str) -> tuple[str, str]:
    """How the value stands to real data: (class of the mark, words).

    As real where the interval reaches the floor, or the value is on the better side of it or no worse than
    NEGLIGIBLE; near real where the gap is under a quarter of that of the trivial generator that fails this figure.
    """
    value, floor = entry["value"], entry["floor"]
    if value is None:
        return "none", "undefined"
    if floor is None:
        return "none", "no floor"
    gap = _gap(metric, value, floor)
    reached = entry["low"] is not None and entry["low"] <= floor <= entry["high"]
    if gap <= NEGLIGIBLE or reached:
        return "good", "as real"
    worst = entry[trivial]
    span = 0.0 if worst is None else _gap(metric, worst, floor)
    if span <= 0:
        return "fair", "short of real"
    return ("fair", "near real") if gap < span / 4 else ("bad", "far from real")


def _gap(metric: Metric, value: float, floor: float) -> float:
    """How much worse than the floor a value is; 0 or less where it is not."""
    if metric.better == "lower":
        return value - floor
    if metric.better == "higher":
        return floor - value
    if metric.target is None:
        return abs(value - floor)
    return abs(value - metric.target) - abs(floor - metric.target)


def _strip(entry: Json) -> dict[str, Any] | None:
    """Places in pixels of the value, its interval and what stands beside it, on one scale."""
    places = {name: entry[name] for name in ("value", "floor", "independent", "copy", "low", "high")}
    known = [value for value in places.values() if value is not None]
    if places["value"] is None or not known:
        return None
    least, span = min(known), max(known) - min(known)
    scale = (STRIP_WIDTH - 2 * STRIP_PAD) / span if span > 0 else 0.0
    middle = 0.0 if span > 0 else STRIP_WIDTH / 2 - STRIP_PAD
    return {
        name: None if value is None else round(STRIP_PAD + middle + (value - least) * scale, 1)
        for name, value in places.items()
    }


def _tiles(metrics: Json, lift: Json | None) -> list[dict[str, str]]:
    """The few figures that a hurried reader wants, each with a sentence."""
    quality, privacy, diversity = metrics["quality"], metrics["privacy"], metrics["diversity"]

    def beside(entry: Json, trivial: str) -> str:
        other = "shuffled columns" if trivial == "independent" else "a copy"
        return f"real data {figure(entry['floor'])}, {other} {figure(entry[trivial])}"

    tiles = [
        ("Told apart?", quality["c2st_auc"], "classifier AUC, 0.5 is a coin toss", "independent"),
        ("Column pairs", quality["trend_error"], "mean error, 0 is the same", "independent"),
        ("Reach", diversity["coverage"], "of real neighbourhoods are covered", "independent"),
        ("Privacy", privacy["dcr_share"], "lie nearer to training rows, 0.5 is chance", "copy"),
    ]
    out = [
        {"title": title, "value": figure(entry["value"]), "note": note, "beside": beside(entry, trivial)}
        for title, entry, note, trivial in tiles
    ]
    if quality["tstr"]["value"] is not None:
        entry = quality["tstr"]
        out.insert(
            2,
            {
                "title": "Usefulness",
                "value": figure(entry["value"]),
                "note": "score of a model that learnt from synthetic rows alone",
                "beside": beside(entry, "independent"),
            },
        )
    if lift and "figures" in lift:
        first = lift["metrics"][0]
        fewest = str(lift["rows"][0])
        entry = lift["figures"][fewest][first]["synthetic"]
        out.append(
            {
                "title": "Lift",
                "value": figure(entry["value"], signed=True),
                "note": f"{WORDS[first]} beside {int(fewest):,} real rows",
                "beside": f"95 % interval {figure(entry['low'], signed=True)} to {figure(entry['high'], signed=True)}",
            }
        )
    return out


def _attacks(entries: Json) -> list[dict[str, Any]]:
    """The attacks that are defined, each with whether its interval is above chance."""
    found = []
    for metric in METRICS["attacks"]:
        entry = entries[metric.name]
        chance = CHANCE.get(metric.name, 0.0)
        if entry["value"] is not None:
            found.append({"title": metric.title, "entry": entry, "chance": chance, "proven": entry["low"] > chance})
    return found


def _verdict(verdict: Json | None) -> dict[str, Any]:
    """The banner: its class, headline and sentence."""
    if verdict is None:
        return {"mark": "none", "headline": "Measured", "text": "No gate was asked.", "reasons": [], "checks": []}
    passed = bool(verdict["passed"])
    return {
        "mark": "good" if passed else "bad",
        "headline": "Cleared for release" if passed else "Refused: not released",
        "text": "Every check of the gate is met." if passed else "The gate stopped this dataset, for these reasons:",
        "reasons": list(verdict.get("reasons", ())),
        "checks": [{**check, "bound": _bound(check.get("bound"))} for check in verdict.get("checks", ())],
    }


def _bound(bound: Any) -> str:
    if not isinstance(bound, Mapping):
        return "" if bound is None else str(bound)
    signs = {"min": "≥", "max": "≤"}
    return ", ".join(f"{signs.get(key, key)} {value:g}" for key, value in bound.items() if value is not None)


def _validation(validation: Json | None) -> dict[str, Any] | None:
    """Counts and rows of the validation table, failures first."""
    if validation is None:
        return None
    rows = []
    for check in validation.get("expectations", ()):
        names = check.get("columns", check.get("column"))
        listed = [names] if isinstance(names, str) else list(names or ())
        rows.append(
            {
                "name": words(str(check.get("expectation", "")).removeprefix("expect_")),
                "columns": ", ".join(str(name) for name in listed),
                "severity": str(check.get("severity", "")),
                "success": bool(check.get("success")),
                "observed": _short(check.get("observed")),
            }
        )
    rows.sort(key=lambda row: (row["success"], row["severity"] != "critical"))
    failed = [row for row in rows if not row["success"]]
    return {
        "success": bool(validation.get("success")),
        "rows": validation.get("rows"),
        "checks": rows,
        "failed": failed,
        "passed": len(rows) - len(failed),
    }


def _short(value: Any, length: int = 120) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else figure(value) if isinstance(value, int | float) else json.dumps(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def _speed(speed: Json) -> list[tuple[str, str]]:
    """Titles and figures of what the run cost."""
    units = {"wall_seconds": " s", "cpu_seconds": " s", "peak_memory_mb": " MB"}
    names = {"wall_seconds": "wall time", "cpu_seconds": "processor time", "peak_memory_mb": "peak memory"}
    shown = []
    for key, value in speed.items():
        if isinstance(value, Mapping):
            shown += [
                (f"{words(key).capitalize()}: {names.get(name, words(name))}", f"{_amount(cost)}{units.get(name, '')}")
                for name, cost in value.items()
            ]
        else:
            shown.append((words(key).capitalize(), f"{round(value):,}"))
    return shown


def _amount(cost: float) -> str:
    """Three digits, or all before the point."""
    return f"{cost:,.0f}" if abs(cost) >= 100 else f"{cost:.3g}"


def _flat(value: Json, prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as lines `a.b.c`, value."""
    lines: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            lines += _flat(item, f"{name}.")
        else:
            lines.append((name, item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, default=str)))
    return lines
