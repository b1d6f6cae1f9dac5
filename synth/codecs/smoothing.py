"""Exponential smoothing of one column of series, in its innovations form (Hyndman et al. 2008), with a moving scale.

A level m, a trend b and a scale s go with every series, the first two damped:

    e_t = x_t - m_t - u_t,   z_t = e_t / s_t,
    b_{t+1} = psi b_t + gamma (cut(e_t) + u_t),
    m_{t+1} = c + phi (m_t - c) + alpha (cut(e_t) + u_t) + b_{t+1},
    s_{t+1} = s_t + beta (|cut(e_t)| - s_t)

where u_t is what is known of x_t - m_t from elsewhere. It cuts at three scales, so that one outlier does not carry
everything away; a level with alpha 1 is a random walk and follows without a cut. A column has a trend where that tells
it clearly better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]  # (N, L) values of a column, NaN where there are none

ALPHAS = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02)
PHIS = (1.0, 0.99, 0.97, 0.95, 0.9, 0.8)
BETAS = (0.04, 0.01, 0.02, 0.06, 0.1, 0.15)
GAMMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
PSIS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CLEARLY = 0.02  # nats of a step that a trend gains at least
CUT = 3.0  # scales from which on a value is an outlier
LEAST_SCALE = 1e-3  # of the mean scale
TRIED = 48_000  # values that the parameters are chosen on
PIECE = 500  # steps of a series that are then looked at together


class State(NamedTuple):
    """What smoothing knows before a step, (N,) or (N, L): the value that it expects, how that moves, and the scale."""

    level: Floats
    trend: Floats
    scale: Floats


@dataclass(frozen=True)
class Filter:
    """The smoothing of one column. centred: whether there is a level; it is 0 otherwise."""

    centred: bool
    mean: float
    scale: float
    alpha: float = 1.0
    phi: float = 1.0
    beta: float = BETAS[0]
    gamma: float = 0.0
    psi: float = 0.0

    @classmethod
    def fit(cls, values: Floats, told: Floats, *, centred: bool, least: float) -> Self:
        """The parameters under which Laplace distributions with these levels and scales tell the values best; a trend
        where it tells them clearly better.

        least: scale of values that all are what is expected
        """
        values, told = _tried(values, told)
        known = values[~np.isnan(values)]
        mean = float(known.mean()) if centred else 0.0
        first = cls(centred, mean, max(float(np.abs(known - mean).mean()), least) or 1.0)
        levels = [(a, p) for a in ALPHAS for p in PHIS] if centred else [(1.0, 1.0)]
        best = cls._best([replace(first, alpha=a, phi=p) for a, p in levels], values, told)
        if centred:
            moving = cls._best([replace(best, gamma=g, psi=p) for g in GAMMAS for p in PSIS], values, told)
            moving = cls._best([replace(moving, phi=p) for p in PHIS], values, told)
            best = moving if moving.nats(values, told) < best.nats(values, told) - CLEARLY else best
        return min((replace(best, beta=b) for b in BETAS), key=lambda one: one.nats(values, told))

    @classmethod
    def _best(cls, filters: Sequence[Self], values: Floats, told: Floats) -> Self:
        return min((one._scaled(values, told) for one in filters), key=lambda one: one.nats(values, told))

    def _scaled(self, values: Floats, told: Floats) -> Self:
        """With the mean scale of the errors that it makes."""
        found, states, _ = self.run(values, told)
        errors = np.abs(found * states.scale)[:, 1:]
        return replace(self, scale=float(np.nanmean(errors)) or self.scale) if errors.size else self

    def nats(self, values: Floats, told: Floats) -> float:
        """As of `nats`, of what it leaves of them."""
        found, states, _ = self.run(values, told)
        return nats(found, states)

    def start(self, values: Floats, told: Floats) -> State:
        """The state (N,) before the first step, as smoothing backwards in time leaves it."""
        none = np.zeros(len(values))
        level = first_known(values[:, ::-1], self.mean) if self.centred else none
        state = State(level, none, np.full(len(values), self.scale))
        if self.centred and self.alpha == 1:  # a step back is the next one's move, turned round
            told = -np.pad(told[:, 1:], ((0, 0), (0, 1)))
        for x, part in zip(values.T[::-1], told.T[::-1], strict=True):
            state = self.following(state, x - state.level - part, part)
        level = first_known(values, self.mean) if self.centred and self.alpha == 1 else state.level - state.trend
        return State(level, -state.trend, state.scale)

    def run(self, values: Floats, told: Floats) -> tuple[Floats, State, State]:
        """Innovations (N, L) of series, the state before each step (N, L), and that after the last one (N,).

        told: (N, L) what is known of a step's distance from its level
        """
        state = self.start(values, told)
        found = np.empty_like(values)
        states = State(*(np.empty_like(values) for _ in state))
        for t, (x, part) in enumerate(zip(values.T, told.T, strict=True)):
            error = x - state.level - part
            found[:, t] = error / state.scale
            for kept, now in zip(states, state, strict=True):
                kept[:, t] = now
            state = self.following(state, error, part)
        return found, states, state

    def following(self, state: State, error: Floats, told: Floats) -> State:
        """After one more step (N,); where there is no value nothing changes."""
        level, trend, scale = state
        none = np.isnan(error)
        cut = np.clip(error, -CUT * scale, CUT * scale)
        if self.centred:
            bent = self.psi * trend + self.gamma * (cut + told)
            full = (error if self.alpha == 1 else cut) + told
            moved = self.mean + self.phi * (level - self.mean) + self.alpha * full
            level, trend = np.where(none, level, moved + bent), np.where(none, trend, bent)
        spread = np.maximum(scale + self.beta * (np.abs(cut) - scale), LEAST_SCALE * self.scale)
        return State(level, trend, np.where(none, scale, spread))


def nats(innovations: Floats, states: State) -> float:
    """Of a step, but for the first ones, by Laplace distributions of these scales."""
    found = (np.log(states.scale) + np.abs(innovations))[:, 1:]
    return float(np.nanmean(found)) if found.shape[1] else 0.0


def _tried(values: Floats, told: Floats) -> tuple[Floats, Floats]:
    """About TRIED values, in pieces of series drawn at random that have two or more, and what is told of them."""
    N, L = values.shape
    length = min(L, PIECE)
    count = -(-L // length)
    padding = ((0, 0), (0, count * length - L))
    values = np.pad(values, padding, constant_values=np.nan).reshape(N * count, length)
    told = np.pad(told, padding).reshape(N * count, length)
    known = (~np.isnan(values)).sum(1)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(known >= min(2, known.max())))
    chosen = np.sort(chosen[: np.searchsorted(known[chosen].cumsum(), TRIED) + 1])
    return values[chosen], told[chosen]


def first_known(values: Floats, otherwise: float) -> Floats:
    """(N,) first known value of each series."""
    known = ~np.isnan(values)
    found = values[np.arange(len(values)), known.argmax(1)] if values.shape[1] else np.full(len(values), np.nan)
    return np.where(known.any(1), found, otherwise)
