"""Series by the command: a long CSV in, long Parquet, figures and forecasts out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from commands import synth
from walks import prices, walks

from synth.config import load_params
from synth.storage import read_json, read_parquet

SMALL = [part for key in ("width=32", "layers=1", "epochs=6", "min_steps=300") for part in ("--set", key)]
SERIES = ("--entity", "id", "--time", "at")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """`train.csv`, `test.csv` and a model of the first."""
    place = tmp_path_factory.mktemp("series")
    pyarrow.csv.write_csv(walks(500), place / "train.csv")
    pyarrow.csv.write_csv(walks(300, 1), place / "test.csv")
    done = synth("fit", "train.csv", *SERIES, "--target", "kind", "--out", "model", *SMALL, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "model: series_autoregressive, 500 rows" in done.stdout
    assert "\x1f" not in done.stderr + done.stdout
    return place


def test_series_are_drawn_validated_measured_and_forecast(desk):
    done = synth("sample", "model", "--rows", 300, "--shards", 2, "--out", "made", cwd=desk)
    assert done.returncode == 0, done.stderr
    made = read_parquet(desk / "made").to_pandas()
    assert made["id"].nunique() == 300
    done = synth("validate", "made", "--model", "model", "--train", "train.csv", cwd=desk)
    assert done.returncode == 0, done.stderr + done.stdout
    real = ("--train", "train.csv", "--test", "test.csv", "--target", "kind", *SERIES)
    done = synth("evaluate", "made", *real, "--out", "figures", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert read_json(desk / "figures/metrics.json")["dynamics"]["spacing_error"]["value"] < 0.15
    ask = ("forecast", "test.csv", "--model", "model", "--horizon", 4, "--paths", 20)
    done = synth(*ask, "--out", "paths.parquet", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert read_parquet(desk / "paths.parquet").num_rows == 300 * 20 * 4
    done = synth(*ask, "--quantile", 0.1, "--quantile", 0.9, "--out", "quantiles.parquet", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert "value 0.9" in read_parquet(desk / "quantiles.parquet").column_names


def test_every_step_gets_the_likelihood_of_its_series(desk):
    real = walks(300, 1)
    ids = real["id"].to_pandas()
    longest = ids.value_counts().idxmax()
    swapped = [
        {"low": "high", "high": "low"}[s] if i == longest else s
        for i, s in zip(ids, real["state"].to_pylist(), strict=True)
    ]
    odd = real.set_column(real.column_names.index("state"), "state", [swapped])
    pyarrow.csv.write_csv(odd.take(np.random.default_rng(0).permutation(len(odd))), desk / "odd.csv")
    found = {}
    for name in ("test", "odd"):
        done = synth("score", f"{name}.csv", "--model", "model", "--out", f"{name}_scored.parquet", cwd=desk)
        assert done.returncode == 0, done.stderr
        scored = read_parquet(desk / f"{name}_scored.parquet").to_pandas()
        assert len(scored) == len(ids)
        assert (scored.groupby("id")["log_prob"].nunique() == 1).all()
        found[name] = scored.groupby("id")["log_prob"].first()
    fallen = found["test"] - found["odd"]
    assert fallen[longest] > 5
    assert np.allclose(fallen.drop(longest), 0, atol=1e-3)


def test_a_step_that_stands_twice_fails_the_validation(desk):
    made = read_parquet(desk / "model.parquet") if (desk / "model.parquet").exists() else walks(500)
    twice = desk / "twice.csv"
    pyarrow.csv.write_csv(made, twice)
    twice.write_text(twice.read_text() + twice.read_text().splitlines()[1] + "\n")
    done = synth("fit", "twice.csv", *SERIES, "--out", "other", cwd=desk)
    assert done.returncode == 2
    assert "stands twice of id" in done.stderr
    assert not (desk / "other").exists()


def test_one_long_series_is_cut(tmp_path):
    pyarrow.csv.write_csv(prices(400), tmp_path / "prices.csv")
    done = synth("init", "prices.csv", "--window", 20, "--stride", 5, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    params = load_params(tmp_path / "params.yaml")
    assert params.run("prices-series_autoregressive").model == "series_autoregressive"
    assert params.dataset("prices").series.window == 20
    done = synth("fit", "prices.csv", "--time", "close", "--out", "model", cwd=tmp_path)
    assert done.returncode == 2
    assert "cut it by --window" in done.stderr
    done = synth("fit", "prices.csv", "--window", 20, "--out", "model", *SMALL, "--set", "min_steps=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = synth("sample", "model", "--rows", 3, "--out", "made.parquet", cwd=tmp_path)
    made = read_parquet(tmp_path / "made.parquet").to_pandas()
    assert made.groupby("series").size().tolist() == [20, 20, 20]
    assert (made["high"] >= made[["open", "close"]].max(axis=1)).all()
