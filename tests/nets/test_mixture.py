"""Mixtures of normal distributions: what is fitted, and the density that comes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from synth.nets.mixture import Mixture


def rows(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((count, 2), generator=generator)
    return torch.where(
        torch.arange(count)[:, None] < count // 4, 0.3 * x - 4, x @ torch.tensor([[1.0, 0.8], [0.0, 0.5]])
    )


def test_the_density_is_the_shares_times_those_of_the_parts():
    mixture = Mixture(3, 2)
    mixture.fit(rows(400))
    x = rows(50)
    expected = np.zeros(50)
    for share, mean, factor in zip(mixture.shares, mixture.means, mixture.factors, strict=True):
        covariance = torch.linalg.inv(factor @ factor.T).numpy()
        expected += float(share) * multivariate_normal.pdf(x.numpy(), mean.numpy(), covariance)
    assert np.allclose(mixture.log_prob(x).numpy(), np.log(expected), atol=1e-3)


def test_parts_are_found_and_what_lies_between_them_is_unlikely():
    mixture = Mixture(2, 2)
    mixture.fit(rows(400))
    assert sorted(mixture.shares.tolist()) == pytest.approx([0.25, 0.75], abs=0.02)
    between = mixture.log_prob(torch.tensor([[-2.2, 0.0]]))
    assert float(between) < float(mixture.log_prob(rows(400)).quantile(0.02))


def test_few_rows_make_few_parts_and_one_makes_none():
    mixture = Mixture(5, 2)
    before = mixture.log_prob(torch.ones(1, 2))
    mixture.fit(torch.ones(1, 2))
    assert torch.equal(mixture.log_prob(torch.ones(1, 2)), before)
    mixture.fit(rows(17))
    assert (mixture.shares > 0).sum() == 2
    assert torch.isfinite(mixture.log_prob(rows(17))).all()
