"""Labels for pictures that have none, and what can be learnt then."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from digits import levels, table

from synth import Synthesizer
from synth.errors import ConfigError
from synth.pseudo_labels import pseudo_labelled


def few(count: int) -> pa.Table:
    """Digits of which `count` of each have their label."""
    _, digits = levels()
    labels: list[str | None] = [None] * len(digits)
    for digit in range(10):
        for row in np.flatnonzero(digits == digit)[:count]:
            labels[row] = str(digit)
    return pa.table({"image": table().column("image"), "label": pa.array(labels, pa.string())})


def test_most_labels_are_seen_from_ten_of_each_digit(monkeypatch):
    monkeypatch.setattr("synth.pseudo_labels.STEPS", 250)
    rows, (_, digits) = few(10), levels()
    filled = pseudo_labelled(rows, "label", seed=0)
    assert filled.schema.equals(rows.schema)
    labels = np.array([int(label) for label in filled.column("label").to_pylist()])
    assert (labels == digits).mean() > 0.82
    known = np.array([label is not None for label in rows.column("label").to_pylist()])
    assert (labels[known] == digits[known]).all()
    assert pseudo_labelled(rows, "label", seed=0).equals(filled)
    assert pseudo_labelled(filled, "label", seed=1) is filled


def test_a_model_of_them_has_no_null_and_the_source_is_not_changed(monkeypatch):
    monkeypatch.setattr("synth.pseudo_labels.STEPS", 20)
    rows = few(10)
    before = rows.column("label").null_count
    model = Synthesizer("image_gan", patch=1, widths=(16, 32), epochs=1, pseudo_labels=True).fit(rows, target="label")
    assert model.schema_["label"].null_rate == 0
    assert model.sample_table(50).column("label").null_count == 0
    assert rows.column("label").null_count == before
    assert model.get_params()["pseudo_labels"] is True


def test_what_cannot_be_filled_is_refused(frame):
    with pytest.raises(ConfigError, match="pseudo_labels: the data has no pictures"):
        Synthesizer("autoregressive", pseudo_labels=True).fit(frame, target="churned")
    with pytest.raises(ConfigError, match="pseudo_labels: name the column that is to be filled as the target"):
        Synthesizer("image_gan", pseudo_labels=True).fit(few(10))
    with pytest.raises(ConfigError, match="'label' has 0 different labels; two are needed"):
        pseudo_labelled(few(0), "label", seed=0)
    with pytest.raises(ConfigError, match="it would look at rows past the privacy budget"):
        Synthesizer("autoregressive", pseudo_labels=True, privacy={"epsilon": 1, "delta": 1e-6})
