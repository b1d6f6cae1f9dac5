"""params.yaml: what is unknown or wrong is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.config import load_params, parse_params
from synth.errors import ConfigError, InputError

GOOD = """
datasets: {d: {source: {path: x.csv}, target: y}}
models: {autoregressive: {epochs: 2}}
runs: {r: {dataset: d, model: autoregressive, config: {epochs: 3, width: 8}}}
"""


def test_the_committed_configuration_is_valid():
    params = load_params(Path(__file__).parents[1] / "params.yaml")
    for run in params.runs.values():
        assert params.hyperparameters(run)["epochs"] > 0


def test_a_run_has_the_last_word_over_its_family():
    params = parse_params(GOOD, "p")
    assert params.hyperparameters(params.run("r")) == {"epochs": 3, "width": 8}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("target: y", "targte: y", "unknown key 'datasets.d.targte'"),
        ("runs:", "lift: {row: [1]}\nruns:", "unknown key 'lift.row'"),
        (
            "runs:",
            "sample: {conditions: {x: {balance: y}}}\nruns:",
            "sample.conditions: 'x' is not a run",
        ),
        ("dataset: d", "dataset: e", "runs.r.dataset: 'e' is not declared; there are: d"),
        ("model: auto", "model: otto", "runs.r.model: 'ottoregressive' has no entry"),
        (
            "{path: x.csv}",
            "{path: x.csv, url: s3://b/x}",
            "exactly one of path, url, sql, wheel, sdist (found path, url)",
        ),
        ("{path: x.csv}", "{sql: sqlite:///x.db}", "sql needs a table"),
        ("{path: x.csv}", "{wheel: a, files: [b]}", "wheel needs a pinned version"),
        ("{path: x.csv}", "{sdist: a==1, files: [b]}", "sdist needs a pinned version"),
        ("target: y", "split: {holdout: .6, test: .5}", "leave nothing to train on"),
        ("{d:", "{../d:", "is not a name"),
        ("runs: {r:", "gate: {quality.x: {}}\nruns: {r:", "gate.quality.x: give min, max or both"),
        ("runs: {r:", "seed: -1\nruns: {r:", "seed: Input should be greater"),
        ("runs: {r:", "runs: {d:", "a dataset has this name"),
        (
            "{epochs: 2}",
            "{max_minutes: 2}",
            "models.autoregressive.max_minutes: not a hyper-parameter, but a key of a run",
        ),
        ("{epochs: 3", "{seed: 3", "runs.r.config.seed: not a hyper-parameter, but a key of the whole file"),
        ("datasets: {d", "datasets: [d", "line 2: not YAML"),
    ],
)
def test_mistakes_are_named(old, new, message):
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse_params(GOOD.replace(old, new, 1), "p.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("p.yaml:")
    assert "\n" not in str(caught.value)


def test_missing_file_and_no_mapping(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_params(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="expected a mapping"):
        parse_params("[1]", "p.yaml")


def test_unknown_names_list_the_known():
    params = parse_params(GOOD, "p")
    with pytest.raises(ConfigError, match="run 'x' is unknown; there are: r"):
        params.run("x")
    with pytest.raises(ConfigError, match="dataset 'x' is unknown; there are: d"):
        params.dataset("x")
