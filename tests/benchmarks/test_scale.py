"""The table of the scale benchmark is written by row groups and is not trivial; every step is a line."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq

from benchmarks import crowd, scale
from benchmarks.processes import Spent


def test_the_table_is_written_by_row_groups_and_its_columns_are_related(tmp_path, monkeypatch):
    monkeypatch.setattr(crowd, "GROUP", 2000)
    crowd.main(5000, tmp_path / "crowd.parquet")
    file = pq.ParquetFile(tmp_path / "crowd.parquet")
    assert (file.num_row_groups, file.metadata.num_rows, file.metadata.num_columns) == (3, 5000, 20)
    frame = file.read().to_pandas()
    first = crowd.crowd(2000, 0, 0)
    pd.testing.assert_frame_equal(frame[:2000], first, check_dtype=False)
    assert not frame[2000:4000].reset_index(drop=True).equals(frame[:2000])
    assert frame.groupby("city")["region"].nunique().max() == 1
    assert (frame["seen"] >= frame["joined"]).all()
    assert frame["churned"].groupby(frame["region"]).mean().max() > 0.45 > frame["churned"].mean() > 0.2
    assert 0.05 < frame["income"].isna().mean() < 0.11


def test_each_step_is_a_line(tmp_path, monkeypatch, capsys):
    asked = []

    def spend(command, log):
        asked.append([str(part) for part in command[1:]])
        return Spent(seconds=4.0, cpu_seconds=3.0, memory_mb=500.0, output="fitted")

    monkeypatch.setattr(scale, "spend", spend)
    scale.main(rows=2000, work=tmp_path, options=["--threads=2"])
    assert [arguments[2] for arguments in asked] == ["2000", "fit", "sample", "sample"]
    assert asked[1][-1] == "--threads=2"
    assert "| fit autoregressive | 2,000 | 4 | 3 | 500 | 500 |" in capsys.readouterr().out
    assert json.loads((tmp_path / "scale.json").read_text())["sample 200"]["memory_mb"] == 500
