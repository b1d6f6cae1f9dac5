"""What theory says of an autoregressive likelihood, and of its shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.layout import TableLayout
from synth.models.autoregressive import Config, Model
from synth.nets.columns import draw
from synth.training import train
from tests.models.toys import (
    COPY_ENTROPY,
    cells,
    check_follows,
    coin_and_copy,
    moved,
    nominal,
    numeric,
    shares,
    toy,
    toy_layout,
)


def model_of(layout: TableLayout, *, noise: float = 0.0, **config) -> Model:
    return moved("autoregressive", layout, noise, **config)


@pytest.mark.parametrize("smooth_from", [0, 100])
def test_probabilities_of_all_cells_sum_to_one(smooth_from):
    layout = TableLayout(
        (nominal("a", [0.5, 0.5]), numeric("b", [0.2] * 5), nominal("one", [1]), nominal("c", [0.25] * 4))
    )
    model = model_of(layout, noise=0.3, smooth_from=smooth_from)
    with torch.no_grad():
        log_prob = model.log_prob({"tokens": cells(layout)}).double()
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert log_prob.exp().std() > 0.005


def test_samples_follow_the_likelihood():
    layout = TableLayout((nominal("a", [0.5, 0.5]), numeric("b", [0.2] * 5), nominal("c", [0.25] * 4)))
    model = model_of(layout, noise=0.1, smooth_from=0)
    with torch.no_grad():
        expected = model.log_prob({"tokens": cells(layout)}).exp().numpy()
    check_follows(model, expected)


def test_an_untrained_model_is_that_of_independent_columns():
    tokens = toy(2000)
    layout = toy_layout(tokens)
    model = model_of(layout)
    expected = sum(np.log(column.frequency[tokens[:, d]]) for d, column in enumerate(layout.columns))
    got = model.log_prob({"tokens": torch.from_numpy(tokens)}).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_the_likelihood_of_new_rows_comes_near_the_entropy():
    rng = np.random.default_rng(0)
    tokens = coin_and_copy(4000, rng)
    layout = TableLayout(tuple(nominal(str(d), shares(tokens[:, d], 2)) for d in range(2)))
    model = Model(Config(epochs=6), layout, torch.Generator().manual_seed(0))
    train(model, {"tokens": tokens}, seed=0, device=torch.device("cpu"))
    with torch.no_grad():
        nats = -model.log_prob({"tokens": torch.from_numpy(coin_and_copy(20_000, rng))}).mean().item()
    assert nats == pytest.approx(COPY_ENTROPY, abs=0.015)


def test_draw_inverts_the_distribution_function():
    logits = torch.tensor([0.1, 0.0, 0.6, 0.3]).log().expand(6, 4)
    uniform = torch.tensor([0.0, 0.0999, 0.1001, 0.6999, 0.7001, 0.9999999])
    assert draw(logits, uniform).tolist() == [0, 0, 2, 2, 3, 3]


def test_the_same_generator_gives_the_same_rows_across_inner_blocks():
    layout = toy_layout(toy(100))
    model = model_of(layout, noise=0.2)
    one, two = (model.sample(5000, torch.Generator().manual_seed(3))["tokens"] for _ in range(2))
    assert torch.equal(one, two)
    assert one.dtype == torch.int64


def test_a_table_without_modelled_columns_samples_and_trains_at_once():
    model = Model(Config(), TableLayout(()), torch.Generator().manual_seed(0))
    history = train(model, {"tokens": np.zeros((9, 0), dtype=np.int64)}, seed=0, device=torch.device("cpu"))
    assert history.steps == 0
    assert model.sample(5, torch.Generator().manual_seed(0))["tokens"].shape == (5, 0)
    assert model.log_prob({"tokens": torch.zeros((4, 0), dtype=torch.long)}).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("column", [nominal("one", [1.0]), nominal("two", [0.9, 0.1]), numeric("n", [0.02] * 50)])
def test_a_single_column_trains_to_its_frequencies(column):
    K = column.cardinality
    tokens = np.random.default_rng(0).choice(K, size=(3000, 1), p=column.frequency / column.frequency.sum())
    model = Model(Config(epochs=2), TableLayout((column,)), torch.Generator().manual_seed(0))
    train(model, {"tokens": tokens}, seed=0, device=torch.device("cpu"))
    drawn = model.sample(20_000, torch.Generator().manual_seed(0))["tokens"][:, 0].numpy()
    assert np.abs(shares(drawn, K) - column.frequency).sum() / 2 < 0.06


def test_many_columns_beside_one_of_many_categories_stay_small():
    wide = nominal("wide", [1 / 2000] * 2000)
    layout = TableLayout((*(nominal(str(d), [0.5, 0.5]) for d in range(500)), wide))
    model = Model(Config(width=8, blocks=1), layout, torch.Generator().manual_seed(0))
    heads = sum(parameter.numel() for parameter in model.columns.heads.parameters())
    assert heads < 2 * 9 * (500 * 2 + 2000)
    tokens = torch.zeros((4, 501), dtype=torch.long)
    loss = model.loss({"tokens": tokens}, torch.Generator().manual_seed(0))
    loss.backward()
    assert loss.item() == pytest.approx(500 * np.log(2) + np.log(2000), rel=1e-4)
