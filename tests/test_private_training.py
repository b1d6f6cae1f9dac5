"""DP-SGD: norms, clipping, Poisson samples and noise are what the account says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth import models
from synth.models.base import GenerativeModel
from synth.privacy import Ledger, Privacy
from synth.private_training import PrivateTraining, train_privately
from tests.models.toys import distance, toy, toy_layout

CPU = torch.device("cpu")
PROMISE = Privacy(epsilon=2.0, delta=1e-3)
ABLE = [name for name in models.available() if models.family(name).Model.private == "gradients"]


@pytest.fixture(params=ABLE)
def name(request) -> str:
    return request.param


def build(name: str, tokens: np.ndarray, **config) -> GenerativeModel:
    family = models.family(name)
    settings = family.Config(**{**family.Model.private_config, "width": 8, "blocks": 1, **config})
    return family.Model(settings, toy_layout(tokens), torch.Generator().manual_seed(0))


def start(name: str, tokens: np.ndarray, **config) -> PrivateTraining:
    model = build(name, tokens, **config)
    tensors = {"tokens": torch.from_numpy(tokens)}
    ledger = Ledger(PROMISE, np.random.default_rng(0))
    return PrivateTraining(model, tensors, seed=0, device=CPU, max_minutes=None, ledger=ledger, rows=len(tokens))


def test_norms_without_gradients_are_those_of_the_gradients(name):
    tokens = toy(12)
    run = start(name, tokens)
    trained = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    batch = run.batch(torch.arange(12))
    run.model.train()
    run.model.losses(batch, torch.Generator().manual_seed(0)).sum().backward()
    found = run.hooked.get_norm_sample()

    run.hooked.disable_hooks()
    losses = run.model.losses(batch, torch.Generator().manual_seed(0))
    exact = [torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True) for loss in losses]
    norms = [sum(float(g.square().sum()) for g in each if g is not None) ** 0.5 for each in exact]
    torch.testing.assert_close(found, torch.tensor(norms), rtol=1e-4, atol=1e-5)
    assert found.max() > 1.5 * found.min()


def test_a_loss_depends_on_its_own_row_alone(name):
    tokens = toy(6)
    other = tokens.copy()
    other[5] = 0
    model = build(name, tokens).train()
    before, after = (
        model.losses({"tokens": torch.from_numpy(rows)}, torch.Generator().manual_seed(0)) for rows in (tokens, other)
    )
    torch.testing.assert_close(before[:5], after[:5])
    assert before[5] != after[5]


def test_one_row_moves_the_sum_of_gradients_by_no_more_than_the_clip(name):
    tokens = toy(40)
    norms = []
    for row in range(20):
        run = start(name, tokens, gradient_clip=0.05)
        run.private_optimiser.noise_multiplier = 0.0
        run.model.train()
        run.learn({"tokens": torch.from_numpy(tokens[row : row + 1])})
        trained = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
        norms.append(float(torch.cat([parameter.summed_grad.flatten() for parameter in trained]).norm()))
    assert max(norms) == pytest.approx(0.05, rel=1e-3)


def test_the_noise_on_the_sum_is_that_of_the_account(name):
    run = start(name, toy(40), batch_size=8)
    run.model.train()
    run.learn({"tokens": torch.zeros((0, 4), dtype=torch.long)})
    trained = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
    noise = torch.cat([parameter.grad.flatten() for parameter in trained]) * 8
    expected = run.ledger.spent[-1].noise_multiplier * run.config.gradient_clip
    assert float(noise.std()) == pytest.approx(expected, rel=0.1)


def test_rows_are_drawn_each_by_itself():
    run = start(ABLE[0], toy(200), batch_size=20)
    drawn = [run.chosen(step) for step in range(400)]
    sizes = torch.tensor([len(rows) for rows in drawn], dtype=torch.float)
    assert float(sizes.mean()) == pytest.approx(20, abs=1)
    assert float(sizes.var()) == pytest.approx(18, rel=0.3)  # a binomial's, not 0
    assert torch.bincount(torch.cat(drawn), minlength=200).min() > 10


def test_a_toy_is_learnt_and_the_model_is_left_as_it_was_found(name):
    tokens = toy(4000)
    model = build(name, tokens, width=32, batch_size=500, epochs=30)
    keys = list(model.state_dict())
    ledger = Ledger(Privacy(epsilon=5.0, delta=1e-5), np.random.default_rng(0))
    history = train_privately(model, {"tokens": tokens}, ledger, rows=3987, seed=0, device=CPU)

    drawn = model.sample(20_000, torch.Generator().manual_seed(0))["tokens"].numpy()
    shuffled = np.random.default_rng(0).permuted(tokens, axis=0)
    real = toy(20_000, seed=1)
    assert distance(real, drawn) < 0.6 * distance(real, shuffled)
    assert list(model.state_dict()) == keys
    assert not any(hasattr(parameter, "grad_sample") for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert history.rows == 3987
    assert (
        {epoch.train_loss for epoch in history.epochs} == {epoch.validation_loss for epoch in history.epochs} == {None}
    )
