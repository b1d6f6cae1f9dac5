"""From noise to data: samplers as functions of a denoiser and the times that it is asked at.

A row at time t is x_t = a(t) x_0 + s(t) e with e standard normal: a `Process` says a and s, at 0 there is no noise, at
1 nothing else. A denoiser takes x_t (B, ...) and t and returns its estimates of x_0 and e.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from synth.nets.draws import randn

Denoise = Callable[[Tensor, float], tuple[Tensor, Tensor]]
Sampler = Callable[["Process", Denoise, Tensor, Sequence[float], torch.Generator], Tensor]

LATEST = 0.999  # of the time where nothing but noise is left, and the ratio of both has no logarithm


@dataclass(frozen=True)
class Process:
    """Straight: a = 1 - t, s = t (rectified flow, Liu et al. 2023); else a = cos(pi t / 2), s = sin(pi t / 2), the
    variance-preserving noise of DDPM (Ho et al. 2020) by the cosine schedule (Nichol & Dhariwal 2021)."""

    straight: bool

    def mix(self, x: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """x_t; time: broadcasts to x."""
        a, s = self._at(time)
        return a * x + s * noise

    def velocity(self, x: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What a network learns: e - x_0, and cos e - sin x_0 (Salimans & Ho 2022, appendix D)."""
        if self.straight:
            return noise - x
        a, s = self._at(time)
        return a * noise - s * x

    def estimates(self, noisy: Tensor, velocity: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """x_0 and e out of x_t and the velocity there."""
        a, s = self.at(time)
        if self.straight:
            return noisy - s * velocity, noisy + a * velocity
        return a * noisy - s * velocity, s * noisy + a * velocity

    def at(self, time: float) -> tuple[float, float]:
        """a and s at a time."""
        if self.straight:
            return 1 - time, time
        return math.cos(math.pi / 2 * time), math.sin(math.pi / 2 * time)

    def slope(self, clean: Tensor, noise: Tensor, time: float) -> Tensor:
        """dx / dt of the ordinary differential equation."""
        if self.straight:
            return noise - clean
        a, s = self.at(time)
        return (a * noise - s * clean) * (math.pi / 2)

    def _at(self, time: Tensor) -> tuple[Tensor, Tensor]:
        if self.straight:
            return 1 - time, time
        return (time * (math.pi / 2)).cos(), (time * (math.pi / 2)).sin()


def times(steps: int) -> list[float]:
    """steps + 1 of them from LATEST to 0, by a half turn of a cosine: close at both ends, where the way bends most."""
    return [LATEST * (1 + math.cos(math.pi * i / steps)) / 2 for i in range(steps)] + [0.0]


def ddpm(process: Process, denoise: Denoise, x: Tensor, times: Sequence[float], generator: torch.Generator) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2), for any process: the posterior of x_s given x_t and x_0."""
    for now, then in pairwise(times):
        clean, _ = denoise(x, now)
        (a, s), (b, r) = process.at(now), process.at(then)
        kept = (a * r / (b * s)) ** 2  # how much of the noise at `now` was there at `then`
        mean = b * clean + math.sqrt(kept) * r / s * (x - a * clean)
        x = mean + r * math.sqrt(max(1 - kept, 0.0)) * randn(x.shape, generator, x.device)
    return x


def ddim(process: Process, denoise: Denoise, x: Tensor, times: Sequence[float], _: torch.Generator) -> Tensor:
    """Song et al. 2021, eq. 12 with eta 0: the estimates of x_0 and e, mixed anew. Euler's method where straight."""
    for now, then in pairwise(times):
        clean, noise = denoise(x, now)
        a, s = process.at(then)
        x = a * clean + s * noise
    return x


def heun(process: Process, denoise: Denoise, x: Tensor, times: Sequence[float], _: torch.Generator) -> Tensor:
    """Heun's method of second order (Karras et al. 2022, algorithm 1): two evaluations a step, one in the last."""
    for now, then in pairwise(times):
        slope = process.slope(*denoise(x, now), now)
        ahead = x + (then - now) * slope
        if then:
            slope = (slope + process.slope(*denoise(ahead, then), then)) / 2
        x = x + (then - now) * slope
    return x


def dpm_solver(process: Process, denoise: Denoise, x: Tensor, times: Sequence[float], _: torch.Generator) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): second order in log(a / s), one evaluation a step."""

    def level(time: float) -> float:
        a, s = process.at(time)
        return math.log(a / s)

    before: tuple[Tensor, float] | None = None
    for now, then in pairwise(times):
        clean, _noise = denoise(x, now)
        (a, s), here = process.at(then), level(now)
        guess = clean
        if before is not None and then:
            ratio = (here - before[1]) / (level(then) - here)
            guess = clean + (clean - before[0]) / (2 * ratio)
        x = s / process.at(now)[1] * x - (a * math.expm1(here - level(then)) if then else -1.0) * guess
        before = clean, here
    return x


SAMPLERS: dict[str, Sampler] = {"ddpm": ddpm, "ddim": ddim, "heun": heun, "dpm_solver": dpm_solver}
