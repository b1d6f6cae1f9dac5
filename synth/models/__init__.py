"""The generative families: one file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from synth.errors import ConfigError


def available() -> list[str]:
    """Names of all families: the modules of this package but `base`."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")


def family(name: str) -> ModuleType:
    """The module of a family, with its `Config` and `Model`; ConfigError lists the names if there is none."""
    if name not in available():
        raise ConfigError(f"model {name!r} is unknown; there are: {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")
