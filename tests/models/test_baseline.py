"""What the baselines promise, each kind by itself, and that the gate does not let a copy of the source out."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from tables import people

from synth import Synthesizer
from synth.card import CardInfo
from synth.config import GATE
from synth.detection import detect
from synth.errors import CheckFailed
from synth.evaluation.measurements import evaluate
from synth.evaluation.tables import Tables
from synth.frames import from_pandas
from synth.gate import gate
from synth.layout import TableLayout
from synth.models.baseline import Config, Model, nearest, positions, reservoir
from synth.release import release
from synth.sampling import write_samples
from synth.storage import read_json
from synth.training import train
from tests.models.toys import nominal, numeric, shares, toy, toy_layout

CPU = torch.device("cpu")
KINDS = ("independent", "bootstrap", "copula", "interpolation")


def seen(kind: str, arrays: dict[str, np.ndarray], layout: TableLayout, **config) -> Model:
    """A baseline that has seen the rows."""
    model = Model(Config(kind=kind, **config), layout, torch.Generator().manual_seed(0))
    assert train(model, arrays, seed=0, device=CPU).steps == 0
    return model


def drawn(model: Model, n: int) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in model.sample(n, torch.Generator().manual_seed(1)).items()}


def normals(rows: int, correlation: float, columns: int = 2) -> np.ndarray:
    """(rows, columns) tokens of 50 bins of correlated normal values."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(rows, 1))
    values = correlation**0.5 * shared + (1 - correlation) ** 0.5 * rng.normal(size=(rows, columns))
    ranks = values.argsort(axis=0).argsort(axis=0)
    return (ranks * 50 // rows).astype(np.int64)


def bins(columns: int) -> TableLayout:
    return TableLayout(tuple(numeric(str(d), [0.02] * 50 + [0.0]) for d in range(columns)))


@pytest.mark.parametrize("kind", ["independent", "copula"])
def test_every_column_alone_is_exact(kind):
    tokens = toy(5000)
    layout = toy_layout(tokens)
    made = drawn(seen(kind, {"tokens": tokens}, layout), 100_000)["tokens"]
    for d, column in enumerate(layout.columns):
        got = shares(made[:, d], column.cardinality)
        assert np.abs(got - column.frequency).max() < 5 * 0.5 / 100_000**0.5, column.name


def test_independent_columns_are_independent():
    made = drawn(seen("independent", {"tokens": normals(5000, 0.8)}, bins(2)), 50_000)["tokens"]
    assert abs(np.corrcoef(made.T)[0, 1]) < 0.02


def test_a_copula_recovers_the_correlation():
    tokens = normals(20_000, 0.8, columns=3)
    model = seen("copula", {"tokens": tokens}, bins(3))
    correlation = (model.factor @ model.factor.T).numpy()
    np.testing.assert_allclose(correlation[np.triu_indices(3, 1)], 0.8, atol=0.015)
    made = drawn(model, 50_000)["tokens"]
    np.testing.assert_allclose(np.corrcoef(made.T), np.corrcoef(tokens.T), atol=0.02)


def test_a_copula_binds_categories_too():
    rng = np.random.default_rng(0)
    tokens = np.repeat(rng.choice(4, (4000, 1), p=[0.4, 0.3, 0.2, 0.1]), 2, axis=1)
    layout = TableLayout((nominal("a", shares(tokens[:, 0], 4)), nominal("b", shares(tokens[:, 1], 4))))
    made = drawn(seen("copula", {"tokens": tokens}, layout), 20_000)["tokens"]
    assert (made[:, 0] == made[:, 1]).mean() > 0.45 > 1.4 * (shares(tokens[:, 0], 4) ** 2).sum()


def test_columns_that_are_copies_of_each_other_are_no_trouble():
    tokens = np.repeat(normals(500, 0.5, columns=1), 3, axis=1)
    places = np.repeat(np.random.default_rng(0).random((500, 1)), 3, axis=1).astype(np.float32)
    made = drawn(seen("copula", {"tokens": tokens, "places": places}, bins(3)), 1000)["tokens"]
    assert np.abs(made - made[:, :1]).max() <= 1


def test_bootstrap_rows_are_training_rows():
    tokens = toy(1000)
    places = np.random.default_rng(0).random(tokens.shape).astype(np.float32)
    made = drawn(seen("bootstrap", {"tokens": tokens, "places": places}, toy_layout(tokens)), 3000)
    known = {(*row, *place) for row, place in zip(tokens.tolist(), places.tolist(), strict=True)}
    rows = {(*row, *place) for row, place in zip(made["tokens"].tolist(), made["places"].tolist(), strict=True)}
    assert rows <= known
    assert len(rows) == pytest.approx(1000 * (1 - np.exp(-3)), rel=0.03)


def test_interpolation_lies_between_two_neighbours():
    tokens = normals(400, 0.5)
    places = np.full(tokens.shape, 0.5, dtype=np.float32)
    model = seen("interpolation", {"tokens": tokens, "places": places}, bins(2), neighbours=1)
    made = drawn(model, 2000)
    place = made["tokens"] + made["places"]
    held, other = model.held_tokens.numpy() + 0.5, model.held_tokens[model.neighbours[:, 0]].numpy() + 0.5
    low, high = np.minimum(held, other), np.maximum(held, other)
    inside = (place[:, None] >= low - 0.01) & (place[:, None] <= high + 0.01)  # (2000, M, 2)
    assert inside.all(axis=2).any(axis=1).all()
    assert (place % 1 != 0.5).mean() > 0.5


def test_interpolation_takes_categories_and_nulls_of_the_two():
    rng = np.random.default_rng(0)
    tokens = np.stack([rng.integers(0, 3, 300), np.where(rng.random(300) < 0.5, 40, rng.integers(0, 40, 300))], axis=1)
    layout = TableLayout((nominal("c", shares(tokens[:, 0], 3)), numeric("x", shares(tokens[:, 1], 41))))
    made = drawn(seen("interpolation", {"tokens": tokens}, layout), 10_000)["tokens"]
    assert (made[:, 1] == 40).mean() == pytest.approx(0.5, abs=0.06)
    np.testing.assert_allclose(shares(made[:, 0], 3), shares(tokens[:, 0], 3), atol=0.06)


def test_neighbours_are_the_nearest_and_never_the_row_itself():
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(1200, 3))).float()
    found = nearest(points, 4).long()
    distance = torch.cdist(points, points).fill_diagonal_(torch.inf)
    assert torch.equal(found.sort().values, distance.topk(4, largest=False).indices.sort().values)
    assert nearest(points[:3], 4).shape == (3, 2)
    assert nearest(points[:1], 4).tolist() == [[0]]


def test_categories_are_equally_far_apart_however_many():
    layout = TableLayout((nominal("few", [0.1] * 10), nominal("many", [0.005] * 200)))
    generator = torch.Generator().manual_seed(0)
    few = torch.stack([torch.arange(10), torch.zeros(10, dtype=torch.long)], dim=1)
    distance = torch.pdist(positions(few, layout, generator))
    torch.testing.assert_close(distance, torch.full_like(distance, 12**-0.5))
    many = torch.stack([torch.zeros(200, dtype=torch.long), torch.arange(200)], dim=1)
    distance = torch.pdist(positions(many, layout, generator))
    assert distance.square().mean().item() == pytest.approx(1 / 12, rel=0.05)


def test_the_store_is_capped_by_a_uniform_sample():
    batches = [{"tokens": torch.arange(start, start + 1000)[:, None]} for start in range(0, 10_000, 1000)]
    tokens, places = reservoir(batches, 2000, torch.Generator().manual_seed(0))
    assert tokens.shape == places.shape == (2000, 1)
    assert len(tokens.unique()) == 2000
    per_batch = torch.bincount(tokens[:, 0] // 1000, minlength=10)
    assert (per_batch - 200).abs().max() < 5 * (200 * 0.8 * 0.9) ** 0.5

    model = seen("bootstrap", {"tokens": toy(5000)}, toy_layout(toy(5000)), rows=100)
    assert len(model.held_tokens) == 100


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_of_each_kind_gives_the_same_rows(kind, tmp_path):
    fitted = Synthesizer("baseline", kind=kind).fit(people(200), target="churned")
    fitted.save(tmp_path / "m")
    loaded = Synthesizer.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.sample(500), fitted.sample(500))
    assert loaded.exposed == fitted.exposed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2])
def test_a_row_or_two_are_enough_for_each_kind(kind, rows):
    frame = people(rows)
    made = Synthesizer("baseline", kind=kind).fit(frame).sample(20)
    assert set(made["city"]) <= set(frame["city"])


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_hold_rows_say_so(kind, caplog):
    with caplog.at_level(logging.WARNING, "synth.synthesizer"):
        fitted = Synthesizer("baseline", kind=kind).fit(people(50))
    holds = kind in ("bootstrap", "interpolation")
    assert (fitted.exposed is not None) == holds
    assert ("keeps 50 rows of the source in the model file" in caplog.text) == holds


def test_the_gate_stops_a_bootstrap_and_lets_the_card_of_one_that_passes_say_what_it_is(tmp_path):
    frame = people(1500).drop(columns="id")
    real, holdout = frame[:1000], frame[1000:]
    fitted = Synthesizer("baseline", kind="bootstrap").fit(real, target="churned")
    write_samples(fitted, 1000, tmp_path / "s")
    schema = detect(from_pandas(real), target="churned")
    metrics = evaluate(Tables(real, holdout, holdout, fitted.sample(1000), schema), repeats=2)
    assert metrics["privacy"]["identical_excess"]["value"] > 0.9
    assert metrics["privacy"]["dcr_share"]["value"] > 0.9

    validation = {"success": True, "critical_failures": [], "warnings": [], "expectations": []}
    privacy = {name: bound for name, bound in GATE.items() if name.startswith("privacy.")}
    verdict = gate(validation, metrics, privacy)
    assert [reason.split()[0] for reason in verdict.reasons] == list(privacy)

    def put_out(bounds) -> None:
        release(
            tmp_path / "r",
            samples=tmp_path / "s",
            schema=schema,
            verdict=gate(validation, metrics, bounds),
            metrics=metrics,
            lift=None,
            validation=validation,
            report=None,
            card_info=CardInfo("people", "People"),
            provenance={},
        )

    with pytest.raises(CheckFailed, match=r"not released: privacy\.dcr_share"):
        put_out(privacy)
    put_out({})
    card = (tmp_path / "r" / "README.md").read_text()
    assert "not private: bootstrap keeps 1,000 rows of the source" in card
    assert "none is a record" not in card
    assert "bootstrap keeps" in read_json(tmp_path / "r" / "provenance.json")["exposed"]
