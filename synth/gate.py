"""The gate: which figures and expectations a dataset must meet before it may be released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from synth.config import Bound
from synth.errors import ConfigError

VALIDATION = "validation"
ENDS = {"low", "high"}


@dataclass(frozen=True)
class Check:
    """One bound and what was found: `value` is None where the figure is undefined on these data."""

    name: str
    value: float | None
    bound: str
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """The answer, the reasons of a refusal in plain words, and every check."""

    passed: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"passed": self.passed, "reasons": list(self.reasons), "checks": [asdict(c) for c in self.checks]}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """What `as_dict` gave."""
        checks = tuple(Check(**check) for check in state["checks"])
        return cls(bool(state["passed"]), tuple(state["reasons"]), checks)


def gate(validation: Mapping[str, Any], metrics: Mapping[str, Any], thresholds: Mapping[str, Bound]) -> Verdict:
    """Hold the validation results and the measurements against the thresholds.

    thresholds: "area.figure" -> bound, for example "quality.c2st_auc"; "area.figure.low" or ".high" bounds an end of
    the figure's interval, so "attacks.linkability.low" what an attack is proven to gain
    A figure that is undefined on these data cannot be judged, and so fails its check: leave its threshold out where
    the data cannot define it. ConfigError lists the figures where a threshold names none.
    """
    known = {f"{area}.{name}": entry for area, entries in metrics.items() for name, entry in _figures(entries)}
    ends = {
        f"{name}.{end}": {**entry, "value": entry[end]} for name, entry in known.items() for end in ENDS & set(entry)
    }
    failures = list(validation["critical_failures"])
    checks = [Check(VALIDATION, float(len(failures)), "no critical failure", not failures)]
    reasons = [f"validation: {failure}" for failure in failures]
    for name, bound in thresholds.items():
        found = known.get(name) or ends.get(name)
        if found is None:
            raise ConfigError(f"gate: {name!r} is not a figure; there are: {', '.join(known)}")
        check = _judge(name, found, bound)
        checks.append(check)
        if not check.passed:
            value = "undefined" if check.value is None else f"{check.value:g}"
            why = f" ({found['reason']})" if check.value is None and found.get("reason") else ""
            reasons.append(f"{name} is {value}{why}, must be {check.bound}")
    return Verdict(not reasons, tuple(reasons), tuple(checks))


def _figures(entries: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(entries, Mapping):
        return []
    return [(name, entry) for name, entry in entries.items() if isinstance(entry, Mapping) and "value" in entry]


def _judge(name: str, entry: Mapping[str, Any], bound: Bound) -> Check:
    value = entry["value"]
    low_met = bound.min is None or (value is not None and value >= bound.min)
    high_met = bound.max is None or (value is not None and value <= bound.max)
    words = [f"at least {bound.min:g}"] if bound.min is not None else []
    words += [f"at most {bound.max:g}"] if bound.max is not None else []
    return Check(name, value, " and ".join(words), value is not None and low_met and high_met)
