"""What the marginals promise: exact without a promise, near with one, nothing of the rows but what the ledger says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from synth.errors import ConfigError
from synth.layout import Condition, TableLayout
from synth.models.marginals import Config, Model, largest
from synth.nets.groups import group, split
from synth.nets.junction import contract
from synth.privacy import Ledger, Privacy
from tests.models.toys import cells, check_follows, distance, nominal, numeric, toy, toy_layout

pytest.importorskip("mbi")

PROMISE = Privacy(epsilon=1, delta=1e-6)


class Zeros(Ledger):
    """A ledger that tells nothing but keeps the account."""

    def gaussian(self, values, rho, what, sensitivity=1.0):
        return 0 * super().gaussian(values, rho, what, sensitivity)

    def choose(self, scores, *args, **options):
        return super().choose(np.zeros(len(scores)), *args, **options)


class Noted(Ledger):
    """A ledger that keeps what it was asked."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def gaussian(self, values, rho, what, sensitivity=1.0):
        self.asked.append((what, np.array(values), sensitivity))
        return super().gaussian(values, rho, what, sensitivity)


def layout(target: int | None = 0) -> TableLayout:
    """The toy's, which tells nothing of its rows."""
    columns = toy_layout(toy(10)).columns
    even = [replace(c, frequency=np.full(c.cardinality, 1 / c.cardinality, dtype=np.float32)) for c in columns]
    return TableLayout(tuple(even), target)


def measured(
    tokens: np.ndarray, ledger: Ledger, told: TableLayout | None = None, batch: int = 10_000, **config
) -> Model:
    """A model that has seen the rows through the ledger, in batches."""
    settings = {"iterations": 300} | config
    model = Model(Config(**settings), told or layout(), torch.Generator().manual_seed(0))
    batches = ({"tokens": torch.from_numpy(tokens[i : i + batch])} for i in range(0, max(len(tokens), 1), batch))
    model.measure(batches, ledger, torch.Generator().manual_seed(0))
    return model.eval()


def ledger(epsilon: float = 1, seed: int = 0) -> Ledger:
    return Ledger(Privacy(epsilon=epsilon, delta=1e-6), np.random.default_rng(seed))


def drawn(model: Model, n: int, condition: Condition | None = None) -> np.ndarray:
    return model.sample(n, torch.Generator().manual_seed(1), condition)["tokens"].numpy()


def state(model: Model) -> bytes:
    return safetensors.torch.save({name: value.contiguous() for name, value in model.state_dict().items()})


def chances(model: Model) -> np.ndarray:
    """(2, 3, 41) probabilities of the toy's rows."""
    with torch.no_grad():
        return model.log_prob({"tokens": cells(model.layout)}).double().exp().numpy().reshape(2, 3, 41)


@pytest.mark.parametrize("target", [0, None])
def test_exact_counts_reproduce_the_pairs(target):
    tokens = toy(5000)
    got = chances(measured(tokens, Ledger(None), layout(target), iterations=1000))
    counts = np.zeros((2, 3, 41))
    np.add.at(counts, tuple(tokens[:, :3].T), 1 / len(tokens))
    assert got.sum() == pytest.approx(1, abs=1e-4)
    for axis in range(3):
        assert np.abs(got.sum(axis) - counts.sum(axis)).sum() / 2 < 0.01


def test_a_promise_comes_near():
    real = toy(20_000, seed=1)
    near, far = (distance(real, drawn(measured(toy(20_000), ledger(epsilon)), 20_000)) for epsilon in (1, 0.01))
    assert near < 0.08 < far


def test_nothing_but_the_ledger_sees_the_rows():
    states = {
        state(measured(tokens, Zeros(PROMISE, np.random.default_rng(0))))
        for tokens in (toy(500), toy(30, seed=1)[:, ::1] * 0, toy(0))
    }
    assert len(states) == 1


def test_one_row_more_changes_each_answer_by_one():
    answers = []
    for rows in (300, 301):
        kept = Noted(None)
        measured(toy(301)[:rows], kept)
        answers.append(kept.asked)
    assert len(answers[0]) > 3
    for (what, few, sensitivity), (_, many, _) in zip(*answers, strict=True):
        assert np.linalg.norm(many - few) == sensitivity == 1, what


@pytest.mark.parametrize(
    "told", [layout(), layout(None), TableLayout(layout().columns[1:2]), TableLayout(layout().columns[:2], 1)]
)
def test_all_of_the_budget_is_spent_and_no_more(told):
    kept = ledger()
    measured(toy(2000)[:, : len(told.columns)] % 2, kept, told, iterations=50)
    assert 0 <= kept.rho - kept.left <= kept.rho * (1 + 1e-9)
    assert kept.left == pytest.approx(0, abs=1e-9 * kept.rho)
    assert kept.epsilon() < 1.001


def test_the_noise_alone_decides_the_state():
    tokens = toy(2000)
    assert state(measured(tokens, ledger())) == state(measured(tokens, ledger(), batch=7))
    assert state(measured(tokens, ledger())) != state(measured(tokens, ledger(seed=1)))


def test_a_saved_state_samples_without_the_library(tmp_path, monkeypatch):
    model = measured(toy(2000), ledger())
    (tmp_path / "state").write_bytes(state(model))
    for name in ("mbi", "jax"):
        monkeypatch.setitem(sys.modules, name, None)
    other = Model(Config(), layout(), torch.Generator().manual_seed(5))
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "state"))
    assert state(other) == state(model)
    assert np.array_equal(drawn(other, 1000), drawn(model, 1000))


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mbi", None)
    with pytest.raises(ConfigError, match=r"mbi, which is missing: pip install 'synth\[privacy\]'"):
        measured(toy(10), Ledger(None))


def test_importing_the_family_brings_no_jax():
    code = "import sys, synth.models.marginals; print([m for m in ('jax', 'mbi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_samples_follow_the_likelihood():
    model = measured(toy(5000), ledger())
    check_follows(model, chances(model).ravel())


def test_a_condition_is_kept_and_the_rest_follows():
    model = measured(toy(5000), Ledger(None))
    spans = {2: np.array([(0, 1) if 24 <= k < 40 else (1, 0) for k in range(41)], dtype=float)}
    got = drawn(model, 20_000, Condition(spans=spans))
    assert ((got[:, 2] >= 24) & (got[:, 2] < 40)).all()
    expected = chances(model)[:, :, 24:40].sum(2)
    seen = np.bincount(got[:, 0] * 3 + got[:, 1], minlength=6) / len(got)
    np.testing.assert_allclose(seen, (expected / expected.sum()).ravel(), atol=0.02)


def test_a_category_that_never_came_can_be_asked_for():
    tokens = toy(1000)
    tokens[:, 1] = 0
    given = np.tile(np.array([[-1, 2, -1, -1]]), (50, 1))
    assert (drawn(measured(tokens, Ledger(None)), 50, Condition(tokens=given))[:, 1] == 2).all()


def test_no_table_is_above_the_bound():
    model = measured(toy(3000), Ledger(None), cells=100)
    assert largest([(0, 1), (0, 2), (1, 2)], [2, 3, 41]) == 246
    assert max(link.table.numel() for link in model._links()) <= 100


def test_heavy_tokens_stay_alone_and_rare_ones_go_together():
    counts = np.array([3, 4, 500, 2, 3, 90, 40, 70, 5.0])
    assert split(counts, least=50, most=4).tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    column = nominal("a", [0.2] * 5)
    assert group(column, np.array([50, 1, 90, 2, 30.0]), least=20, most=8).tolist() == [0, 3, 1, 3, 2]
    known = numeric("n", [0.2] * 5)
    assert group(known, np.array([50, 60, 70, 80, 3.0]), least=20, most=8).tolist() == [0, 1, 2, 3, 4]


def test_tables_multiply_over_many_columns():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3)), rng.random((3, 4))
    np.testing.assert_allclose(contract([(a, (100, 70)), (b, (70, 99))], (99, 100)), (a @ b).T)
