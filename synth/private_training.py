"""Training under a promise of differential privacy: by noisy measurements, or by DP-SGD.

DP-SGD (Abadi et al. 2016) is the training loop on Poisson samples, each row's gradient clipped, noise on their sum.

Norms of the rows' gradients are found without the gradients (ghost clipping, Goodfellow 2015; Li et al. 2022): every
trained map sees one vector of a row at a time, so that its gradient has rank one and the norm is a product of two.
Opacus does the bookkeeping, the noise and the account.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.grad_sample.utils import register_grad_sampler, register_norm_sampler
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch import Tensor, nn

from synth.models.base import Batch, GenerativeModel
from synth.nets.columns import ColumnLinear, Head
from synth.nets.dense import Linear
from synth.privacy import Ledger
from synth.training import (
    OBSERVATION,
    Epoch,
    History,
    Plan,
    Training,
    all_batches,
    stream_generator,
    tensors_of,
)

Norms = dict[nn.Parameter, Tensor]

SETTLING = 5  # a stream of random numbers beside those of `synth.training`
GRADIENTS = "clipped gradients of the training"


def train_privately(
    model: GenerativeModel,
    arrays: Mapping[str, NDArray[Any]],
    ledger: Ledger,
    *,
    rows: int,
    seed: int,
    device: torch.device,
    max_minutes: float | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> History:
    """Fit `model` to `arrays` through the ledger alone, out of all that is left in it, as `model.private` says.

    rows: their number as it may be told; other arguments and errors as of `synth.training.train`
    Nothing is resumed: steps whose noise is drawn again would have to be paid for twice.
    """
    tensors, count = tensors_of(arrays)
    model.to(device)
    if model.private == "measurements":
        batches = all_batches(tensors, count, device)
        model.measure(batches, ledger, stream_generator(seed, OBSERVATION, 0, device))
    if model.private == "measurements" or not model.layout.columns:  # without columns all is made up
        model.eval()
        return History((), "finished", 0, rows)
    run = PrivateTraining(model, tensors, seed=seed, device=device, max_minutes=max_minutes, ledger=ledger, rows=rows)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")  # inputs that need no gradient are no fault
        stopped = run.fit(None, math.inf, on_epoch)
    run.finish()
    model.settle(stream_generator(seed, SETTLING, 0, device))
    return History(tuple(run.progress.epochs), stopped, run.progress.step, rows)


class PrivateTraining(Training):
    """A training whose every step is a Gaussian mechanism, paid out of all that is left in the ledger.

    rows: their number as it may be told
    No row is kept for validation, the loss is not shown, and the weights that count are the averaged ones of the end.
    """

    def __init__(
        self,
        model: GenerativeModel,
        tensors: Mapping[str, Tensor],
        *,
        seed: int,
        device: torch.device,
        max_minutes: float | None,
        ledger: Ledger,
        rows: int,
    ) -> None:
        super().__init__(model, tensors, seed=seed, device=device, max_minutes=max_minutes)
        self.plan = Plan.make(rows, self.config, validated=False)
        self.sample_rate = min(self.config.batch_size / rows, 1.0)
        self.ledger = ledger
        for parameter in set(model.parameters()) - set(_known(model)):
            parameter.requires_grad_(False)
        self.hooked = GradSampleModuleFastGradientClipping(
            model, batch_first=False, loss_reduction="sum", strict=False, max_grad_norm=self.config.gradient_clip
        )
        self.private_optimiser = DPOptimizerFastGradientClipping(
            self.optimiser,
            noise_multiplier=ledger.plan_steps(GRADIENTS, self.sample_rate, self.plan.steps),
            max_grad_norm=self.config.gradient_clip,
            expected_batch_size=self.sample_rate * rows,
            generator=torch.Generator(device).manual_seed(_secret(ledger)),
        )

    def chosen(self, number: int) -> Tensor:
        """A Poisson sample: every row with the same chance, whatever the others do."""
        return torch.from_numpy(np.flatnonzero(self.ledger.rng.random(len(self.rows)) < self.sample_rate)).to(self.home)

    def learn(self, batch: Batch) -> float:
        """One noisy step, on no row at all where none was drawn."""
        self.private_optimiser.zero_grad(set_to_none=True)
        if len(batch["tokens"]):
            self._forget()
            losses = self.model.losses(batch, self.noise())  # (B,)
            for parameter in self.hooked.trainable_parameters:
                parameter._norm_sample = torch.zeros_like(losses)
            losses.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
            weights = self.hooked.get_clipping_coef()
            self.optimiser.zero_grad(set_to_none=True)
            self.hooked.disable_hooks()
            (weights.nan_to_num(0.0) * losses).sum().backward()
            self.hooked.enable_hooks()
        for parameter in self.model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.private_optimiser.step()
        return math.nan

    def _forget(self) -> None:
        """Drop what Opacus still holds of maps that the last loss had no use for."""
        for module in self.model.modules():
            if type(module) in NORMS:
                module.activations = []  # type: ignore[assignment]
        for parameter in self.hooked.trainable_parameters:
            parameter._forward_counter = 0

    def finish(self) -> None:
        """Leave the model as it was found, but for its weights."""
        self.hooked.to_standard_module()
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
            for name in LEFT & set(vars(parameter)):
                delattr(parameter, name)


LEFT = {"grad_sample", "summed_grad", "_norm_sample", "_forward_counter", "_current_grad_sample"}


def _known(model: nn.Module) -> Iterator[nn.Parameter]:
    for module in model.modules():
        if type(module) in NORMS:
            yield from module.parameters(recurse=False)


def _secret(ledger: Ledger) -> int:
    return int(ledger.rng.integers(0, 2**63))


def column_linear_norms(module: ColumnLinear, inputs: list[Tensor], outputs: Tensor) -> Norms:
    """Norms (B,) of the rows' gradients; inputs [(B, D, I)], outputs (B, D, O): those of the map's result."""
    inner, outer = inputs[0].square().sum(2), outputs.square().sum(2)  # (B, D)
    return {module.weight: (inner * outer).sum(1).sqrt(), module.bias: outer.sum(1).sqrt()}


def linear_norms(module: Linear, inputs: list[Tensor], outputs: Tensor) -> Norms:
    """Likewise of a dense map; inputs [(I, B)], outputs (O, B), as Opacus turns what it takes for (columns, rows)."""
    inner, outer = inputs[0].square().sum(0), outputs.square().sum(0)  # (B,)
    return {module.weight: (inner * outer).sqrt(), module.bias: outer.sqrt()}


def head_norms(module: Head, inputs: list[Tensor], outputs: Tensor) -> Norms:
    """Likewise of a head; inputs [(B, C, H)], outputs (B, C, K)."""
    inner = inputs[0].square().sum(2)  # (B, C)
    own = outputs if module.smooth is None else outputs * module.single[:, 0]
    norms: Norms = {
        module.bias: outputs.square().sum((1, 2)).sqrt(),
        module.weight: (inner * own.square().sum(2)).sum(1).sqrt(),
    }
    if module.smooth is not None:
        waves = torch.einsum("bck,cwk->bcw", outputs, module.basis)
        norms[module.smooth] = (inner * waves.square().sum(2)).sum(1).sqrt()
    return norms


def _no_gradients(*_: Any) -> Norms:
    raise NotImplementedError("norms are found without the gradients")


NORMS: dict[type[nn.Module], Callable[[Any, list[Tensor], Tensor], Norms]] = {
    ColumnLinear: column_linear_norms,
    Linear: linear_norms,
    Head: head_norms,
}  # maps that are trained; other parameters stay as they were drawn

for _map, _norms in NORMS.items():
    register_norm_sampler(_map)(_norms)
    register_grad_sampler(_map)(_no_gradients)  # Opacus would refuse their buffers without one
