"""The one training loop: batches, averaged weights, early stopping, checkpoints and resuming.

Every random number of step i comes from a generator seeded by (seed, stream, i), so a resumed run needs no
generator's state and ends in the bytes of an uninterrupted one. Nothing touches the global generators.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from synth.errors import InputError, TrainingError
from synth.models.base import Batch, GenerativeModel, TrainingConfig
from synth.storage import replacing

log = logging.getLogger(__name__)

Stopped = Literal["finished", "patience", "max_minutes"]
SPLIT, ORDER, NOISE, VALIDATION, OBSERVATION = range(5)  # streams of random numbers
CHECKPOINT_FILE = "state.safetensors"
CHECKPOINT_SECONDS = 10.0
VALIDATION_ROWS = 4096  # rows validated at once
VALIDATION_MOST = 100_000  # rows kept for validation at most
EPOCH_STEPS = 2000  # steps of an epoch at most: of many rows it is a part of a pass
ON_DEVICE = 2**30  # bytes of training rows that are moved to the device as a whole
TYPES = {"tokens": torch.int64, "places": torch.float32}  # of a batch, whatever the arrays are stored in
OBSERVED_ROWS = 16384  # rows shown at once before the first step


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows (several where the rows are few, a part of one where they are many).

    number: counted from 1
    steps: optimisation steps since the start of the training
    train_loss: mean over the epoch's rows of the loss while training (dropout on); None where it may not be told
    validation_loss: sum of what the averaged weights are judged by on the validation rows, None where there are none
    seconds: wall time since the start of the training, earlier runs that were resumed included
    learning_rate: of the epoch's last step
    """

    number: int
    steps: int
    train_loss: float | None
    validation_loss: float | None
    seconds: float
    learning_rate: float

    @property
    def shown(self) -> str:
        """What a progress bar says of it."""
        return "" if self.train_loss is None else f"loss {self.train_loss:.4f}"


@dataclass(frozen=True)
class History:
    """What a training did.

    rows: training and validation rows
    resumed_at: step at which this process took over from a checkpoint; 0 where it did all
    """

    epochs: tuple[Epoch, ...]
    stopped: Stopped
    steps: int
    rows: int
    resumed_at: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "epochs": [asdict(epoch) for epoch in self.epochs]}


@dataclass(frozen=True)
class Plan:
    """How rows become steps: permutations of all rows, each cut into `batches` of equal size (+-1).

    An epoch is `passes` of them, or EPOCH_STEPS steps where one has more batches.
    """

    rows: int
    batches: int
    passes: int
    epochs: int

    @classmethod
    def make(cls, rows: int, config: TrainingConfig, validated: bool) -> Plan:
        """Few rows are passed over several times an epoch, only where validation rows guard the result."""
        batches = math.ceil(rows / config.batch_size)
        wanted = math.ceil(config.min_steps / config.epochs / min(batches, EPOCH_STEPS)) if validated else 1
        return cls(rows, batches, max(wanted, 1), config.epochs)

    @property
    def steps_per_epoch(self) -> int:
        """Optimisation steps between two validations."""
        return min(self.batches, EPOCH_STEPS) * self.passes

    @property
    def steps(self) -> int:
        """Optimisation steps of the whole training."""
        return self.steps_per_epoch * self.epochs

    def batch(self, order: Tensor, step: int) -> Tensor:
        """The row numbers of a step, out of its pass's permutation."""
        i = step % self.batches
        return order[i * self.rows // self.batches : (i + 1) * self.rows // self.batches]


@dataclass
class Progress:
    """Where a training stands; with the tensors, all that a checkpoint holds."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    row_sum: int = 0
    best: dict[str, tuple[int, float]] = field(default_factory=dict)  # of `judged`: epoch and loss
    epochs: list[Epoch] = field(default_factory=list)


def train(
    model: GenerativeModel,
    arrays: Mapping[str, NDArray[Any]],
    *,
    seed: int,
    device: torch.device,
    max_minutes: float | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    fingerprint: str = "",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> History:
    """Fit `model` to `arrays` (each (N, ...), the same N) by AdamW; leave it on `device` in its best state.

    The best state is the averaged one (EMA) with the lowest loss on validation rows kept out of `arrays`, by module
    where the model is `judged` so; where N is too small for any, the last. `max_minutes` bounds the wall time, that
    before a resume included, and anneals the learning rate in time. With a `checkpoint` directory the state is saved
    every `checkpoint_seconds`; a run of the same `fingerprint`, data size, seed and configuration resumes there to the
    bytes of an uninterrupted run. The caller removes the directory once the result is safe.

    Raises InputError for no rows or unequal lengths, TrainingError at a step whose loss is not finite.
    """
    tensors, rows = tensors_of(arrays)
    model.to(device)
    model.observe(all_batches(tensors, rows, device), stream_generator(seed, OBSERVATION, 0, device))
    if not sum(parameter.numel() for parameter in model.parameters()):
        model.eval()
        return History((), "finished", 0, rows)
    run = Training(model, tensors, seed=seed, device=device, max_minutes=max_minutes)
    store = Checkpoint(checkpoint, run.key(fingerprint)) if checkpoint else None
    if store:
        store.load(run)
    resumed_at = run.progress.step
    stopped = run.fit(store, checkpoint_seconds, on_epoch)
    return History(tuple(run.progress.epochs), stopped, run.progress.step, rows, resumed_at)


class Training:
    """One training under way: weights, averaged weights, optimiser, best state and progress."""

    def __init__(
        self,
        model: GenerativeModel,
        tensors: Mapping[str, Tensor],
        *,
        seed: int,
        device: torch.device,
        max_minutes: float | None,
    ) -> None:
        self.model = model
        self.config = model.config
        self.seed = seed
        self.device = device
        self.budget = math.inf if max_minutes is None else max_minutes * 60
        rows = len(next(iter(tensors.values())))
        kept = min(int(rows * self.config.validation_share), VALIDATION_MOST)
        order = torch.randperm(rows, generator=self.generator(SPLIT, 0, torch.device("cpu")))
        fits = sum(tensor.nbytes for tensor in tensors.values()) <= ON_DEVICE
        self.home = device if fits else torch.device("cpu")
        self.tensors = {name: tensor.to(self.home) for name, tensor in tensors.items()}
        self.rows = order[kept:].to(self.home)
        self.validation = self.batch(order[:kept].to(self.home))
        self.validation_rows = kept
        self.plan = Plan.make(rows - kept, self.config, kept > 0)
        self.averaged = copy.deepcopy(model).requires_grad_(False).eval()
        self.best: dict[str, Tensor] = {}
        self.optimiser = make_optimiser(model)
        self.progress = Progress()
        self.started = time.monotonic()
        self.order: tuple[int, Tensor] | None = None

    def generator(self, stream: int, number: int, device: torch.device) -> torch.Generator:
        """The generator of one step, pass or validation."""
        return stream_generator(self.seed, stream, number, device)

    def key(self, fingerprint: str) -> str:
        """What a checkpoint must have been made of to be resumed here."""
        shapes = {name: list(value.shape) for name, value in self.model.state_dict().items()}
        family = type(self.model).__module__
        parts = [fingerprint, family, self.seed, self.plan.rows, self.validation_rows, shapes]
        return json.dumps([*parts, self.config.model_dump(mode="json")])

    def fit(
        self, store: Checkpoint | None, checkpoint_seconds: float, on_epoch: Callable[[Epoch], None] | None
    ) -> Stopped:
        """Step until the epochs, the patience or the time are used up; load the best state into the model."""
        saved = time.monotonic()
        while (stopped := self.verdict()) is None:
            self.step()
            if self.progress.step % self.plan.steps_per_epoch == 0:
                self.finish_epoch(on_epoch)
            if store and time.monotonic() - saved >= checkpoint_seconds:
                store.save(self)
                saved = time.monotonic()
        if store:
            store.save(self)
        if self.progress.row_sum:
            self.finish_epoch(on_epoch)
        self.model.load_state_dict(self.best or self.averaged.state_dict())
        self.model.eval()
        with torch.no_grad():
            self.model.finish(all_batches(self.tensors, self.plan.rows + self.validation_rows, self.device))
        return stopped

    def verdict(self) -> Stopped | None:
        """Why to stop before the next step, or None."""
        progress = self.progress
        if progress.step >= self.plan.steps:
            return "finished"
        best = max((epoch for epoch, _ in progress.best.values()), default=0)
        if best and len(progress.epochs) - best >= self.config.patience:
            return "patience"
        return "max_minutes" if progress.step and self.elapsed() >= self.budget else None

    def elapsed(self) -> float:
        """Wall seconds of this run and of those that it resumed."""
        return self.progress.seconds + time.monotonic() - self.started

    def step(self) -> None:
        """One optimisation step, and the averaged weights after it."""
        progress = self.progress
        rows = self.chosen(progress.step)
        batch = self.batch(self.rows[rows])
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        self.model.train()
        loss = self.learn(batch)
        progress.step += 1
        progress.loss_sum += loss * len(rows)
        progress.row_sum += len(rows)
        # A short memory at first, so that the average forgets the initial weights.
        decay = min(self.config.ema_decay, progress.step / (progress.step + 9))
        with torch.no_grad():
            for average, weight in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
                average.lerp_(weight, 1 - decay)
            for mine, theirs in zip(self.averaged.buffers(), self.model.buffers(), strict=True):
                mine.copy_(theirs)

    def chosen(self, number: int) -> Tensor:
        """Which of the training rows a step learns from, (B,)."""
        return self.plan.batch(self.permutation(number // self.plan.batches), number)

    def learn(self, batch: Batch) -> float:
        """Move the weights by what the batch says; returns its loss, not a number where it may not be told."""
        return self.model.step(batch, self.noise(), self.descend)

    def noise(self) -> torch.Generator:
        """The generator of this step."""
        return self.generator(NOISE, self.progress.step, self.device)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """The rows of these numbers (B,), on the device."""
        return batch_of(self.tensors, rows, self.device)

    def descend(self, loss: Tensor, parameters: Iterable[nn.Parameter] | None = None) -> float:
        """One clipped step of `parameters` (of all by default) down the gradient of `loss`; returns its value.

        TrainingError where the loss or its gradient is not finite, with nothing changed.
        """
        given = self.model.parameters() if parameters is None else parameters
        chosen = [parameter for parameter in given if parameter.requires_grad]
        self.optimiser.zero_grad(set_to_none=True)  # AdamW leaves alone what has no gradient
        value = float(loss.detach())
        if math.isfinite(value):
            loss.backward(inputs=chosen)  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(chosen, self.config.gradient_clip)
            if math.isfinite(float(norm)):
                self.optimiser.step()
                return value
        raise TrainingError(
            f"step {self.progress.step + 1}: its loss or gradient is not finite (the last good checkpoint is kept); "
            f"try a learning_rate below {self.config.learning_rate:g}"
        )

    def permutation(self, number: int) -> Tensor:
        """The order of the rows in a pass, (N,) int64 where the rows are."""
        if self.order is None or self.order[0] != number:
            drawn = torch.randperm(self.plan.rows, generator=self.generator(ORDER, number, torch.device("cpu")))
            self.order = number, drawn.to(self.home)
        return self.order[1]

    def learning_rate(self) -> float:
        """Linear warm-up to the peak, then a cosine to its final share; a short time budget hastens it."""
        config, step = self.config, self.progress.step
        warmup = min(config.warmup_steps, self.plan.steps // 10)
        if step < warmup:
            return config.learning_rate * (step + 1) / warmup
        done = max((step - warmup) / max(self.plan.steps - warmup, 1), self.elapsed() / self.budget)
        cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return config.learning_rate * (config.final_learning_rate + (1 - config.final_learning_rate) * cosine)

    def finish_epoch(self, on_epoch: Callable[[Epoch], None] | None) -> None:
        """Validate the averaged weights, keep them where they are the best so far, and write the history."""
        progress = self.progress
        judged = self.validate()
        number = len(progress.epochs) + 1
        for module, loss in judged.items():
            if not self.validation_rows or module not in progress.best or loss < progress.best[module][1]:
                progress.best[module] = number, loss
                self.best |= self.weights_of(module, judged)
        validation = sum(judged.values()) if self.validation_rows else None
        rate = float(self.optimiser.param_groups[0]["lr"])
        mean = progress.loss_sum / max(progress.row_sum, 1)
        told = None if math.isnan(mean) else mean
        epoch = Epoch(number, progress.step, told, validation, round(self.elapsed(), 3), rate)
        progress.epochs.append(epoch)
        progress.loss_sum, progress.row_sum = 0.0, 0
        log.debug("epoch %d: train loss %s, validation loss %s", number, told, validation)
        if on_epoch:
            on_epoch(epoch)

    def weights_of(self, module: str, judged: Container[str]) -> dict[str, Tensor]:
        """The averaged weights that `judged` decides on under this name."""
        state = self.averaged.state_dict()
        owners = {name: name.split(".")[0] for name in state}
        return {
            name: value.clone()
            for name, value in state.items()
            if module == (owners[name] if owners[name] in judged else "")
        }

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """What the averaged weights are judged by on the validation rows, with the same noise every time; 0 where there
        are none."""
        if not self.validation_rows:
            return {"": 0.0}
        generator = self.generator(VALIDATION, 0, self.device)
        total: dict[str, float] = defaultdict(float)
        for start in range(0, self.validation_rows, VALIDATION_ROWS):
            batch = {name: tensor[start : start + VALIDATION_ROWS] for name, tensor in self.validation.items()}
            for module, loss in self.averaged.judged(batch, generator).items():
                total[module] += float(loss) * len(next(iter(batch.values())))
        return {module: loss / self.validation_rows for module, loss in total.items()}


def tensors_of(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Tensor], int]:
    """The arrays as tensors, and how many rows they have; InputError for none and for unequal lengths."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    lengths = {name: len(tensor) for name, tensor in tensors.items()}
    rows = max(lengths.values(), default=0)
    if not rows or set(lengths.values()) != {rows}:
        raise InputError(f"training needs arrays of one length above 0, found {lengths}")
    return tensors, rows


def all_batches(tensors: Mapping[str, Tensor], rows: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Every row once, in order, OBSERVED_ROWS at a time."""
    for start in range(0, rows, OBSERVED_ROWS):
        yield batch_of(tensors, slice(start, start + OBSERVED_ROWS), device)


def batch_of(tensors: Mapping[str, Tensor], rows: Tensor | slice, device: torch.device) -> dict[str, Tensor]:
    """Some of the rows, on the device."""
    return {name: tensor[rows].to(device, TYPES.get(name, tensor.dtype)) for name, tensor in tensors.items()}


def stream_generator(seed: int, stream: int, number: int, device: torch.device) -> torch.Generator:
    """A generator made from (seed, stream, number) alone."""
    state = np.random.SeedSequence([seed % 2**64, stream, number]).generate_state(2, np.uint32)
    generator = torch.Generator(device)
    generator.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
    return generator


def make_optimiser(model: GenerativeModel) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) with weight decay on everything but biases and scales."""
    config = model.config
    named = list(model.named_parameters())
    plain = [p for name, p in named if p.ndim < 2 or name.endswith("bias")]
    matrices = [p for name, p in named if not (p.ndim < 2 or name.endswith("bias"))]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


class Checkpoint:
    """A directory with one safetensors file: the tensors of a `Training`, its progress in the header."""

    def __init__(self, directory: Path, key: str) -> None:
        self.directory = directory
        self.path = directory / CHECKPOINT_FILE
        self.key = key

    def save(self, run: Training) -> None:
        """Write the state atomically; a kill leaves the former one."""
        tensors = {f"model/{name}": value for name, value in run.model.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in run.averaged.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in run.best.items()}
        for name, parameter in run.model.named_parameters():
            for key, value in run.optimiser.state[parameter].items():
                tensors[f"optimiser/{name}/{key}"] = value
        progress = {**asdict(run.progress), "seconds": run.elapsed()}
        metadata = {"key": self.key, "progress": json.dumps(progress)}
        self.directory.mkdir(parents=True, exist_ok=True)
        for leftover in self.directory.glob(f".{CHECKPOINT_FILE}.*.partial"):
            leftover.unlink()
        with replacing(self.path) as temporary:
            save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, metadata)

    def load(self, run: Training) -> None:
        """Continue `run` from the stored state; one that is damaged or another run's is left aside."""
        if not self.path.is_file():
            return
        try:
            with safe_open(self.path, "pt", device=str(run.device)) as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            log.warning("%s cannot be read (%s); training starts anew", self.path, error)
            return
        if metadata.get("key") != self.key:
            log.warning("%s belongs to another training; this one starts anew", self.path)
            return
        progress = json.loads(metadata["progress"])
        progress["epochs"] = [Epoch(**epoch) for epoch in progress["epochs"]]
        progress["best"] = {module: tuple(best) for module, best in progress["best"].items()}
        run.progress = Progress(**progress)
        run.model.load_state_dict(under(tensors, "model/"))
        run.averaged.load_state_dict(under(tensors, "average/"))
        run.best = under(tensors, "best/")
        for name, parameter in run.model.named_parameters():
            run.optimiser.state[parameter] = under(tensors, f"optimiser/{name}/")
        log.info("training resumes at step %d of %d", run.progress.step, run.plan.steps)


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
