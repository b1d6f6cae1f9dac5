"""Another processor's model is told from a changed input."""

from __future__ import annotations

from copy import deepcopy

from pipelines.summary import other_bytes

LOCK = {
    "stages": {
        "train@r": {
            "deps": [{"path": "data", "md5": "1"}],
            "params": {"params.yaml": {"seed": 0}},
            "outs": [{"path": "build/r/model", "md5": "2"}, {"path": "metrics/r/train.json", "md5": "3"}],
        }
    }
}


def test_only_another_model_from_the_same_inputs_counts():
    assert other_bytes(LOCK, LOCK) == []
    other = deepcopy(LOCK)
    other["stages"]["train@r"]["outs"][1]["md5"] = "x"
    assert other_bytes(LOCK, other) == []
    other["stages"]["train@r"]["outs"][0]["md5"] = "x"
    assert other_bytes(LOCK, other) == ["train@r"]
    other["stages"]["train@r"]["deps"][0]["md5"] = "x"
    assert other_bytes(LOCK, other) == []
    assert other_bytes({}, other) == []
