"""What a diffusion over numbers and categories keeps to."""

from __future__ import annotations

import numpy as np
import torch

from synth.layout import TableLayout
from synth.models.diffusion import Config, Model
from synth.training import train
from tests.models.toys import nominal, numeric, shares

CPU = torch.device("cpu")


def test_numbers_and_categories_are_told_apart_by_their_number_of_tokens():
    layout = TableLayout((nominal("a", [0.5, 0.5]), numeric("few", [0.25] * 4), numeric("many", [0.02] * 50)))
    model = Model(Config(discrete=10), layout, torch.Generator().manual_seed(0))
    assert model.ranks.columns == [2]
    assert model.sizes == [2, 4]


def test_an_untrained_model_draws_the_categories_by_their_frequencies():
    layout = TableLayout((nominal("a", [0.7, 0.2, 0.1]),))
    model = Model(Config(width=16), layout, torch.Generator().manual_seed(0)).eval()
    tokens = model.sample(20_000, torch.Generator().manual_seed(1))["tokens"].numpy()
    assert np.abs(shares(tokens[:, 0], 3) - [0.7, 0.2, 0.1]).max() < 0.015


def test_two_dependent_normal_columns_are_learnt():
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = 0.9 * x + np.sqrt(1 - 0.81) * rng.normal(size=4000)
    tokens, places = np.empty((4000, 2), dtype=np.int64), np.empty((4000, 2), dtype=np.float32)
    for d, values in enumerate((x, y)):
        rank = values.argsort().argsort() / 4000 * 40
        tokens[:, d], places[:, d] = rank.astype(np.int64), rank % 1
    layout = TableLayout(tuple(numeric(name, [0.025] * 40 + [0.0]) for name in "xy"))
    model = Model(Config(width=64, epochs=20, min_steps=600), layout, torch.Generator().manual_seed(0))
    train(model, {"tokens": tokens, "places": places}, seed=0, device=CPU)
    drawn = model.sample(5000, torch.Generator().manual_seed(1))
    ranks = (drawn["tokens"] + drawn["places"]).numpy()
    assert abs(np.corrcoef(ranks.T)[0, 1] - np.corrcoef((tokens + places).T)[0, 1]) < 0.02
    assert np.abs(shares(drawn["tokens"][:, 0].numpy(), 41)[:40] - 0.025).max() < 0.015
