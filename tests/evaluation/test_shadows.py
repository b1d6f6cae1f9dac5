"""Shadow models tell what a cheap generator kept of single rows, and nothing where it kept nothing."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import InputError
from synth.evaluation.attacks import shadows
from synth.evaluation.encoding import View


def kept(rows: View, seed: int = 0) -> View:
    """A bootstrap with noise: the generator that leaks."""
    rng = np.random.default_rng(seed)
    drawn = rows.take(rng.integers(0, len(rows), len(rows)))
    return View(drawn.numbers + rng.normal(0, 0.01, drawn.numbers.shape), drawn.codes)


def independent(rows: View, seed: int = 0) -> View:
    """Columns drawn each by itself, numbers from a Gaussian: nothing of a single row is kept."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(rows.numbers.mean(axis=0), rows.numbers.std(axis=0), rows.numbers.shape)
    return View(normal, rng.permuted(rows.codes, axis=0))


@pytest.fixture
def views(draws):
    return draws(rows=600).views


def test_a_bootstrap_with_noise_is_caught(views):
    found = shadows.attack(kept, views.with_synthetic(kept(views.train, 7)), 8, np.random.default_rng(0))
    assert found["shadow_tpr_1"].low > 0.05
    assert found["shadow_auc"].low > 0.7


def test_a_generator_that_keeps_nothing_is_not(views):
    made = views.with_synthetic(independent(views.train, 7))
    found = shadows.attack(independent, made, 8, np.random.default_rng(0))
    assert found["shadow_tpr_1"].low <= 0.01
    assert found["shadow_auc"].low <= 0.5 <= found["shadow_auc"].high


def test_every_row_is_learnt_by_half_of_the_shadows(views):
    sizes = []

    def counted(rows: View) -> View:
        sizes.append(len(rows))
        return kept(rows)

    first = shadows.attack(counted, views, 4, np.random.default_rng(3))
    assert len(sizes) == 4
    assert sum(sizes) == 2 * 1200
    assert shadows.attack(counted, views, 4, np.random.default_rng(3)) == first


def test_the_ratio_by_hand():
    shown = np.array([[0.0, 0.0], [2.0, 2.0], [1.0, 1.0], [3.0, 3.0]])
    learnt = np.array([[True, True], [True, True], [False, False], [False, False]])
    score = shadows.likelihood_ratio(np.array([1.0, 2.0]), shown, learnt)  # means 1 and 2, deviations 1 and 1
    assert score == pytest.approx([0.5, -0.5])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_odd_number_of_shadows_is_refused(views, count):
    with pytest.raises(InputError, match=f"shadows: found {count}, expected an even number"):
        shadows.attack(kept, views, count, np.random.default_rng(0))


def test_without_unseen_rows_it_is_refused(make_tables, fresh):
    views = make_tables(fresh(50, 1), holdout=fresh(50, 2).head(3)).views
    with pytest.raises(InputError, match="holdout: found 3 unseen rows"):
        shadows.attack(kept, views, 4, np.random.default_rng(0))
