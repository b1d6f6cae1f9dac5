"""The stage that fits: what it leaves for a family that takes no steps."""

from __future__ import annotations

import pandas as pd
from tables import people

from pipelines.train import main
from synth.charts import curve_chart
from synth.detection import detect
from synth.frames import from_pandas
from synth.storage import read_json, write_parquet

PARAMS = """
datasets: {people: {target: churned, source: {path: people.csv}}}
models: {baseline: {kind: bootstrap}}
runs: {people-baseline: {dataset: people, model: baseline, device: cpu}}
"""


def test_a_family_without_steps_leaves_a_curve_without_epochs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    table = from_pandas(people(60))
    write_parquet(tmp_path / "prepared/train.parquet", table)
    detect(table, target="churned").save(tmp_path / "prepared/schema.json")
    names = ("prepared", "model", "checkpoint", "curve.csv", "train.json")
    prepared, out, checkpoint, curve, metrics = (tmp_path / name for name in names)
    main("people-baseline", prepared, out, checkpoint, curve, metrics)
    epochs = pd.read_csv(curve)
    assert epochs.columns.tolist() == ["epoch", "steps", "train_loss", "validation_loss", "learning_rate"]
    assert curve_chart(epochs.to_dict("records")) is None
    assert read_json(metrics)["epochs"] == 0
