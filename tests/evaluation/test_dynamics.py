"""Figures of series: small for others of the same process, large for what differs in the one thing that each tells."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from walks import walks

from synth.detection import detect
from synth.evaluation.distributions import distributions
from synth.evaluation.measurements import evaluate, measure
from synth.evaluation.tables import Tables
from synth.nest import nest
from synth.report import render
from synth.series import flatten, nest_like


def tables(made: pa.Table) -> Tables:
    nested = nest(walks(400, regular=True), entity=["id"], time="at")
    others = {
        role: nest(walks(400, seed, regular=True), entity=["id"], time="at")
        for role, seed in (("holdout", 1), ("test", 2))
    }
    frames = {role: table.to_pandas() for role, table in {"train": nested, **others, "synthetic": made}.items()}
    return Tables(schema=detect(nested, target="kind"), **frames)


def figures(made: pa.Table) -> dict:
    return measure(tables(made).views, np.random.default_rng(0))["dynamics"]


def changed(change) -> pa.Table:
    nested = nest(walks(400, 3, regular=True), entity=["id"], time="at")
    frame = flatten(nested).to_pandas()
    frame["value"] = change(frame)
    long = pa.table({n: pa.array(frame[n], f.type) for n, f in zip(frame, flatten(nested).schema, strict=True)})
    return nest_like(long, nested.schema)


def test_each_figure_tells_what_differs():
    rng = np.random.default_rng(0)
    same = figures(changed(lambda frame: frame["value"]))
    assert same["memory_error"] < 0.1
    assert same["spacing_error"] == 0
    shuffled = figures(changed(lambda frame: rng.permutation(frame["value"])))
    assert shuffled["memory_error"] > 3 * same["memory_error"]
    wild = figures(changed(lambda frame: frame["value"] + rng.standard_t(1.1, len(frame)) * 3))
    assert wild["tail_error"] > 3 * same["tail_error"]
    irregular = nest(walks(400, 3), entity=["id"], time="at")
    assert figures(irregular)["spacing_error"] > 0.4


def test_the_report_draws_memory_and_some_synthetic_series():
    data = tables(changed(lambda frame: frame["value"]))
    found = distributions(data)["series"]
    assert list(found) == ["value", "count"]
    one = found["value"]
    assert np.abs(np.subtract(one["memory"]["real"], one["memory"]["synthetic"])).max() < 0.15
    assert len(one["unrest"]["real"]) == 10
    assert one["paths"][0][0] == data.synthetic["value"].iloc[0][0]
    json.dumps(found, allow_nan=False)
    page = render(title="t", schema=data.schema, metrics=evaluate(data, repeats=2), distributions={"series": found})
    for chart in ("paths-0", "memory-0", "paths-1", "memory-1"):
        assert f'id="{chart}"' in page


def test_all_figures_stand_beside_their_floors():
    found = evaluate(tables(changed(lambda frame: frame["value"])), repeats=2)
    assert set(found["dynamics"]) == {
        "memory_error", "unrest_error", "spectrum_error", "together_error", "tail_error", "spacing_error",
    }  # fmt: skip
    memory = found["dynamics"]["memory_error"]
    assert memory["value"] < memory["independent"] + 0.1
    assert found["quality"]["tstr"]["value"] > 0.85
    assert found["subsample"]["dynamics_train_steps"] > 1000
