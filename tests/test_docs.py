"""What the README and CONTRIBUTING show is run as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tables import people

import synth.models
from synth.codecs.domains import DOMAIN_SHARE, ROWS_SHARE, SINGLES_SHARE
from synth.training import train
from tests.models.toys import distance, toy, toy_layout

ROOT = Path(__file__).parents[1]


def block(file: str, language: str) -> str:
    """The first fenced block of a language in a Markdown file."""
    found = re.search(rf"```{language}\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{file} has no {language} block"
    return found[1]


def test_the_example_of_the_readme_runs():
    scope = {"frame": people(80)}
    exec(block("README.md", "python").replace("seed=0", "seed=0, epochs=1, width=8"), scope)
    assert len(scope["synthetic"]) == 1000
    assert scope["synthetic"].dtypes.equals(scope["frame"].dtypes)


def test_the_example_of_the_rules_runs():
    exec(block("docs/rules.md", "python").replace("epochs=4", "epochs=1, width=8"), {})


def test_the_model_of_contributing_is_found_and_learns(tmp_path, monkeypatch):
    (tmp_path / "mixture.py").write_text(block("CONTRIBUTING.md", "python"), encoding="utf-8")
    monkeypatch.setattr(synth.models, "__path__", [*synth.models.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "synth.models.mixture", raising=False)
    assert "mixture" in synth.models.available()
    family = synth.models.family("mixture")
    tokens = toy(4000)
    model = family.Model(family.Config(), toy_layout(tokens), torch.Generator().manual_seed(0))
    train(model, {"tokens": tokens}, seed=0, device=torch.device("cpu"))
    drawn = model.sample(20000, torch.Generator().manual_seed(0))["tokens"].numpy()
    shuffled = np.random.default_rng(0).permuted(tokens, axis=0)
    assert distance(toy(20000, seed=1), drawn) < 0.1 < 0.3 < distance(toy(20000, seed=1), shuffled)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_files_that_are_named_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:synth|pipelines|dags|docs|tests|benchmarks)/[\w./-]+)`", text)
    named += [target for target in re.findall(r"\]\(([\w./-]+)\)", text) if not target.startswith("http")]
    there = [ROOT / path if path.split("/")[0] in TOP else (ROOT / name).parent / path for path in named]
    assert [str(path) for path in there if not path.exists()] == []


TOP = ("synth", "pipelines", "dags", "docs", "tests", "benchmarks")


def test_the_manual_says_what_the_budget_is_shared_out_for():
    text = (ROOT / "docs/privacy.md").read_text(encoding="utf-8")
    for share in (ROWS_SHARE, DOMAIN_SHARE, SINGLES_SHARE):
        assert f"{share:.0%}".replace("%", " %") in text
