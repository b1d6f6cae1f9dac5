"""Ranks: uniform on the training rows, and back to the tokens and places that they came from."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import kstest

from synth.layout import TableLayout
from synth.nets.ranks import Ranks, probit, unprobit
from tests.models.toys import nominal, numeric, toy, toy_layout


def test_tokens_and_places_come_back_and_training_rows_are_uniform():
    tokens = torch.from_numpy(toy(5000))
    ranks = Ranks(toy_layout(tokens.numpy()))
    assert ranks.columns == [2]
    assert ranks.nominal == [0, 1, 3]
    places = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(1))
    u = ranks.rank(tokens, places, torch.Generator().manual_seed(0))
    assert kstest(u[:, 0].numpy(), "uniform").pvalue > 0.001
    back, where = ranks.token(u)
    assert (back[:, 0] == tokens[:, 2]).float().mean() > 0.999  # ranks that end on an edge may fall to its other side
    same = (back[:, 0] == tokens[:, 2]) & (tokens[:, 2] < 40)
    np.testing.assert_allclose(where[same, 0], places[same, 2], atol=1e-3)


def test_columns_of_different_size_and_tokens_without_rows():
    layout = TableLayout((numeric("a", [0.5, 0.0, 0.5]), nominal("b", [1.0]), numeric("c", [0.2] * 4 + [0.1, 0.1])))
    ranks = Ranks(layout)
    tokens = torch.tensor([[0, 0, 5], [2, 0, 0], [0, 0, 3]])
    u = ranks.rank(tokens, None, torch.Generator().manual_seed(0))
    assert ((u > 0) & (u < 1)).all()
    assert ranks.token(u)[0].tolist() == [[0, 5], [2, 0], [0, 3]]
    torch.testing.assert_close(unprobit(probit(u)), u, atol=1e-5, rtol=0)


def test_no_ordered_column():
    ranks = Ranks(TableLayout((nominal("a", [0.5, 0.5]),)))
    u = ranks.rank(torch.zeros((3, 1), dtype=torch.long), None, torch.Generator())
    assert u.shape == (3, 0)
    assert ranks.token(u)[0].shape == (3, 0)
