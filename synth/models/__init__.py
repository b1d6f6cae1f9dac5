"""The generative families: one file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from synth.errors import ConfigError


def available(modality: str | None = None) -> list[str]:
    """Names of the families, the modules of this package but `base`: of all, or of those that serve a modality."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")
    return [name for name in names if modality is None or modality in family(name).Model.modalities]


def family(name: str) -> ModuleType:
    """The module of a family, with its `Config` and `Model`; ConfigError lists the names if there is none."""
    if name not in available():
        raise ConfigError(f"model {name!r} is unknown; there are: {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")
