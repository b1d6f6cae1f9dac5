"""A particle filter over a small chain whose conditional distribution is known by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from synth.layout import Condition, TableLayout
from synth.models.autoregressive import Config, Model
from synth.nets.particles import Particles, invert
from tests.models.toys import nominal

LAYOUT = TableLayout((nominal("a", [0.5, 0.5]), nominal("b", [0.2] * 5), nominal("c", [0.25] * 4)))


def model() -> Model:
    """A chain whose columns depend on each other."""
    generator = torch.Generator().manual_seed(0)
    made = Model(Config(), LAYOUT, generator).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.15 * torch.randn(parameter.shape, generator=generator)
    return made


def check(drawn: torch.Tensor, allowed: np.ndarray, chain: Model) -> None:
    """Chi-square of the drawn rows against the enumerated conditional distribution of the allowed cells."""
    cells = torch.tensor(list(itertools.product(*(range(K) for K in LAYOUT.cardinalities))))
    with torch.no_grad():
        expected = chain.log_prob({"tokens": cells}).exp().numpy() * allowed
    expected /= expected.sum()
    index = np.ravel_multi_index(tuple(drawn.numpy().T), LAYOUT.cardinalities)
    seen = np.bincount(index, minlength=len(cells)) / len(drawn)
    assert seen[allowed == 0].sum() == 0
    usual = len(drawn) * expected > 5
    chi_square = len(drawn) * ((seen - expected)[usual] ** 2 / expected[usual]).sum()
    assert usual.sum() > 3
    assert chi_square < usual.sum() + 5 * np.sqrt(2 * usual.sum())


def cells() -> np.ndarray:
    return np.array(list(itertools.product(*(range(K) for K in LAYOUT.cardinalities))))


@torch.inference_mode()
def test_evidence_on_the_last_column():
    chain = model()
    spans = {2: np.array([[1, 0], [0, 1], [0, 0.5], [1, 0]], dtype=float)}
    drawn = chain.sample(40_000, torch.Generator().manual_seed(1), Condition(spans=spans))["tokens"]
    weight = np.array([0, 1, 0.5, 0])[cells()[:, 2]]
    check(drawn, weight, chain)


@torch.inference_mode()
@pytest.mark.parametrize("given", [(1, -1, 2), (-1, 3, -1), (-1, -1, 0), (0, 4, 1)])
def test_given_tokens_are_kept_and_the_rest_follows(given):
    chain = model()
    n = 20_000
    drawn = chain.sample(n, torch.Generator().manual_seed(1), Condition(tokens=np.tile(given, (n, 1))))["tokens"]
    allowed = np.all((np.array(given) == -1) | (cells() == np.array(given)), axis=1).astype(float)
    if given.count(-1):
        check(drawn, allowed, chain)
    assert all((drawn[:, d] == token).all() for d, token in enumerate(given) if token >= 0)


@torch.inference_mode()
def test_rows_of_different_evidence_keep_their_own():
    chain = model()
    tokens = np.full((3000, 3), -1)
    tokens[:, 2] = np.arange(3000) % 4
    tokens[::7, 0] = 1
    drawn = chain.sample(3000, torch.Generator().manual_seed(1), Condition(tokens=tokens))["tokens"].numpy()
    assert (drawn[:, 2] == tokens[:, 2]).all()
    assert (drawn[::7, 0] == 1).all()


def test_pools_resample_by_weight():
    cloud = Particles(2, 1, 4, torch.Generator().manual_seed(0), torch.device("cpu"))
    cloud.weigh(torch.tensor([0.0, -50, -50, -50, -50, -50, 0.0, -50]))
    assert cloud.resample().tolist() == [0, 0, 0, 0, 6, 6, 6, 6]
    assert cloud.resample() is None
    assert len(cloud.choose()) == 2


def test_impossible_tokens_never_come():
    log_prob = torch.tensor([[0.0, -1.0, -torch.inf]]).expand(1000, 3)
    uniform = torch.linspace(0, 1, 1000)
    assert invert(log_prob, uniform).max() == 1
