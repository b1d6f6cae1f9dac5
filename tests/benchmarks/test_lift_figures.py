"""The lift benchmark: both generators on the same draws, as a table, words and a picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from benchmarks import lift
from synth.errors import InputError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """150 rows with a class that depends on two numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "k": np.where(x.sum(axis=1) > 0.5, "yes", "no")})
    place = tmp_path_factory.mktemp("lift") / "toy.csv"
    frame.to_csv(place, index=False)
    return place


def test_both_generators_are_measured_on_the_same_draws(data, tmp_path, capsys):
    lift.main(str(data), target="k", out=tmp_path, rows=[30], seeds=2, synthetic=40)
    found = json.loads((tmp_path / "lift.json").read_text())
    assert found["same"]["scores"] == found["all"]["scores"]
    assert (found["same"]["generator_rows"], found["all"]["generator_rows"]) == ("the same", "all")
    assert found["same"]["synthetic_rows"] == found["all"]["synthetic_rows"] == 40
    text = capsys.readouterr().out
    assert text == (tmp_path / "lift.md").read_text() + "\n"
    assert "the recall of 'yes' at a precision of 80%" in text
    assert found["same"]["conclusion"] in text
    entry = found["all"]["figures"]["30"]["roc_auc"]["smote"]
    assert f"| SMOTE | {entry['value']:+.3f} ({entry['low']:+.3f} to {entry['high']:+.3f}) |" in text
    drawn = ElementTree.fromstring((tmp_path / "lift.svg").read_text())
    lines = list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 2 * (4 + 5 + 4)  # strategies of the three metrics, for each generator


def test_a_fifth_is_kept_unless_unseen_rows_are_given(data):
    train, unseen = lift.parts(str(data), None, "k", 0)
    assert (len(train), len(unseen)) == (90, 30)
    assert not set(train["a"]) & set(unseen["a"])
    train, unseen = lift.parts(str(data), str(data), "k", 0)
    assert (len(train), len(unseen)) == (150, 150)


def test_a_target_that_is_no_column_is_refused(data):
    with pytest.raises(InputError, match="target 'q' is not a column; there are: a, b, k"):
        lift.parts(str(data), None, "q", 0)
