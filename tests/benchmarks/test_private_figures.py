"""The benchmark of utility against epsilon: names of cells, the table and the plot."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.cells import FIT, settings
from benchmarks.privacy import markdown, picture, system
from synth.config import load_domains
from synth.errors import InputError

PROMISES = ["0.1", "1", "none"]


def row(engine: str, epsilon: str, seed: int, tstr: float) -> dict:
    scores = {"tstr": tstr, "trtr": 0.925, "trend_error": 0.05, "shape_error": 0.01, "c2st_auc": 0.7}
    costs = {"fit_cpu_s": 100.0, "fit_s": 60.0}
    found = {"engine": engine, "epsilon": epsilon, "seed": seed, "status": "done", "scores": scores, "costs": costs}
    return {**found, "system": "x"}


ROWS = [
    row(engine, epsilon, seed, 0.85 + 0.02 * place + 0.001 * seed)
    for engine in ("marginals", "autoregressive")
    for place, epsilon in enumerate(PROMISES)
    for seed in (0, 1)
]


def test_a_cell_asks_the_fit_for_its_promise():
    family, asked = settings(system("marginals", "0.1", 1e-6, Path("a.yaml")))
    assert (family, asked) == ("marginals", {"epsilon": 0.1, "delta": 1e-6, "domains": "a.yaml"})
    assert set(asked) == set(FIT)
    assert settings(system("marginals", "none", 1e-6, Path("a.yaml")))[1] == {"domains": "a.yaml"}


def test_settings_may_be_lists():
    assert settings("image_gan:widths=[24,48],noise=8") == ("image_gan", {"widths": [24, 48], "noise": 8})
    with pytest.raises(InputError, match="expected family:key=value"):
        settings("image_gan:widths")


def test_the_table_has_a_row_for_each_cell_and_says_what_failed():
    failed = {"engine": "marginals", "epsilon": "1", "seed": 2, "status": "failed", "error": "no room"}
    lines = markdown([*ROWS, failed]).splitlines()
    assert len(lines) == 2 + len(ROWS) + 1
    assert lines[2] == "| marginals | 0.1 | 0 | 0.8500 | 0.9250 | 0.0500 | 0.0100 | 0.7000 | 100 | 60 |"
    assert "no room" in lines[-1]


def test_the_plot_has_a_line_for_each_engine_and_one_for_real_rows():
    drawn = ElementTree.fromstring(picture(ROWS, "adult", PROMISES))
    lines = [each for each in drawn.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 5
    assert "real rows" in "".join(drawn.itertext())


@pytest.mark.parametrize("file", sorted(Path("benchmarks/domains").glob("*.yaml")), ids=lambda file: file.stem)
def test_declared_domains_can_be_read(file):
    assert len(load_domains(file)) > 1
