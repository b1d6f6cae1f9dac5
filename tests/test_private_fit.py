"""A fit under a promise, end to end: what it keeps, what it says, and what it refuses."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from synth import Synthesizer, models
from synth.cli import app
from synth.errors import ConfigError, InputError
from synth.privacy import Ledger
from synth.schema import Domain

PROMISE = {"epsilon": 3.0, "delta": 1e-4}
DOMAINS = {
    "age": Domain(min=18, max=97),
    "pay": Domain(min=0, max=100_000, apart=(0,)),
    "job": Domain(values=("cook", "nurse", "smith"), nulls=True),
    "rich": Domain(values=(False, True)),
}
ABLE = [name for name in models.available() if models.family(name).Model.private]
SMALL = {"autoregressive": {"width": 16, "epochs": 10, "batch_size": 256}}


def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 98, rows)
    pay = np.where(rng.random(rows) < 0.4, 0, (age * 900 + rng.normal(0, 4000, rows)).clip(1, 100_000)).astype(int)
    job = np.where(rng.random(rows) < 0.1, None, np.where(age < 50, "cook", rng.choice(["nurse", "smith"], rows)))
    return pd.DataFrame({"age": age, "pay": pay, "job": pd.array(job, dtype="string"), "rich": pay > 50_000})


@pytest.fixture(scope="module", params=ABLE)
def fitted(request) -> Synthesizer:
    synthesizer = Synthesizer(request.param, privacy=PROMISE, **SMALL.get(request.param, {}))
    with pytest.MonkeyPatch.context() as patch:  # noise that is the same in every run of the tests
        patch.setattr("synth.synthesizer.Ledger", partial(Ledger, rng=np.random.default_rng(0)))
        return synthesizer.fit(frame(3001), target="rich", domains=DOMAINS)


def test_samples_have_the_types_and_the_domain_of_the_source(fitted):
    drawn = fitted.sample(2000)
    assert drawn.dtypes.equals(frame(10).dtypes)
    assert drawn["age"].between(18, 97).all()
    assert set(drawn["job"].dropna()) <= {"cook", "nurse", "smith"}
    assert 0.02 < drawn["job"].isna().mean() < 0.25
    assert 0.2 < (drawn["pay"] == 0).mean() < 0.65


def test_what_hangs_together_in_the_source_hangs_together_in_samples(fitted):
    drawn = fitted.sample(4000)
    assert drawn.loc[drawn["rich"], "age"].mean() > drawn.loc[~drawn["rich"], "age"].mean() + 5


def test_a_saved_model_says_its_promise_and_not_how_many_rows_there_were(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    text = (tmp_path / "model" / "synthesizer.json").read_text(encoding="utf-8")
    said = json.loads(text)["privacy"]
    assert (said["epsilon"], said["delta"]) == (3.0, 1e-4)
    assert 2.5 < said["epsilon_spent"] <= 3.0
    assert said["record"] == "one row of the source"
    assert said["covered"]
    assert not {3001, 3001 / 1} & set(numbers(json.loads(text)))
    loaded = Synthesizer.load(tmp_path / "model")
    assert loaded.privacy_ == fitted.privacy_
    assert loaded.sample(50).equals(fitted.sample(50))


def numbers(content) -> list[float]:
    """Every number of a JSON document."""
    if isinstance(content, dict):
        return [found for value in content.values() for found in numbers(value)]
    if isinstance(content, list):
        return [found for value in content for found in numbers(value)]
    return [content] if isinstance(content, int | float) and not isinstance(content, bool) else []


def test_the_seed_gives_no_noise_away():
    first, second = (
        Synthesizer(privacy=PROMISE, seed=5, **SMALL["autoregressive"]).fit(frame(500), domains=DOMAINS)
        for _ in range(2)
    )
    states = [synthesizer.model_.state_dict() for synthesizer in (first, second)]
    trained = [name for name in states[0] if not torch.equal(states[0][name], states[1][name])]
    assert any("heads" in name for name in trained)


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan"), "much"])
def test_an_epsilon_that_promises_nothing_is_refused_by_name(epsilon):
    with pytest.raises(ConfigError, match="privacy: epsilon"):
        Synthesizer(privacy={"epsilon": epsilon, "delta": 1e-6})


@pytest.mark.parametrize("delta", [0, 1, -0.1])
def test_a_delta_out_of_range_is_refused_by_name(delta):
    with pytest.raises(ConfigError, match="privacy: delta"):
        Synthesizer(privacy={"epsilon": 1, "delta": delta})


def test_validation_rows_that_would_choose_the_weights_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"autoregressive: validation_share 0.1: .* past the privacy budget"):
        Synthesizer(privacy=PROMISE, validation_share=0.1)


def test_a_delta_above_one_over_rows_is_refused_before_training():
    with pytest.raises(ConfigError, match=r"privacy: delta 0.01 is above 1 / rows \(0.002\)"):
        Synthesizer(privacy={"epsilon": 1, "delta": 0.01}).fit(frame(500), domains=DOMAINS)


@pytest.mark.parametrize("name", ABLE)
def test_an_epsilon_too_small_for_the_data_is_refused_before_training(name):
    with pytest.raises(ConfigError, match=r"privacy: epsilon 0.001 is too small for these data: .* rows"):
        Synthesizer(name, privacy={"epsilon": 0.001, "delta": 1e-4}).fit(frame(500), domains=DOMAINS)


@pytest.mark.parametrize("name", ABLE)
def test_a_table_of_made_up_columns_alone_has_nothing_to_learn(name):
    rows = pd.DataFrame({"id": [f"A{number:05d}" for number in range(400)]})
    fitted = Synthesizer(name, privacy=PROMISE).fit(rows)
    assert fitted.sample(30)["id"].is_unique
    assert fitted.privacy_["epsilon"] == 3.0


@pytest.mark.parametrize("name", [name for name in models.available() if name not in ABLE])
def test_a_family_that_cannot_keep_a_budget_is_refused_by_name(name):
    with pytest.raises(ConfigError, match=f"privacy: the family {name!r} cannot keep a budget; these can: autoreg"):
        Synthesizer(name, privacy=PROMISE)


def test_a_domain_that_misses_values_is_refused_before_training():
    with pytest.raises(InputError, match=r"column 'age': \d+ of 500 values are outside"):
        Synthesizer(privacy=PROMISE).fit(frame(500), domains={**DOMAINS, "age": Domain(min=18, max=50)})


def test_rules_are_refused_under_a_promise():
    rules = [{"kind": "inequality", "columns": ["age", "pay"]}]
    data = frame(500).assign(pay=lambda found: found["age"] + 1)
    with pytest.raises(ConfigError, match="privacy: rules are read off rows"):
        Synthesizer(privacy=PROMISE).fit(data, rules=rules)


def test_the_command_line_keeps_a_promise_and_refuses_half_of_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame(800).to_csv("rows.csv", index=False)
    (tmp_path / "domains.yaml").write_text(
        "domains:\n  age: {min: 18, max: 97}\n  pay: {min: 0, max: 100000, apart: [0]}\n"
        "  job: {values: [cook, nurse, smith], nulls: true}\n  rich: {values: [false, true]}\n",
        encoding="utf-8",
    )
    runner = CliRunner()
    small = ["--set", "epochs=2", "--set", "width=8"]
    call = ["fit", "rows.csv", "--out", "model", "--domains", "domains.yaml", *small]
    half = runner.invoke(app, [*call, "--epsilon", "1"])
    assert half.exit_code != 0
    assert not (tmp_path / "model").exists()
    done = runner.invoke(app, [*call, "--epsilon", "1", "--delta", "0.001"])
    assert done.exit_code == 0, done.output
    assert (
        json.loads((tmp_path / "model" / "synthesizer.json").read_text(encoding="utf-8"))["privacy"]["epsilon"] == 1.0
    )
    (tmp_path / "domains.yaml").write_text("age: {min: 18}\n", encoding="utf-8")
    wrong = runner.invoke(app, call)
    assert wrong.exit_code != 0
    assert "age" in str(wrong.exception)
