"""Fit, sample, save and load as a user does."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pytest
import torch
from tables import people

from synth import Synthesizer, models, requests
from synth.description import read_fitted
from synth.errors import ConfigError, FormatError, InputError


@pytest.mark.parametrize("rows", [0, 1, 7, 600])
def test_exactly_the_rows_asked_for_with_the_dtypes_of_the_source(fitted, frame, rows):
    sample = fitted.sample(rows)
    assert len(sample) == rows
    pd.testing.assert_series_equal(sample.dtypes, frame.dtypes)


def test_the_callers_frame_is_unchanged():
    frame = people(60)
    frame.index = pd.Index(range(100, 160), name="row")
    frame.attrs["note"] = {"a": 1}
    before = frame.copy(deep=True)
    Synthesizer(epochs=1, width=4).fit(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == {"note": {"a": 1}}


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(fitted):
    pd.testing.assert_frame_equal(fitted.sample(50, seed=3), fitted.sample(50, seed=3))
    pd.testing.assert_frame_equal(fitted.sample(50, seed=3), fitted.sample(90, seed=3).head(50))
    assert not fitted.sample(50, seed=3).equals(fitted.sample(50, seed=4))


@pytest.mark.parametrize("family", models.available("table"))
def test_the_rows_do_not_depend_on_how_many_processors_draw_them(family, monkeypatch):
    monkeypatch.setattr(requests, "BLOCK", 64)
    model = Synthesizer(family, epochs=1).fit(people(120))
    before = torch.get_num_threads()
    samples = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            samples.append(model.sample_table(600))
    finally:
        torch.set_num_threads(before)
    assert samples[0].equals(samples[1])


def test_two_fits_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        Synthesizer(epochs=2, width=8, seed=5).fit(people(100)).save(tmp_path / name)
    for file in ("model.safetensors", "synthesizer.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_loaded_model_samples_the_same_rows_and_saves_the_same_bytes(fitted, tmp_path):
    fitted.save(tmp_path / "m")
    loaded = Synthesizer.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.sample(40), fitted.sample(40))
    loaded.save(tmp_path / "n")
    assert (tmp_path / "m/synthesizer.json").read_bytes() == (tmp_path / "n/synthesizer.json").read_bytes()
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["model.safetensors", "synthesizer.json"]


def test_a_table_is_learnt_better_than_independent_columns(fitted, frame):
    sample = fitted.sample(3000)
    for column in ("age", "income"):
        assert abs(sample[column].mean() / frame[column].mean() - 1) < 0.1
    real = frame.groupby("churned")["income"].mean()
    drawn = sample.groupby("churned")["income"].mean()
    assert drawn["yes"] - drawn["no"] > 0.5 * (real["yes"] - real["no"]) > 0
    assert sample["id"].is_unique
    assert not set(sample["id"]) & set(frame["id"])


def test_arrow_in_and_out(fitted, frame):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    again = Synthesizer("autoregressive", seed=0, epochs=6, width=16).fit(table, target="churned")
    assert again.sample_table(30).equals(fitted.sample_table(30))


def test_settings_follow_scikit_learn():
    synthesizer = Synthesizer("autoregressive", seed=3, epochs=2)
    assert synthesizer.get_params()["epochs"] == 2
    assert synthesizer.set_params(epochs=4, seed=1).get_params()["epochs"] == 4
    assert synthesizer.epochs == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "nonsense"}, "model 'nonsense' is unknown; there are: .*autoregressive"),
        ({"epoch": 3}, "autoregressive: unknown key 'epoch'; there are: .*epochs"),
        ({"epochs": 0}, "autoregressive: epochs: "),
        ({"max_minutes": 0}, "max_minutes: expected a positive number"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Synthesizer(**arguments)


def test_wrong_calls_are_named(fitted, frame, tmp_path):
    with pytest.raises(InputError, match="not fitted"):
        Synthesizer().sample(1)
    with pytest.raises(InputError, match="rows: expected 0 or more"):
        fitted.sample(-1)
    with pytest.raises(ConfigError, match="device: expected auto, cpu or cuda, found 'tpu'"):
        Synthesizer(device="tpu", epochs=1).fit(frame)
    with pytest.raises(InputError, match="target 'nobody'"):
        Synthesizer(epochs=1).fit(frame, target="nobody")
    with pytest.raises(InputError, match="differ from the schema"):
        Synthesizer(epochs=1).fit(frame[["age"]], schema=fitted.schema_)
    with pytest.raises(InputError, match="no model directory"):
        Synthesizer.load(tmp_path / "none")


@pytest.mark.parametrize("damage", ["version", "weights", "codec", "schema", "json"])
def test_a_damaged_model_is_refused(fitted, tmp_path, damage):
    place = tmp_path / "m"
    fitted.save(place)
    description = json.loads((place / "synthesizer.json").read_text())
    if damage == "version":
        description["format_version"] = 99
    elif damage in ("codec", "schema"):
        description[damage] = {}
    (place / "synthesizer.json").write_text("{" if damage == "json" else json.dumps(description))
    if damage == "weights":
        raw = (place / "model.safetensors").read_bytes()
        (place / "model.safetensors").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError if damage == "json" else FormatError) as caught:
        Synthesizer.load(place)
    assert "\n" not in str(caught.value)
    if damage == "schema":
        with pytest.raises(FormatError, match="no schema"):
            read_fitted(place)
    if damage == "version":
        assert "format 99 is unknown; this version reads 1" in str(caught.value)


def test_no_source_row_or_identifier_stands_in_the_model_file(tmp_path):
    frame = people(200)
    frame["secret"] = [f"K{i * 7919 % 100003:06d}" for i in range(200)]
    Synthesizer(epochs=1, width=8).fit(frame).save(tmp_path / "m")
    content = b"".join(file.read_bytes() for file in (tmp_path / "m").iterdir())
    assert not [value for value in frame["secret"] if value.encode() in content]
