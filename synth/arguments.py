"""Options of the command as the values that they stand for; ConfigError and InputError name what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synth.errors import ConfigError, InputError
from synth.stored import AnyTable, Stored


def declared(rules: Path | None, rare_values: int | None, domains: Path | None) -> dict[str, Any]:
    """What `Synthesizer.fit` is told of these files."""
    from synth.config import load_domains, load_rules

    found: dict[str, Any] = {} if rules is None else {"rules": load_rules(rules)}
    found |= {} if domains is None else {"domains": load_domains(domains)}
    return found if rare_values is None else {**found, "rare_values": rare_values}


def privacy(epsilon: float | None, delta: float | None) -> dict[str, float] | None:
    """A promise; None where neither is given."""
    if epsilon is None and delta is None:
        return None
    if epsilon is None or delta is None:
        raise ConfigError("--epsilon and --delta: give both, or neither")
    return {"epsilon": epsilon, "delta": delta}


def setting(text: str) -> tuple[str, Any]:
    """A hyper-parameter of key=value."""
    from synth.config import OWN

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set: expected key=value, found {text!r}")
    name = key.replace("-", "_")
    if name in OWN:
        option = "--epsilon" if name == "privacy" else f"--{name.replace('_', '-')}"
        raise ConfigError(f"--set {name}: not a hyper-parameter; there is an option {option}")
    try:
        return name, YAML(typ="safe", pure=True).load(value)
    except YAMLError:
        raise ConfigError(f"--set {name}: {value!r} is no value that YAML reads") from None


def shard(text: str) -> tuple[int, int]:
    """Number and count of I/N."""
    first, _, second = text.partition("/")
    if not (first.isdigit() and second.isdigit() and int(first) < int(second)):
        raise InputError(f"--shard: expected I/N with 0 <= I < N, found {text!r}")
    return int(first), int(second)


def wanted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What rows have to keep, each column once."""
    wanted = dict(pairs)
    if len(wanted) < len(pairs):
        raise ConfigError("--where: a column stands twice; use column=low..high or column=[a, b]")
    return wanted


def series(
    rows: AnyTable, entity: Sequence[str] | None, time: str | None, window: int | None, stride: int | None
) -> AnyTable:
    """Rows that are the steps of series nested, others as they are."""
    from synth.nest import nest

    if not entity and time is None and window is None:
        if stride is not None:
            raise ConfigError("--stride needs --window")
        return rows
    if not entity and window is None:
        raise ConfigError("--time: without --entity there is one series, which is too few: cut it by --window")
    whole = rows.read() if isinstance(rows, Stored) else rows
    return nest(whole, entity=entity or (), time=time, window=window, stride=stride)
