"""Differential privacy: the budget, every noisy answer that is paid out of it, and the account of both.

A record is one row, and two tables are neighbours where one has a row more (add or remove one row). All answers are
Gaussian mechanisms or exponential ones, so that one account holds them: zero-concentrated differential privacy (Bun &
Steinke 2016) plans what each may spend, Opacus' accountants say what was spent in all.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from synth.errors import ConfigError

RECORD = "one row of the source"
ADJACENCY = "add or remove one row"
DELTA_SHARE = 0.1  # of delta, kept for categories that no domain names
PRECISION = 1e-3  # relative, of a noise multiplier that is searched for
ORDERS = (*(1 + x / 10 for x in range(1, 100)), *range(11, 64), *(round(64 * 1.1**i) for i in range(52)))


class Privacy(BaseModel):
    """What a run promises: (epsilon, delta)-differential privacy of one row.

    epsilon: bound on the log ratio of probabilities, above 0
    delta: chance with which that bound may fail, above 0; at most 1 / rows
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epsilon: float = Field(gt=0, allow_inf_nan=False)
    delta: float = Field(gt=0, lt=1)


@dataclass(frozen=True)
class Spent:
    """One mechanism that has seen the rows.

    what: for the statement
    noise_multiplier: standard deviation of the noise over the sensitivity
    sample_rate, steps: of a mechanism that sees a Poisson sample of the rows, so many times
    gaussian: whether it is one; another has the Renyi divergences of one at most
    """

    what: str
    noise_multiplier: float
    sample_rate: float = 1.0
    steps: int = 1
    gaussian: bool = True


class Ledger:
    """A budget and what has been paid out of it.

    privacy: the promise; None answers exactly, for models that learn through a ledger with or without a promise
    rng: of the noise. It must be a secret: whoever knows the noise can take it away. By default it is seeded by the
        operating system, and no run gives the same bytes again
    """

    def __init__(self, privacy: Privacy | None, rng: np.random.Generator | None = None) -> None:
        self.privacy = privacy
        self.rng = rng or np.random.default_rng()
        self.spent: list[Spent] = []
        self.delta_spent = 0.0
        self.rho = math.inf if privacy is None else zcdp(privacy.epsilon, privacy.delta * (1 - DELTA_SHARE))

    @property
    def left(self) -> float:
        """What of `rho` is not yet spent."""
        return self.rho - sum(spent.steps / (2 * spent.noise_multiplier**2) for spent in self.spent)

    def deviation(self, rho: float, sensitivity: float = 1.0) -> float:
        """Standard deviation of the noise that `gaussian` adds, 0 without a promise."""
        return 0.0 if self.privacy is None else sensitivity / math.sqrt(2 * rho)

    def gaussian(self, values: ArrayLike, rho: float, what: str, sensitivity: float = 1.0) -> NDArray[np.float64]:
        """`values` with Gaussian noise of deviation sensitivity / sqrt(2 rho); sensitivity in the L2 norm."""
        exact = np.asarray(values, dtype=np.float64)
        if self.privacy is None:
            return exact
        multiplier = self._pay(rho, what, gaussian=True)
        return exact + self.rng.normal(0.0, multiplier * sensitivity, exact.shape)

    def choose(
        self,
        scores: ArrayLike,
        rho: float,
        what: str,
        sensitivity: float = 1.0,
        allowed: Callable[[int], bool] = lambda _: True,
    ) -> int:
        """The place of a great score: the exponential mechanism (McSherry & Talwar 2007), epsilon = sqrt(8 rho).

        Its zCDP is epsilon^2 / 8 (Cesar & Rogers 2021). One row may change each score by `sensitivity` at most.

        allowed: whether a place may be chosen, by what is public; it is asked from the best on, and -1 is the answer
            where none may
        """
        noisy = np.asarray(scores, dtype=np.float64)
        if self.privacy is not None:
            self._pay(rho, what, gaussian=False)
            noisy = noisy * math.sqrt(8 * rho) / (2 * sensitivity) + self.rng.gumbel(size=noisy.shape)
        return next((place for place in np.argsort(-noisy, kind="stable").tolist() if allowed(place)), -1)

    def frequent(self, counts: ArrayLike, rho: float, delta: float, what: str) -> tuple[NDArray[np.float64], float]:
        """Noisy counts of values that no domain names, and the least that such a count must have to be told.

        A value that one row alone has gets there with chance `delta` (Korolova et al. 2009), which is paid, too.
        """
        from scipy.special import ndtri

        noisy = self.gaussian(counts, rho, what)
        if self.privacy is None:
            return noisy, 1.0
        self.delta_spent += delta
        return noisy, 1.0 + float(-ndtri(delta)) / math.sqrt(2 * rho)

    def plan_steps(self, what: str, sample_rate: float, steps: int) -> float:
        """Pay `steps` Gaussian steps on Poisson samples out of all that is left; returns their noise multiplier."""
        assert self.privacy is not None  # noqa: S101 - only a promise has a price

        def enough(multiplier: float) -> bool:
            return self.epsilon([*self.spent, Spent(what, multiplier, sample_rate, steps)]) <= target

        target, low, high = self.privacy.epsilon, 0.0, 1.0
        while not enough(high):
            low, high = high, 2 * high
            if high > 2**20:
                raise ConfigError(f"privacy: epsilon {target:g} leaves nothing for {what}")
        while high - low > PRECISION * high:
            middle = (low + high) / 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        self.spent.append(Spent(what, high, sample_rate, steps))
        return high

    def epsilon(self, spent: list[Spent] | None = None) -> float:
        """What all of it has cost at the promised delta, 0 where nothing has been paid."""
        assert self.privacy is not None  # noqa: S101 - see above
        spent = self.spent if spent is None else spent
        return account(spent, self.privacy.delta - self.delta_spent)

    def statement(self, engine: str) -> dict[str, Any] | None:
        """Promise, price and limits, as JSON; None without a promise."""
        if self.privacy is None:
            return None
        return {
            "epsilon": self.privacy.epsilon,
            "delta": self.privacy.delta,
            "epsilon_spent": round(self.epsilon(), 6),
            "record": RECORD,
            "adjacency": ADJACENCY,
            "engine": engine,
            "accountant": accountant(self.spent),
            "mechanisms": [asdict(spent) for spent in self.spent],
            "covered": list(dict.fromkeys(spent.what for spent in self.spent)),
            "not_covered": list(NOT_COVERED),
        }

    def _pay(self, rho: float, what: str, *, gaussian: bool) -> float:
        if rho > self.left * (1 + 1e-9):
            raise ConfigError(f"privacy: {what} asks for more of the budget than is left")
        multiplier = math.sqrt(1 / (2 * rho))
        self.spent.append(Spent(what, multiplier, gaussian=gaussian))
        return multiplier


NOT_COVERED = (
    "names, Arrow types, kinds and formats of columns, also where they were found by reading the file",
    "domains that the configuration declares, the family and its hyper-parameters",
    "people who have several rows: each row is promised for by itself",
    "every further fit of the same rows spends its own budget; budgets add up",
    "what is measured on real rows after the fit: figures, their numbers of rows, the gate's verdict",
    "report.html, which draws real rows and is no part of a release",
    "the limits of floating-point noise (Mironov 2012) and the time that a fit takes",
)


def simplex(noisy: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """The nearest counts that are not negative and sum to `total` (Duchi et al. 2008), zeros where that is not above 0.

    With the noisy counts' own sum it is norm-sub of Wang et al. 2020.
    """
    falling = np.sort(noisy)[::-1]
    excess = (falling.cumsum() - max(total, 0.0)) / np.arange(1, len(noisy) + 1)
    kept = np.flatnonzero(falling > excess)
    return np.maximum(noisy - (excess[kept[-1]] if len(kept) else np.inf), 0.0)


def zcdp(epsilon: float, delta: float) -> float:
    """The largest rho such that rho-zCDP implies (epsilon, delta)-DP.

    By the conversion of Canonne, Kamath & Steinke 2020, proposition 12, minimised over the order.
    """
    low, high = 0.0, epsilon + 1.0
    while high - low > PRECISION * 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if zcdp_epsilon(middle, delta) <= epsilon else (low, middle)
    return low


def zcdp_epsilon(rho: float, delta: float) -> float:
    """The least epsilon of (epsilon, delta)-DP that rho-zCDP is shown to imply."""
    if not rho:
        return 0.0
    order = 1 + np.geomspace(1e-3, 1e6, 20_000)
    return max(float(np.min(order * rho + np.log1p(-1 / order) - (math.log(delta) + np.log(order)) / (order - 1))), 0.0)


def accountant(spent: list[Spent]) -> str:
    """PRV (Gopi et al. 2021) where all mechanisms are Gaussian, else RDP (Mironov 2017); both Opacus'."""
    return "PRV" if all(each.gaussian for each in spent) else "RDP"


def account(spent: list[Spent], delta: float) -> float:
    """The epsilon at `delta` of mechanisms that follow each other, each chosen by the answers of those before it."""
    if not spent:
        return 0.0
    from opacus.accountants import PRVAccountant, RDPAccountant

    found = PRVAccountant() if accountant(spent) == "PRV" else RDPAccountant()
    found.history = [(each.noise_multiplier, each.sample_rate, each.steps) for each in spent]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if isinstance(found, PRVAccountant):
            return float(found.get_epsilon(delta))
        return float(found.get_epsilon(delta, alphas=list(ORDERS)))
