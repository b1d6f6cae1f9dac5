"""Lift of series: a class of whole series is told from features of their steps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from synth.detection import detect
from synth.evaluation.lift import lift
from synth.evaluation.tables import Tables
from synth.nest import nest
from tests.walks import walks


def nested(series: int, seed: int) -> pa.Table:
    return nest(walks(series, seed), entity=["id"], time="at")


def found(made: pa.Table, rows: list[int]) -> dict:
    train, unseen = nested(400, 0), nested(500, 2)
    frames = {"train": train, "holdout": unseen, "test": unseen, "synthetic": made}
    schema = detect(train, target="kind")
    return lift(Tables(schema=schema, **{name: part.to_pandas() for name, part in frames.items()}), rows=rows, seeds=4)


def test_new_series_help_where_few_are_known():
    result = found(nested(800, 1), [16, 400])
    few, every = (result["figures"][count]["roc_auc"]["synthetic"] for count in ("16", "400"))
    assert result["found_at"][0] == 16
    assert few["low"] > 0.01
    assert few["value"] > every["value"]
    assert "smote" in result["figures"]["16"]["roc_auc"]


def test_series_whose_class_is_drawn_by_lot_do_not_help():
    made = nested(800, 1)
    place = made.column_names.index("kind")
    lots = np.random.default_rng(0).permutation(made.column("kind").to_pylist())
    result = found(made.set_column(place, "kind", pa.array(lots)), [100])
    assert not result["found"]
    assert result["figures"]["100"]["roc_auc"]["synthetic"]["value"] == pytest.approx(-0.2, abs=0.2)
