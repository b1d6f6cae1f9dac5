"""The stopwatch tells wall time from processor time."""

from __future__ import annotations

import time

import pytest

from synth.evaluation.speed import Stopwatch


def test_sleeping_costs_wall_time_only():
    with Stopwatch() as watch:
        time.sleep(0.2)
    assert watch.wall_seconds == pytest.approx(0.2, abs=0.15)
    assert watch.cpu_seconds < watch.wall_seconds
    found = watch.as_dict(rows=100)
    assert found["rows_per_second"] == pytest.approx(100 / watch.wall_seconds, rel=0.01)
    assert found["peak_memory_mb"] > 20


def test_work_costs_processor_time_and_an_error_passes():
    watch = Stopwatch()

    def fail():
        with watch:
            sum(range(3_000_000))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert watch.cpu_seconds > 0.01
    assert set(watch.as_dict()) == {"wall_seconds", "cpu_seconds", "peak_memory_mb"}
