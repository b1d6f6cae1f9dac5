"""What theory says of a flow's likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from synth import Synthesizer
from synth.layout import TableLayout
from synth.models.flow import Model
from tests.models.toys import cells, check_follows, moved, nominal, numeric


@pytest.fixture(params=[1, 30], ids=["spline", "softmax"])
def model(request) -> Model:
    columns = (nominal("a", [0.5, 0.5]), numeric("b", [0.2, 0.3, 0.1, 0.3, 0.1]), nominal("c", [0.25] * 4))
    return moved("flow", TableLayout(columns), noise=0.05, spline_from=request.param)


def test_probabilities_of_all_cells_sum_to_one(model):
    with torch.no_grad():
        probability = model.log_prob({"tokens": cells(model.layout)}).double().exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    assert probability.std() > 0.001


def test_the_density_inside_the_bins_integrates_to_the_cells_probability(model):
    """By the midpoint rule over the places; the bins of b are its first four tokens."""
    n = 400
    every = cells(model.layout)
    places = (torch.arange(n) + 0.5) / n
    with torch.no_grad():
        dense = torch.stack(
            [model.log_prob({"tokens": every, "places": torch.full(every.shape, p)}).exp() for p in places.tolist()]
        ).mean(0)
    assert dense.double().sum().item() == pytest.approx(1, abs=1e-3)


def test_samples_follow_the_likelihood():
    layout = TableLayout((nominal("a", [0.5, 0.5]), numeric("b", [0.2] * 5), nominal("c", [0.25] * 4)))
    model = moved("flow", layout, noise=0.1, spline_from=1)
    every, parts = cells(layout), 64
    places = ((torch.arange(parts) + 0.5) / parts).tolist()
    with torch.no_grad():  # of a cell: the mean of the density over its places
        expected = sum(model.log_prob({"tokens": every, "places": torch.full(every.shape, p)}).exp() for p in places)
    check_follows(model, (expected / parts).numpy())


def test_an_untrained_model_is_that_of_independent_columns():
    layout = TableLayout((nominal("a", [0.9, 0.1]), numeric("b", [0.25] * 4)))
    model = moved("flow", layout, noise=0, spline_from=1)
    with torch.no_grad():
        found = model.log_prob({"tokens": cells(model.layout)}).exp()
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
