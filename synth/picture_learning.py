"""Classifiers of pictures that learn from few labels, with the help of what people try: augmentation, mixup, a pool
without labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from synth.models.base import scaled
from synth.nets.augment import Augment, affine, elastic, rand_augment
from synth.nets.classifier import Classifier
from synth.nets.draws import rand
from synth.training import stream_generator

Aid = Literal["nothing", "affine", "elastic", "rand_augment", "mixup"]
AUGMENTS: dict[str, Augment] = {"affine": affine, "elastic": elastic, "rand_augment": rand_augment}
WIDTHS = (16, 32, 64)
BATCH, LEARNING_RATE, WEIGHT_DECAY, WARMUP = 64, 2e-3, 0.05, 20
MIXED = 0.2  # of mixup's beta distribution
POOL = 3  # pictures of the pool in a batch for each with a label
SURE = 0.95  # probability from which on a picture of the pool counts as of the label that is seen in it
NOISE = 1  # a stream of random numbers


@dataclass(frozen=True)
class Learnt:
    """A trained classifier of labels 0 .. K-1."""

    net: Classifier

    @torch.no_grad()
    def chances(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, K) probabilities of pictures (N, C, H, W)."""
        parts = [F.softmax(self.net(scaled(torch.from_numpy(part))), 1) for part in _parts(images)]
        return np.concatenate([part.numpy() for part in parts])

    def accuracy(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
        """Share of pictures whose label is seen."""
        return float((self.chances(images).argmax(1) == labels).mean())


def _parts(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    return (np.ascontiguousarray(images[start : start + 500]) for start in range(0, len(images), 500))


def learn(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
    *,
    aid: Aid = "nothing",
    pool: NDArray[np.uint8] | None = None,
    share: NDArray[np.float64] | None = None,
    steps: int = 600,
    seed: int = 0,
) -> Learnt:
    """A classifier that takes `steps` steps on pictures (N, C, H, W) with labels (N,).

    aid: what is done to the pictures while learning
    pool: pictures without labels, which are learnt as what the network is sure to see in them (FixMatch, Sohn et al.
        2020): what it sees in one that is slightly moved is asked of the same under `rand_augment`
    share: (N,) how often each picture is drawn, all alike by default
    """
    generator = torch.Generator().manual_seed(seed)
    net = Classifier(images.shape[1], WIDTHS, classes, None, generator)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    average = [parameter.detach().clone() for parameter in net.parameters()]
    known, told = torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64))
    weight = torch.ones(len(known)) if share is None else torch.from_numpy(share).float()
    others = None if pool is None else torch.from_numpy(np.ascontiguousarray(pool))
    for step in range(steps):
        noise = stream_generator(seed, NOISE, step, torch.device("cpu"))
        rows = torch.multinomial(weight, BATCH, replacement=True, generator=noise)
        loss = _loss(net, scaled(known[rows]), told[rows], aid, noise)
        if others is not None:
            drawn = (rand((POOL * BATCH,), noise, others.device) * len(others)).long()
            loss = loss + _sure_loss(net, scaled(others[drawn]), noise)
        rate = min((step + 1) / WARMUP, 1.0) * (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * rate
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            for kept, now in zip(average, net.parameters(), strict=True):
                kept.lerp_(now, 1 - min(0.99, step / (step + 9)))
    with torch.no_grad():
        for kept, now in zip(average, net.parameters(), strict=True):
            now.copy_(kept)
    return Learnt(net.eval())


def _loss(net: Classifier, x: Tensor, labels: Tensor, aid: Aid, generator: torch.Generator) -> Tensor:
    if aid == "mixup":
        return _mixup(net, x, labels, generator)
    x = AUGMENTS[aid](x, generator) if aid in AUGMENTS else x
    return F.cross_entropy(net(x), labels)


def _mixup(net: Classifier, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Zhang et al. 2018: pairs of pictures, and of what is asked of them, in a random mixture."""
    rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    part = float(rng.beta(MIXED, MIXED))
    other = torch.randperm(len(x), generator=generator)
    logits = net(torch.lerp(x[other], x, part))
    return part * F.cross_entropy(logits, labels) + (1 - part) * F.cross_entropy(logits, labels[other])


def _sure_loss(net: Classifier, x: Tensor, generator: torch.Generator) -> Tensor:
    with torch.no_grad():
        chance, label = F.softmax(net(affine(x, generator)), 1).max(1)
    sure = chance >= SURE
    if not sure.any():
        return x.new_zeros(())
    loss = F.cross_entropy(net(rand_augment(x[sure], generator)), label[sure], reduction="sum")
    return loss / len(x)
