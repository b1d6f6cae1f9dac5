"""Both generators are what they are said to be, and the tables say what the attacks found and where two disagree."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import agreement, attacks, victims
from benchmarks.agreement import Line
from benchmarks.processes import Spent
from synth.errors import InputError
from synth.evaluation.attacks import linkability
from synth.evaluation.attacks.rates import Rate

LEAK, NONE = Rate(0.5, 0.4, 0.6), Rate(0.0, 0.0, 0.1)


def people(rows, seed=0):
    """Numbers, whole and broken, and a category that depends on them."""
    rng = np.random.default_rng(seed)
    age, pay = rng.integers(18, 90, rows), rng.lognormal(8, 1, rows)
    number = rng.integers(10**5, 10**6, rows)
    return pd.DataFrame({"age": age, "pay": pay, "number": number, "job": np.where(pay > 3000 + 20 * age, "a", "b")})


def test_the_leaky_rows_are_training_rows_moved_a_little_and_the_honest_ones_are_none():
    frame = people(3000)
    tables = victims.thirds(frame, np.random.default_rng(0))
    assert {len(table) for table in tables.values()} == {1000}
    train, honest = set(tables["train"]["pay"]), set(tables["honest"]["pay"])
    assert not train & honest
    assert not train & set(tables["control"]["pay"])
    kept = tables["leaky"]["pay"].isin(list(train))
    assert kept.mean() == pytest.approx(1 - victims.TOUCHED, abs=0.05)
    assert tables["leaky"]["number"].dtype == frame["number"].dtype
    nearest = np.abs(tables["leaky"]["number"].to_numpy()[:, None] - tables["train"]["number"].to_numpy()).min(axis=1)
    assert (nearest <= 6 * victims.NOISE * tables["leaky"]["number"]).all()


def test_our_answers_catch_the_leaky_generator_and_spare_the_honest_one():
    tables = victims.thirds(people(3000), np.random.default_rng(0))
    found = {}
    for generator in victims.GENERATORS:
        views, rng = agreement._views(tables, generator), np.random.default_rng(0)
        found[generator] = dict(agreement.ours(views, linkability.halves(views, rng), 500, rng))
    assert list(found["leaky"]) == [
        *("singling out, univariate", "singling out, multivariate", "linkability"),
        *(f"inference of {name}" for name in ("age", "pay", "number", "job")),
        "inference, all columns",
    ]
    leaks = (
        "singling out, univariate",
        "singling out, multivariate",
        "linkability",
        "inference of age",
        agreement.POOLED,
    )
    assert all(found["leaky"][question].low > 0 > found["honest"][question].low for question in leaks)


@pytest.mark.parametrize(
    ("question", "ours", "theirs", "agrees"),
    [
        ("linkability", LEAK, Rate(0.55, 0.45, 0.65), True),
        ("linkability", LEAK, Rate(0.8, 0.7, 0.9), False),  # both find a leak, of another size
        ("singling out, univariate", LEAK, Rate(0.8, 0.7, 0.9), True),
        ("singling out, univariate", LEAK, NONE, False),
        ("inference of age", NONE, Rate(0.05, 0.01, 0.09), False),
        ("inference of age", NONE, NONE, True),
    ],
)
def test_agreement_is_the_same_verdict_and_for_the_same_question_overlapping_intervals(question, ours, theirs, agrees):
    line = Line("leaky", question, ours, theirs)
    assert line.agrees == agrees
    text = agreement.markdown([line], 500, 1000, 0.0, {"anonymeter": "1.1.0"})
    assert ("1 of 1 agree" in text) == agrees
    assert (f"not leaky, {question}" in text) != agrees


def test_on_their_counts_our_formula_gives_their_risk():
    # EvaluationResults((500, 500, 500), 300, 10, 100).risk() of anonymeter 1.1.0
    found = agreement._recount({"hits": 300, "control_hits": 100, "attacks": 500})
    assert found == pytest.approx((0.497610561897162, 0.43962448321542447, 0.5555966405788996))


def test_each_figure_is_a_line_and_the_costs_follow(tmp_path, monkeypatch, capsys):
    asked = []

    def spend(command, log):
        asked.append(command[2])
        answer = {"figures": {"linkability": [0.1, 0.05, 0.15], "outliers": None}, "seconds": {}, "columns": 5}
        return Spent(seconds=90.0, cpu_seconds=3.0, memory_mb=1500.0, output=json.dumps(answer))

    monkeypatch.setattr(attacks, "spend", spend)
    attacks.main(rows=2000, columns=5, work=tmp_path)
    assert asked == ["benchmarks.victims", "benchmarks.attacked", "benchmarks.attacked"]
    shown = capsys.readouterr().out
    assert "| 2,000 x 5 | leaky | honest |" in shown
    assert "| linkability | 0.1000 (0.0500 to 0.1500) | 0.1000 (0.0500 to 0.1500) |" in shown
    assert "| outliers | – | – |" in shown
    assert "| minutes | 1.5 | 1.5 |" in shown
    assert "| peak memory, MB | 1,500 | 1,500 |" in shown
    assert json.loads((tmp_path / "scale.json").read_text())["honest"]["memory_mb"] == 1500


def test_unusable_wishes_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="--generator good: expected one of leaky, honest"):
        attacks.main(generator=["good"], work=tmp_path)
    with pytest.raises(InputError, match="no such file"):
        agreement.compare(tmp_path / "none.csv", 100, tmp_path, 0)
    people(300).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(InputError, match="found 300 rows, expected at least 1000"):
        agreement.compare(tmp_path / "few.csv", 100, tmp_path, 0)
