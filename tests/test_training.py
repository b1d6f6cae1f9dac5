"""The training loop: batches, stopping, bad numbers, checkpoints and kills."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from synth import training
from synth.errors import InputError, TrainingError
from synth.layout import TableLayout
from synth.models.autoregressive import Config, Model
from synth.training import Plan, Training, train
from tests.models.toys import toy, toy_layout

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent


def small(tokens: np.ndarray, model: type[Model] = Model, **config) -> Model:
    settings = {"epochs": 3, "width": 8, "batch_size": 64, "min_steps": 0, **config}
    return model(Config(**settings), toy_layout(tokens), torch.Generator().manual_seed(0))


def fit(model: Model, tokens: np.ndarray, **options) -> training.History:
    return train(model, {"tokens": tokens}, seed=0, device=CPU, **options)


def digest(model: torch.nn.Module) -> str:
    return hashlib.sha256(safetensors.torch.save(model.state_dict())).hexdigest()


@pytest.mark.parametrize(("rows", "batch", "share"), [(1, 512, 0.08), (2, 512, 0.5), (513, 512, 0), (129, 64, 0.08)])
def test_every_row_is_trained_on_once_a_pass(rows, batch, share):
    """One row, two, and a batch plus one: no row is left out and no step is empty."""
    seen: list[torch.Tensor] = []

    class Watched(Model):
        def loss(self, batch, generator):
            if self.training:
                seen.append(batch["tokens"][:, 0].clone())
            return super().loss(batch, generator)

    tokens = toy(rows)
    layout = toy_layout(tokens)
    model = Watched(Config(epochs=1, batch_size=batch, validation_share=share, min_steps=0), layout, torch.Generator())
    history = fit(model, tokens)
    kept = int(rows * share)
    assert sum(map(len, seen)) == rows - kept
    assert history.steps == len(seen) == -(-(rows - kept) // batch)
    assert max(map(len, seen)) - min(map(len, seen)) <= 1


def test_few_rows_are_passed_over_until_the_least_number_of_steps():
    plan = Plan.make(100, Config(epochs=10, batch_size=50, min_steps=200), validated=True)
    assert (plan.batches, plan.passes, plan.steps) == (2, 10, 200)
    assert Plan.make(100, Config(epochs=10, batch_size=50, min_steps=200), validated=False).steps == 20


def test_training_stops_when_the_validation_loss_no_longer_falls_and_keeps_the_best_weights():
    class Spoilt(Model):
        """Its validation loss is 5, 3, 4, 4, 4, ..."""

        calls = 0

        def loss(self, batch, generator):
            if self.training:
                return super().loss(batch, generator)
            Spoilt.calls += 1
            Spoilt.states.append({k: v.clone() for k, v in self.state_dict().items()})
            return torch.tensor({1: 5.0, 2: 3.0}.get(Spoilt.calls, 4.0))

    Spoilt.states = []
    tokens = toy(400)
    model = small(tokens, Spoilt, epochs=30, patience=4)
    history = fit(model, tokens)
    assert history.stopped == "patience"
    assert [epoch.validation_loss for epoch in history.epochs] == [5, 3, 4, 4, 4, 4]
    assert all(torch.equal(value, Spoilt.states[1][name]) for name, value in model.state_dict().items())


def test_the_history_says_what_happened():
    tokens = toy(500)
    heard = []
    history = fit(small(tokens), tokens, on_epoch=heard.append)
    assert history.stopped == "finished"
    assert history.rows == 500
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3]
    assert history.epochs == tuple(heard)
    assert history.epochs[-1].steps == history.steps == 3 * 8
    assert history.epochs[-1].validation_loss < history.epochs[0].validation_loss
    assert json.loads(json.dumps(history.as_dict(), allow_nan=False))["stopped"] == "finished"


def test_the_learning_rate_warms_up_and_decays():
    tokens = toy(640)
    model = small(tokens, epochs=10, validation_share=0, warmup_steps=10, learning_rate=0.01)
    run = Training(model, {"tokens": torch.from_numpy(tokens)}, seed=0, device=CPU, max_minutes=None)
    rates = []
    for run.progress.step in range(100):
        rates.append(run.learning_rate())
    assert rates[0] == pytest.approx(0.001)
    assert max(rates) == rates[9] == pytest.approx(0.01)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.0002, rel=0.05)


class Halves(Model):
    """Two losses in turn: all but the embedding follows the likelihood, the embedding alone its own square."""

    def step(self, batch, generator, descend):
        others = [weight for name, weight in self.named_parameters() if name != "columns.embedding"]
        before = [self.columns.embedding.clone(), *(weight.clone() for weight in others)]
        value = descend(self.loss(batch, generator), others)
        assert torch.equal(self.columns.embedding, before[0])
        middle = [weight.clone() for weight in others]
        assert any(not torch.equal(one, other) for one, other in zip(middle, before[1:], strict=True))
        descend((self.columns.embedding - 1).square().sum(), [self.columns.embedding])
        assert not torch.equal(self.columns.embedding, before[0])
        assert all(torch.equal(one, other) for one, other in zip(middle, others, strict=True))
        return value


def test_a_family_with_losses_of_its_own_changes_only_what_it_names_and_resumes(tmp_path, monkeypatch):
    tokens = toy(450)
    whole, resumed = small(tokens, Halves), small(tokens, Halves)
    distance = (whole.columns.embedding - 1).square().mean().item()
    history = fit(whole, tokens)
    assert (whole.columns.embedding - 1).square().mean().item() < distance
    stop_after(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt):
        fit(small(tokens, Halves), tokens, checkpoint=tmp_path, checkpoint_seconds=0)
    monkeypatch.undo()
    again = fit(resumed, tokens, checkpoint=tmp_path)
    assert (again.resumed_at, again.steps) == (9, history.steps)
    assert digest(resumed) == digest(whole)


class Sides(Model):
    """Columns that are judged worse from epoch to epoch, and a number beside them that goes on getting better."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.beside = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[dict[str, torch.Tensor]] = []

    def loss(self, batch, generator):
        return super().loss(batch, generator) + (self.beside - 1).square()

    def judged(self, batch, generator):
        self.seen.append({name: value.clone() for name, value in self.state_dict().items()})
        return {"": (self.beside - 1).square(), "columns": torch.tensor(float(len(self.seen)))}


def test_modules_that_are_judged_apart_have_best_epochs_of_their_own(tmp_path, monkeypatch):
    tokens = toy(450)
    whole, resumed = (small(tokens, Sides, epochs=6, patience=2) for _ in range(2))
    run = Training(whole, {"tokens": torch.from_numpy(tokens)}, seed=0, device=CPU, max_minutes=None)
    assert run.fit(None, 10, None) == "finished"
    first, *_, last = run.averaged.seen
    assert len(run.averaged.seen) == 6
    for name, value in whole.state_dict().items():
        assert torch.equal(value, (first if name.startswith("columns.") else last)[name])
    assert not torch.equal(first["columns.embedding"], last["columns.embedding"])
    assert first["beside"] < last["beside"]

    stop_after(monkeypatch, run.plan.steps_per_epoch * 3 + 1)
    with pytest.raises(KeyboardInterrupt):
        fit(small(tokens, Sides, epochs=6, patience=2), tokens, checkpoint=tmp_path, checkpoint_seconds=0)
    monkeypatch.undo()
    fit(resumed, tokens, checkpoint=tmp_path)
    assert digest(resumed) == digest(whole)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_non_finite_step_stops_by_number_and_leaves_the_last_good_checkpoint(tmp_path, where):
    class Breaking(Model):
        steps = 0

        def loss(self, batch, generator):
            value = super().loss(batch, generator)
            if not self.training:
                return value
            Breaking.steps += 1
            if Breaking.steps < 10:
                return value
            zero = (self.columns.embedding.sum() * 0).sqrt()  # 0, with an infinite slope
            return value * torch.inf if where == "loss" else value + zero

    tokens = toy(400)
    Breaking.steps = 0
    model = small(tokens, Breaking)
    with pytest.raises(TrainingError, match=r"step 10: .* not finite"):
        fit(model, tokens, checkpoint=tmp_path / "checkpoint", checkpoint_seconds=0)
    stored = safetensors.torch.load_file(tmp_path / "checkpoint" / training.CHECKPOINT_FILE)
    assert all(torch.isfinite(value).all() for name, value in stored.items() if not name.endswith("padding"))
    with safetensors.safe_open(tmp_path / "checkpoint" / training.CHECKPOINT_FILE, "pt") as file:
        assert json.loads(file.metadata()["progress"])["step"] == 9


def test_the_time_limit_keeps_the_best_state_so_far():
    tokens = toy(2000)
    model = small(tokens, epochs=10_000, patience=10_000)
    before = digest(model)
    started = time.monotonic()
    history = fit(model, tokens, max_minutes=0.5 / 60)
    assert history.stopped == "max_minutes"
    assert time.monotonic() - started < 5
    assert history.epochs[-1].validation_loss is not None
    assert digest(model) != before


def test_a_time_limit_of_nearly_nothing_still_trains_a_step():
    tokens = toy(2000)
    history = fit(small(tokens), tokens, max_minutes=1e-9)
    assert (history.steps, history.stopped, len(history.epochs)) == (1, "max_minutes", 1)


def test_the_time_of_an_interrupted_run_counts(tmp_path, monkeypatch):
    tokens = toy(400)
    stop_after(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        fit(small(tokens), tokens, checkpoint=tmp_path, checkpoint_seconds=0)
    monkeypatch.undo()
    heard = []
    fit(small(tokens), tokens, checkpoint=tmp_path, max_minutes=1e-9, on_epoch=heard.append)
    assert heard[-1].steps == 5


def stop_after(monkeypatch, steps: int) -> None:
    """Interrupt the training at the beginning of the step after `steps`."""
    step = Training.step

    def interrupted(self):
        if self.progress.step == steps:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(Training, "step", interrupted)


@pytest.mark.parametrize("steps", [1, 6, 7, 20])
def test_an_interrupted_training_resumes_to_the_same_bytes(tmp_path, monkeypatch, steps):
    """In an epoch (7 steps each), at its end and after it."""
    tokens = toy(450)
    whole = small(tokens)
    history = fit(whole, tokens)
    stop_after(monkeypatch, steps)
    with pytest.raises(KeyboardInterrupt):
        fit(small(tokens), tokens, checkpoint=tmp_path, checkpoint_seconds=0, fingerprint="a")
    monkeypatch.undo()
    resumed = small(tokens)
    heard = []
    again = fit(resumed, tokens, checkpoint=tmp_path, fingerprint="a", on_epoch=heard.append)
    assert digest(resumed) == digest(whole)
    assert len(heard) == 3 - steps // 7
    assert [e.validation_loss for e in again.epochs] == [e.validation_loss for e in history.epochs]
    assert [e.train_loss for e in again.epochs] == [e.train_loss for e in history.epochs]


def test_a_finished_training_is_not_repeated(tmp_path):
    tokens = toy(450)
    first, second = small(tokens), small(tokens)
    fit(first, tokens, checkpoint=tmp_path)
    heard = []
    history = fit(second, tokens, checkpoint=tmp_path, on_epoch=heard.append)
    assert (heard, history.stopped, len(history.epochs)) == ([], "finished", 3)
    assert digest(first) == digest(second)


@pytest.mark.parametrize("spoil", ["fingerprint", "config", "bytes", "empty"])
def test_a_checkpoint_that_does_not_fit_is_left_aside_and_said_so(tmp_path, caplog, spoil):
    tokens = toy(450)
    fit(small(tokens), tokens, checkpoint=tmp_path, fingerprint="a")
    if spoil in ("bytes", "empty"):
        path = tmp_path / training.CHECKPOINT_FILE
        path.write_bytes(path.read_bytes()[:100] if spoil == "bytes" else b"")
    config = {"dropout": 0.1} if spoil == "config" else {}
    resumed, fresh = small(tokens, **config), small(tokens, **config)
    fit(resumed, tokens, checkpoint=tmp_path, fingerprint="b" if spoil == "fingerprint" else "a")
    fit(fresh, tokens)
    assert "starts anew" in caplog.text
    assert digest(resumed) == digest(fresh)


WORKER = """
import hashlib, sys, numpy as np, safetensors.torch, torch
from pathlib import Path
from synth.models.autoregressive import Config, Model
from synth.training import train
from tests.models.toys import toy, toy_layout
tokens = toy(3000)
config = Config(epochs=12, width=16, batch_size=64, patience=12)
model = Model(config, toy_layout(tokens), torch.Generator().manual_seed(0))
checkpoint = Path(sys.argv[1]) if len(sys.argv) > 1 else None
print("ready", flush=True)
train(model, {"tokens": tokens}, seed=0, device=torch.device("cpu"), checkpoint=checkpoint, checkpoint_seconds=0.02)
print(hashlib.sha256(safetensors.torch.save(model.state_dict())).hexdigest(), flush=True)
"""


def worker(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_a_killed_training_resumes_to_the_bytes_of_one_left_alone(tmp_path):
    started = time.monotonic()
    alone = worker()
    expected = alone.communicate()[0].split()[1]
    length = time.monotonic() - started
    pause = random.Random(0)
    kills = 0
    while True:
        process = worker(str(tmp_path / "checkpoint"))
        assert process.stdout.readline() == "ready\n"
        try:
            output, _ = process.communicate(timeout=pause.uniform(0.1, 0.15 * length) if kills < 4 else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        break
    assert process.returncode == 0
    assert output.split() == [expected]
    assert kills >= 2
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == [training.CHECKPOINT_FILE]


def test_arrays_without_rows_or_of_two_lengths_are_refused():
    tokens = toy(10)
    with pytest.raises(InputError, match=r"'tokens': 0"):
        fit(small(tokens), tokens[:0])
    with pytest.raises(InputError, match=r"'tokens': 10, 'weights': 3"):
        train(small(tokens), {"tokens": tokens, "weights": np.ones(3)}, seed=0, device=CPU)


def test_no_columns_need_no_checkpoint(tmp_path):
    model = Model(Config(), TableLayout(()), torch.Generator())
    history = train(model, {"tokens": np.zeros((3, 0), dtype=np.int64)}, seed=0, device=CPU, checkpoint=tmp_path / "c")
    assert history.epochs == ()
    assert not (tmp_path / "c").exists()


def test_an_epoch_of_many_rows_is_a_part_of_a_pass(monkeypatch):
    """Every row is seen once in a pass, whatever the epochs; validation rows are no more than so many."""
    monkeypatch.setattr(training, "EPOCH_STEPS", 3)
    monkeypatch.setattr(training, "VALIDATION_MOST", 20)
    plan = Plan.make(1000, Config(epochs=5, batch_size=100, min_steps=0), validated=True)
    assert (plan.batches, plan.steps_per_epoch, plan.steps) == (10, 3, 15)
    seen: list[torch.Tensor] = []

    class Watched(Model):
        def loss(self, batch, generator):
            if self.training:
                seen.append(batch["row"])
            else:
                assert len(batch["row"]) == 20
            return super().loss(batch, generator)

    tokens = toy(1020)
    model = small(tokens, Watched, epochs=5, batch_size=100)
    history = train(model, {"tokens": tokens, "row": np.arange(1020)}, seed=0, device=CPU)
    assert (history.steps, [epoch.steps for epoch in history.epochs]) == (15, [3, 6, 9, 12, 15])
    first = torch.cat(seen[:10])
    assert len(first) == len(first.unique()) == 1000


def test_narrow_arrays_train_to_the_same_bytes():
    tokens = toy(450)
    narrow, wide = small(tokens), small(tokens)
    train(narrow, {"tokens": tokens.astype(np.uint8)}, seed=0, device=CPU)
    fit(wide, tokens)
    assert digest(narrow) == digest(wide)
