"""The gate: bounds, undefined figures, unknown names, and the two trivial generators that it must stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables import people

from synth.config import GATE, Bound, load_params
from synth.detection import detect
from synth.errors import ConfigError
from synth.evaluation.measurements import evaluate
from synth.evaluation.tables import Tables
from synth.frames import from_pandas
from synth.gate import Verdict, gate

VALID = {"success": True, "critical_failures": [], "warnings": ["a warning stops nothing"], "expectations": []}


def figures(**values: float | None) -> dict:
    """Measurements of one area, with an entry beside it that is none."""
    entries = {name: {"value": value, "reason": "too few rows"} for name, value in values.items()}
    return {"quality": entries, "columns": {"x": {"shape_error": 0.1}}, "pairs": [], "undefined": {}, "seed": 0}


@pytest.mark.parametrize(
    ("bound", "value", "passed"),
    [
        (Bound(max=0.5), 0.5, True),
        (Bound(max=0.5), 0.5001, False),
        (Bound(min=0.5), 0.5, True),
        (Bound(min=0.5), 0.4999, False),
        (Bound(min=0.2, max=0.5), 0.3, True),
        (Bound(min=0.2, max=0.5), 0.1, False),
        (Bound(min=0.2, max=0.5), 0.6, False),
        (Bound(min=-1), None, False),
        (Bound(max=0.5), float("nan"), False),
    ],
)
def test_bounds_hold_their_ends_and_nothing_beyond(bound, value, passed):
    verdict = gate(VALID, figures(auc=value), {"quality.auc": bound})
    assert verdict.passed is passed
    assert bool(verdict.reasons) is not passed


def test_a_reason_names_figure_value_and_bound():
    verdict = gate(VALID, figures(auc=0.9, gap=None), {"quality.auc": Bound(max=0.65), "quality.gap": Bound(min=0.1)})
    assert verdict.reasons == (
        "quality.auc is 0.9, must be at most 0.65",
        "quality.gap is undefined (too few rows), must be at least 0.1",
    )
    assert [check.passed for check in verdict.checks] == [True, False, False]


def test_a_critical_failure_stops_whatever_the_figures_say():
    broken = {**VALID, "success": False, "critical_failures": ["column 'age': values to be between: 3 of 9 values"]}
    verdict = gate(broken, figures(auc=0.5), {"quality.auc": Bound(max=0.65)})
    assert not verdict.passed
    assert verdict.reasons == ("validation: column 'age': values to be between: 3 of 9 values",)


def test_a_warning_stops_nothing():
    assert gate(VALID, figures(auc=0.5), {"quality.auc": Bound(max=0.65)}).passed


@pytest.mark.parametrize("name", ["quality.auk", "auc", "quality", "columns.x", "seed"])
def test_an_unknown_figure_is_refused_with_the_list(name):
    with pytest.raises(ConfigError, match=r"is not a figure; there are: quality\.auc$"):
        gate(VALID, figures(auc=0.5), {name: Bound(max=1)})


def test_a_verdict_survives_json():
    verdict = gate(VALID, figures(auc=0.9, gap=None), {"quality.auc": Bound(max=0.65), "quality.gap": Bound(min=0.1)})
    assert Verdict.from_dict(json.loads(json.dumps(verdict.as_dict()))) == verdict


@pytest.fixture(scope="module")
def tables() -> Tables:
    """1,000 training rows with relations between the columns, and as many unseen ones."""
    frames = [people(1000, seed).drop(columns="id") for seed in range(4)]
    schema = detect(from_pandas(frames[0]), target="churned")
    return Tables(*frames, schema=schema)


@pytest.fixture(scope="module")
def bounds() -> dict[str, Bound]:
    """The gate that the committed params.yaml asks for."""
    return dict(load_params(Path(__file__).parents[1] / "params.yaml").gate)


def judge(tables: Tables, synthetic: pd.DataFrame, bounds: dict[str, Bound]) -> Verdict:
    """The gate's answer to a generator's rows."""
    return gate(VALID, evaluate(replace(tables, synthetic=synthetic), seed=0, repeats=2), bounds)


def test_the_default_gate_is_the_committed_one(bounds):
    assert bounds == GATE


def test_unseen_real_rows_pass(tables, bounds):
    assert judge(tables, tables.synthetic, bounds).reasons == ()


def test_a_copy_of_the_training_rows_is_stopped_for_privacy_alone(tables, bounds):
    verdict = judge(tables, tables.train, bounds)
    failed = {check.name for check in verdict.checks if not check.passed}
    attacks = {name for name in bounds if name.startswith("attacks.")}
    assert failed == {"privacy.dcr_share", "privacy.identical_excess"} | attacks


def test_a_bootstrap_with_noise_is_stopped_by_every_attack(tables, bounds):
    rng = np.random.default_rng(0)
    rows = tables.train.sample(len(tables.train), replace=True, random_state=0).reset_index(drop=True)
    rows["income"] += rng.normal(0, 0.01 * rows["income"].std(), len(rows))
    failed = {check.name for check in judge(tables, rows, bounds).checks if not check.passed}
    assert {name for name in bounds if name.startswith("attacks.")} <= failed


@pytest.mark.parametrize("name", GATE)
def test_each_threshold_stops_by_itself(name):
    def measured(value: Callable[[str, Bound], float]) -> dict:
        entries: dict = {}
        for key, bound in GATE.items():
            area, figure, *end = key.split(".")
            entries.setdefault(area, {})[figure] = {"value": 0.0, end[0] if end else "value": value(key, bound)}
        return entries

    def edge(key: str, bound: Bound) -> float:
        return bound.max if bound.max is not None else bound.min

    def beyond(key: str, bound: Bound) -> float:
        step = 0.0 if key != name else 1e-6 if bound.max is not None else -1e-6
        return edge(key, bound) + step

    assert gate(VALID, measured(edge), GATE).passed
    refused = gate(VALID, measured(beyond), GATE)
    assert [check.name for check in refused.checks if not check.passed] == [name]


def test_an_end_of_an_interval_can_be_bounded():
    entries = {"attacks": {"linkability": {"value": 0.3, "low": 0.1, "high": 0.5}}}
    assert gate(VALID, entries, {"attacks.linkability.low": Bound(max=0.2)}).passed
    assert not gate(VALID, entries, {"attacks.linkability.high": Bound(max=0.4)}).passed
    missing = {"attacks": {"linkability": {"value": None, "low": None, "high": None, "reason": "one column"}}}
    reasons = gate(VALID, missing, {"attacks.linkability.low": Bound(max=0.2)}).reasons
    assert reasons == ("attacks.linkability.low is undefined (one column), must be at most 0.2",)


def test_independent_columns_are_stopped_for_quality(tables, bounds):
    rng = np.random.default_rng(0)
    shuffled = pd.DataFrame({name: rng.permutation(tables.train[name].array) for name in tables.train})
    verdict = judge(tables, shuffled.astype(tables.train.dtypes), bounds)
    failed = {check.name for check in verdict.checks if not check.passed}
    assert {"quality.trend_error", "quality.c2st_auc"} <= failed
    assert "quality.shape_error" not in failed
