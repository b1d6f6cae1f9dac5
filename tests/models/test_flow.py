"""What theory says of a flow's likelihood."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from synth import Synthesizer
from synth.layout import TableLayout
from synth.models.flow import Config, Model
from tests.models.toys import nominal, numeric, shares


def model_of(layout: TableLayout, *, noise: float = 0.0, **config) -> Model:
    """A model whose weights are moved off their start by Gaussian noise, so that columns depend on each other."""
    generator = torch.Generator().manual_seed(0)
    model = Model(Config(**config), layout, generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(params=[1, 30], ids=["spline", "softmax"])
def model(request) -> Model:
    columns = (nominal("a", [0.5, 0.5]), numeric("b", [0.2, 0.3, 0.1, 0.3, 0.1]), nominal("c", [0.25] * 4))
    return model_of(TableLayout(columns), noise=0.05, spline_from=request.param)


def cells(model: Model) -> torch.Tensor:
    return torch.tensor(list(itertools.product(*(range(K) for K in model.layout.cardinalities))))


def test_probabilities_of_all_cells_sum_to_one(model):
    with torch.no_grad():
        probability = model.log_prob({"tokens": cells(model)}).double().exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    assert probability.std() > 0.001


def test_the_density_inside_the_bins_integrates_to_the_cells_probability(model):
    """By the midpoint rule over the places; the bins of b are its first four tokens."""
    n = 400
    every = cells(model)
    places = (torch.arange(n) + 0.5) / n
    with torch.no_grad():
        dense = torch.stack(
            [model.log_prob({"tokens": every, "places": torch.full(every.shape, p)}).exp() for p in places.tolist()]
        ).mean(0)
    assert dense.double().sum().item() == pytest.approx(1, abs=1e-3)


def test_samples_follow_the_likelihood():
    layout = TableLayout((nominal("a", [0.5, 0.5]), numeric("b", [0.2] * 5), nominal("c", [0.25] * 4)))
    model = model_of(layout, noise=0.1, spline_from=1)
    every, n, parts = cells(model), 100_000, 64
    places = ((torch.arange(parts) + 0.5) / parts).tolist()
    with torch.no_grad():  # of a cell: the mean of the density over its places
        expected = sum(model.log_prob({"tokens": every, "places": torch.full(every.shape, p)}).exp() for p in places)
    expected = (expected / parts).numpy()
    tokens = model.sample(n, torch.Generator().manual_seed(1))["tokens"].numpy()
    seen = shares(np.ravel_multi_index(tuple(tokens.T), layout.cardinalities), len(every))
    usual = n * expected > 5
    chi_square = n * ((seen - expected)[usual] ** 2 / expected[usual]).sum()
    assert usual.sum() > 10
    assert chi_square < usual.sum() + 5 * np.sqrt(2 * usual.sum())


def test_an_untrained_model_is_that_of_independent_columns():
    layout = TableLayout((nominal("a", [0.9, 0.1]), numeric("b", [0.25] * 4)))
    model = model_of(layout, spline_from=1)
    with torch.no_grad():
        found = model.log_prob({"tokens": cells(model)}).exp()
    torch.testing.assert_close(found, torch.tensor([0.225] * 4 + [0.025] * 4), rtol=1e-4, atol=1e-6)


def test_log_prob_of_a_gaussian_is_its_known_value_within_one_per_cent():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200_000)
    frame = pd.DataFrame({"x": x, "y": 0.8 * x + 0.6 * rng.normal(size=len(x))})
    model = Synthesizer("flow", epochs=2, batch_size=1024).fit(frame)
    u = rng.normal(size=20_000)
    fresh = pd.DataFrame({"x": u, "y": 0.8 * u + 0.6 * rng.normal(size=len(u))})
    known = -np.log(2 * np.pi * 0.6) - fresh["x"] ** 2 / 2 - (fresh["y"] - 0.8 * fresh["x"]) ** 2 / 0.72
    assert model.log_prob(fresh).mean() == pytest.approx(known.mean(), rel=0.01)
