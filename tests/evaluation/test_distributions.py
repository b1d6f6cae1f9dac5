"""What the report may draw: shares that add up, and nothing that only a few people have."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from synth.evaluation.distributions import OTHER, RARE, distributions


def test_shares_add_up(draws):
    found = distributions(draws())
    assert list(found["columns"]) == ["x", "y", "group", "city", "target"]
    for column in found["columns"].values():
        for role in ("real", "synthetic"):
            assert sum(column[role]) + column.get(f"{role}_null", 0) == pytest.approx(1, abs=1e-3)
    json.dumps(found, allow_nan=False)


def test_rare_values_are_joined(make_tables):
    words = ["common"] * 500 + ["usual"] * RARE + ["secret"] * (RARE - 1)
    found = distributions(make_tables(pd.DataFrame({"w": words})))["columns"]["w"]
    assert found["labels"] == ["common", "usual", OTHER]
    assert "secret" not in json.dumps(found)


def test_extremes_are_not_told_and_every_bin_has_enough_rows(make_tables):
    rng = np.random.default_rng(0)
    values = np.append(rng.lognormal(size=2000), [987654.0, -123456.0])
    found = distributions(make_tables(pd.DataFrame({"v": values})))["columns"]["v"]
    assert max(found["edges"]) < 100
    assert min(found["edges"]) > -1
    assert min(found["real"]) * len(values) >= RARE - 0.5


@pytest.mark.parametrize("rows", [2, 15])
def test_few_rows_have_few_bins(make_tables, rows):
    found = distributions(make_tables(pd.DataFrame({"v": np.arange(float(rows))})))["columns"]["v"]
    assert found["real"] == [1.0]


def test_nulls_and_dates(make_tables):
    when = pd.to_datetime(["2024-01-01", "2024-01-02", None, "9999-12-31"] * 20)
    found = distributions(make_tables(pd.DataFrame({"d": when}), kinds={"d": "datetime"}))["columns"]["d"]
    assert found["kind"] == "date"
    assert found["real_null"] == 0.25
    assert all(isinstance(edge, str) for edge in found["edges"])


def test_a_number_that_is_nearly_always_zero(make_tables):
    found = distributions(make_tables(pd.DataFrame({"v": [0.0] * 999 + [5e6]})))["columns"]["v"]
    assert found["real"] == [1.0]
    assert max(found["edges"]) < 1e5


def test_the_matrix_is_symmetric_and_bounded(make_tables):
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(60, 50)), columns=[f"c{i}" for i in range(50)])
    matrix = distributions(make_tables(wide, wide.sample(frac=1, random_state=0)))["pairs"]["matrix"]
    assert len(matrix) == 30
    assert all(matrix[i][j] == matrix[j][i] for i in range(30) for j in range(30))
    assert matrix[0][0] is None
