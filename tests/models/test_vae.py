"""What theory says of the bound and of the learnt prior."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.layout import TableLayout
from synth.models.vae import Config, Model
from synth.training import train
from tests.models.toys import COPY_ENTROPY, coin_and_copy, moved, nominal, numeric, shares, toy, toy_layout

SMALL = {"latent": 4, "width": 32, "prior_width": 32}


def model_of(layout: TableLayout, *, noise: float = 0.0, **config) -> Model:
    return moved("vae", layout, noise, **{**SMALL, **config})


def grid(points: torch.Tensor) -> torch.Tensor:
    return torch.cartesian_prod(points, points)


def test_the_prior_integrates_to_one_and_depends_on_earlier_latents():
    model = model_of(toy_layout(toy(50)), noise=0.2, latent=2, prior_width=16)
    points = torch.linspace(-12, 12, 601)
    with torch.no_grad():
        density = model.prior(grid(points)).exp().view(601, 601)  # [z_1, z_2]
    step = float(points[1] - points[0])
    assert density.sum().item() * step**2 == pytest.approx(1, abs=1e-3)
    given = density / density.sum(1, keepdim=True)
    assert (given[350] - given[250]).abs().sum() > 0.05


def test_draws_of_the_prior_follow_its_density():
    model = model_of(toy_layout(toy(50)), noise=0.2, latent=2, prior_width=16)
    generator = torch.Generator().manual_seed(1)
    n, edges = 200_000, torch.linspace(-12, 12, 13)
    with torch.no_grad():
        drawn = model.prior.draw(torch.rand((n, 2), generator=generator), torch.randn((n, 2), generator=generator))
        middles = torch.linspace(-12, 12, 601)[:-1] + 0.02
        density = model.prior(grid(middles)).exp().view(12, 50, 12, 50).sum((1, 3)) * 0.04**2
    seen = torch.histogramdd(drawn, [edges, edges]).hist / n
    assert (seen - density).abs().sum() / 2 < 0.01


def test_the_bound_of_a_standard_normal_prior_is_known():
    """Before training the decoder draws independent columns; KL(N(m, s) | N(0, 1)) is torch's."""
    tokens = torch.from_numpy(toy(20_000))
    layout = toy_layout(tokens.numpy())
    model = model_of(layout, components=1)
    with torch.no_grad():
        model.prior.exit.weight.zero_()
        model.prior.exit.bias.zero_()
        reconstruction, divergence = model.bound(tokens, torch.Generator().manual_seed(0))
        mean, log_variance = model.encoder(tokens)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0, 1)).sum(1).mean()
    nats = -sum(np.log(column.frequency[tokens[:, d]]).mean() for d, column in enumerate(layout.columns))
    assert reconstruction.mean().item() == pytest.approx(nats, rel=1e-4)
    assert divergence.mean().item() == pytest.approx(expected.item(), rel=0.01)


def test_the_bound_of_new_rows_comes_near_the_entropy():
    rng = np.random.default_rng(0)
    tokens = coin_and_copy(4000, rng)
    layout = TableLayout(tuple(nominal(str(d), shares(tokens[:, d], 2)) for d in range(2)))
    model = model_of(layout, epochs=20, beta=1.0)
    train(model, {"tokens": tokens}, seed=0, device=torch.device("cpu"))
    with torch.no_grad():
        nats = sum(model.bound(torch.from_numpy(coin_and_copy(20_000, rng)), torch.Generator().manual_seed(0)))
    assert COPY_ENTROPY - 0.01 < nats.mean().item() < COPY_ENTROPY + 0.1


def test_the_same_generator_gives_the_same_rows_across_inner_blocks():
    model = model_of(toy_layout(toy(100)), noise=0.1)
    one, two = (model.sample(5000, torch.Generator().manual_seed(3))["tokens"] for _ in range(2))
    assert torch.equal(one, two)
    assert one.dtype == torch.int64
    assert (one.amax(0) < torch.tensor(model.layout.cardinalities)).all()


def test_a_table_without_modelled_columns_samples_and_trains_at_once():
    model = Model(Config(), TableLayout(()), torch.Generator().manual_seed(0))
    history = train(model, {"tokens": np.zeros((9, 0), dtype=np.int64)}, seed=0, device=torch.device("cpu"))
    assert history.steps == 0
    assert model.sample(5, torch.Generator().manual_seed(0))["tokens"].shape == (5, 0)


@pytest.mark.parametrize("column", [nominal("one", [1.0]), nominal("two", [0.9, 0.1]), numeric("n", [0.02] * 50)])
def test_a_single_column_trains_to_its_frequencies(column):
    K = column.cardinality
    tokens = np.random.default_rng(0).choice(K, size=(3000, 1), p=column.frequency / column.frequency.sum())
    model = model_of(TableLayout((column,)), epochs=4)
    train(model, {"tokens": tokens}, seed=0, device=torch.device("cpu"))
    drawn = model.sample(20_000, torch.Generator().manual_seed(0))["tokens"][:, 0].numpy()
    assert np.abs(shares(drawn, K) - column.frequency).sum() / 2 < 0.08
