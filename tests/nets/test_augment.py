"""Changes of pictures: same shape and range, another picture, the same for the same generator."""

from __future__ import annotations

import pytest
import torch
from digits import levels

from synth.models.base import scaled
from synth.nets.augment import CHANGES, affine, elastic, rand_augment


def some() -> torch.Tensor:
    return scaled(torch.from_numpy(levels()[0][:40]))


@pytest.mark.parametrize("augment", [affine, elastic, rand_augment])
def test_a_change_is_slight_and_its_generator_decides(augment):
    x = some()
    first, again, other = (augment(x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.shape == x.shape
    assert first.abs().max() <= 1 + 1e-5
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    moved, apart = (first - x).abs().mean(), (x.roll(1, 0) - x).abs().mean()
    assert 0.02 < moved < apart


@pytest.mark.parametrize("change", CHANGES)
def test_no_strength_changes_a_picture_hardly(change):
    x = some()
    still = change(x, torch.zeros(len(x)))
    assert (still - x).abs().mean() < 0.2
    assert still.shape == x.shape
