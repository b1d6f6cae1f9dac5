"""All figures of a synthetic table at once, each beside its floor and two trivial generators."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from synth.evaluation import attacks, diversity, dynamics, likeness, privacy, quality, writing
from synth.evaluation.attacks.rates import Rate
from synth.evaluation.encoding import View, Views
from synth.evaluation.metric import Figures, Metric
from synth.evaluation.tables import Tables

AREAS = {"quality": quality, "diversity": diversity, "privacy": privacy}
PICTURES, TEXTS, SERIES = {"likeness": likeness}, {"writing": writing}, {"dynamics": dynamics}  # where there are some
METRICS: dict[str, tuple[Metric, ...]] = {
    **{area: module.METRICS for area, module in {**PICTURES, **TEXTS, **SERIES, **AREAS}.items()},
    "attacks": attacks.METRICS,
}
STAND_INS = ("floor", "independent", "copy")
WORST_PAIRS = 20
INTERVAL = (
    "95 % interval from {repeats} random halves of all tables (half-sampling, Student's t); of the attacks from their "
    "own counts"
)

Result = dict[str, Any]


def evaluate(data: Tables, *, seed: int = 0, repeats: int = 5) -> Result:
    """Measure quality, diversity and privacy of `data.synthetic`, and attack it.

    Returns JSON without NaN: an entry for each figure under its area with `value`, `low`, `high` (interval),
    `floor` (the test rows in the place of the synthetic ones; for tstr the model trained on real rows), `independent`
    (train with every column shuffled by itself) and `copy` (train itself), and `reason` where the value is None;
    `columns` and `pairs` (worst first) with their errors; `undefined` columns with the reason; `subsample` with the
    rows that the figures were read from.

    The interval of a figure is read from `repeats` random halves of all four tables: the spread of the figure over
    halves without replacement estimates the standard error on all rows (McCarthy 1969). An attack is run on the whole
    tables alone, its interval comes from its own counts. Where holdout and test are the same rows, every second one is
    taken for the holdout and the rest for the test, or the floor would be compared with itself. The same seed gives the
    same result.
    """
    views, root = _apart(data.views), np.random.SeedSequence(seed)
    seeds, attack_seed = root.spawn(repeats + 4), root.spawn(1)[0]
    columns = quality.column_errors(views, np.random.default_rng(seeds[0]))
    pairs = quality.pair_errors(views, np.random.default_rng(seeds[0]))
    shown = measure(views, np.random.default_rng(seeds[0]))
    halves = [measure(_halved(views, rng), rng) for rng in map(np.random.default_rng, seeds[4:])]
    rngs = dict(zip(STAND_INS, map(np.random.default_rng, seeds[1:4]), strict=True))
    stand_ins = _stand_ins(views, rngs["independent"])
    beside = _beside(stand_ins, rngs)
    unseen = views.with_synthetic(views.test)
    floors = quality.column_errors(unseen, np.random.default_rng(seeds[1])) if len(views.test) else {}
    result: Result = {
        area: {
            metric.name: _entry(metric, shown[area], [half[area] for half in halves], beside, area)
            for metric in METRICS[area]
        }
        for area in areas(views)
    }
    result["attacks"] = _attacked(views, stand_ins, attack_seed)
    result["columns"] = {
        name: {"shape_error": _round(error), "floor": _round(floors.get(name))}
        for name, error in sorted(columns.items(), key=lambda item: -item[1])
    }
    worst = sorted(pairs.items(), key=lambda item: -item[1])[:WORST_PAIRS]
    result["pairs"] = [{"columns": list(names), "trend_error": _round(error)} for names, error in worst]
    result["undefined"] = dict(views.undefined)
    result["subsample"] = {
        **{role: len(getattr(views, role)) for role in ("train", "holdout", "test", "synthetic")},
        **{key: count for module in (*areas(views).values(), attacks) for key, count in module.rows(views).items()},
    }
    result["seed"], result["repeats"], result["interval"] = seed, repeats, INTERVAL.format(repeats=repeats)
    return result


def measure(views: Views, rng: np.random.Generator) -> dict[str, Figures]:
    """The bare figures of each area for `views.synthetic`."""
    return {area: module.measure(views, rng) for area, module in areas(views).items()}


def areas(views: Views) -> dict[str, ModuleType]:
    """The rooms whose figures are defined for these rows."""
    texts, series = (
        {} if one is None else area for one, area in ((views.train.texts, TEXTS), (views.train.steps, SERIES))
    )
    return {**(PICTURES if views.pictures else {}), **texts, **series, **AREAS}


def independent_columns(view: View, rng: np.random.Generator) -> View:
    """Every column shuffled by itself: each alone is perfect, and nothing fits together."""
    texts = None if view.texts is None else rng.permutation(view.texts)
    steps = None if view.steps is None else np.stack([rng.permutation(one) for one in np.moveaxis(view.steps, 2, 0)], 2)
    return View(rng.permuted(view.numbers, axis=0), rng.permuted(view.codes, axis=0), texts, steps)


def _stand_ins(views: Views, rng: np.random.Generator) -> dict[str, Views]:
    """The same comparison for what takes the place of the synthetic rows; without the floor where there are no rows."""
    made = {"floor": views.test, "independent": independent_columns(views.train, rng), "copy": views.train}
    return {name: views.with_synthetic(view) for name, view in made.items() if len(view)}


def _beside(stand_ins: dict[str, Views], rngs: dict[str, np.random.Generator]) -> dict[str, dict[str, Figures]]:
    found = {name: measure(views, rngs[name]) for name, views in stand_ins.items()}
    if "floor" in found:
        found["floor"]["quality"]["tstr"] = found["copy"]["quality"]["tstr"]  # trained on real, tested on real
    return found


def _attacked(views: Views, stand_ins: dict[str, Views], seed: np.random.SeedSequence) -> Result:
    """An entry for each figure of the attacks."""
    shown = attacks.attack(views, seed)
    beside = {name: attacks.attack(other, seed) for name, other in stand_ins.items()}

    def entry(metric: Metric) -> Result:
        rate = shown[metric.name]
        ends = {name: _round(getattr(rate, name, None)) for name in Rate._fields}
        others = {name: _round(getattr(beside.get(name, {}).get(metric.name), "value", None)) for name in STAND_INS}
        return {**ends, **others, **({} if rate else {"reason": metric.undefined})}

    return {metric.name: entry(metric) for metric in attacks.METRICS}


def _apart(views: Views) -> Views:
    """The same comparison with no row both in holdout and test where the two are the same table."""
    if not views.names or len(views.holdout) != len(views.test):
        return views
    if not np.array_equal(privacy.row_keys(views.holdout), privacy.row_keys(views.test)):
        return views
    rows = np.arange(len(views.test))
    return replace(views, holdout=views.holdout.take(rows[::2]), test=views.test.take(rows[1::2]))


def _halved(views: Views, rng: np.random.Generator) -> Views:
    tables = {role: getattr(views, role) for role in ("train", "holdout", "test", "synthetic")}
    return replace(views, **{role: view.draw(math.ceil(len(view) / 2), rng) for role, view in tables.items()})


def _entry(
    metric: Metric, shown: Figures, halves: list[Figures], beside: dict[str, dict[str, Figures]], area: str
) -> Result:
    value = shown[metric.name]
    entry: Result = {"value": _round(value), **_interval(metric, value, [half[metric.name] for half in halves])}
    for name in STAND_INS:
        entry[name] = _round(beside[name][area][metric.name]) if name in beside else None
    if value is None:
        entry["reason"] = metric.undefined
    return entry


def _interval(metric: Metric, value: float | None, values: list[float | None]) -> Figures:
    """Low and high end around `value`, within what the metric can be; None without two halves to compare."""
    from scipy.stats import t

    defined = [half for half in values if half is not None]
    if value is None or len(defined) < 2:
        return {"low": None, "high": None}
    margin = float(np.std(defined, ddof=1) * t.ppf(0.975, len(defined) - 1))
    low = -math.inf if metric.low is None else metric.low
    high = math.inf if metric.high is None else metric.high
    return {"low": _round(max(low, value - margin)), "high": _round(min(high, value + margin))}


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 6)
