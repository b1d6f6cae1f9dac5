"""The generative families: one file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from synth.errors import ConfigError

BASES = ("base", "base_series")
# the family of a modality where none is named
UNNAMED = {
    "table": "autoregressive",
    "image": "image_diffusion",
    "text": "transformer",
    "series": "series_autoregressive",
}


def available(modality: str | None = None) -> list[str]:
    """Names of the families, the modules of this package but BASES: of all, or of those that serve a modality."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in BASES)
    return [name for name in names if modality is None or modality in family(name).Model.modalities]


def family(name: str) -> ModuleType:
    """The module of a family, with its `Config` and `Model`; ConfigError lists the names if there is none."""
    if name not in available():
        raise ConfigError(f"model {name!r} is unknown; there are: {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")


def serving(name: str | None, modality: str) -> str:
    """The name of a family that learns data of this modality: the given one, or a good first choice.

    ConfigError where there is no such family, or it learns other data.
    """
    name = UNNAMED[modality] if name is None else name
    if modality not in family(name).Model.modalities:
        raise ConfigError(
            f"the family {name!r} does not learn data of the modality {modality!r}; these do: "
            f"{', '.join(available(modality))}"
        )
    return name
