"""What a user may ask of sampled rows: values, lists of values and ranges of columns, and equal classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth.errors import ConfigError

LISTED = 20  # known values that a message names


@dataclass(frozen=True)
class OneOf:
    """One of these values; None among them allows the null."""

    values: tuple[Any, ...]

    @property
    def given(self) -> list[Any]:
        """The values without the null."""
        return [value for value in self.values if value is not None]

    def __str__(self) -> str:
        return " or ".join(map(repr, self.values))


@dataclass(frozen=True)
class Between:
    """A value from `low` to `high`, both included; None leaves an end open. Never null."""

    low: Any
    high: Any

    def __str__(self) -> str:
        return f"{'' if self.low is None else self.low}..{'' if self.high is None else self.high}"


Asked = OneOf | Between


def asked(name: str, value: Any) -> Asked:
    """A condition on column `name` from plain values.

    value: (low, high) as a tuple or {"min": low, "max": high} for a range, a list or set of values, or one value
    """
    if isinstance(value, OneOf | Between):
        return value
    if isinstance(value, Mapping):
        if not value or set(value) - {"min", "max"}:
            raise ConfigError(f"where: {name!r}: expected a value, a list, or min and max; found {dict(value)}")
        return _between(name, value.get("min"), value.get("max"))
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ConfigError(f"where: {name!r}: a range has two ends, found {len(value)}; use a list for values")
        return _between(name, *value)
    values = tuple(value) if isinstance(value, list | set | frozenset) else (value,)
    if not values:
        raise ConfigError(f"where: {name!r}: an empty list allows nothing; name at least one value")
    return OneOf(values)


def _between(name: str, low: Any, high: Any) -> Between:
    if low is None and high is None:
        raise ConfigError(f"where: {name!r}: a range needs at least one end")
    try:
        empty = low is not None and high is not None and low > high
    except TypeError:
        raise ConfigError(f"where: {name!r}: {low!r} and {high!r} cannot be compared") from None
    if empty:
        raise ConfigError(f"where: {name!r}: the range {low}..{high} is empty; give the lower end first")
    return Between(low, high)


def parse(text: str) -> tuple[str, Asked]:
    """`column=value`, `column=low..high` (either end may be left out), `column=[a, b]` or `column=null`.

    Values stay text, so that codes keep their zeros; a column of numbers reads them as such.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--where: expected column=value or column=low..high, found {text!r}")
    if value.startswith("[") and value.endswith("]"):
        return name, asked(name, [_scalar(part.strip()) for part in value[1:-1].split(",") if part.strip()])
    low, dots, high = value.partition("..")
    return name, _between(name, _end(low), _end(high)) if dots else OneOf((_scalar(value),))


def _scalar(text: str) -> str | None:
    return None if text == "null" else text


def _end(text: str) -> float | str | None:
    """One end of a range: a number where it is one."""
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        return text or None


def unknown(name: str, value: Any, known: Sequence[Any]) -> ConfigError:
    """The refusal of a value that the training rows do not have."""
    listed = ", ".join(map(repr, known[:LISTED])) + (f", ... ({len(known)} in all)" if len(known) > LISTED else "")
    return ConfigError(f"where: {name!r}: {value!r} is not among its values; there are: {listed}")
