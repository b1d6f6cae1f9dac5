"""What a user sets of a model, checked: its hyper-parameters and its promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from synth import models
from synth.config import first_problem
from synth.errors import ConfigError
from synth.models.base import TrainingConfig
from synth.privacy import Privacy


def promise(model: str, privacy: Privacy | Mapping[str, Any] | None) -> Privacy | None:
    """The promise as it is checked; ConfigError names what is wrong with it, or a family that cannot keep one."""
    if privacy is None:
        return None
    if models.family(model).Model.private is None:
        able = [name for name in models.available() if models.family(name).Model.private]
        raise ConfigError(f"privacy: the family {model!r} cannot keep a budget; these can: {', '.join(able)}")
    try:
        return privacy if isinstance(privacy, Privacy) else Privacy.model_validate(dict(privacy))
    except ValidationError as error:
        raise ConfigError(f"privacy: {first_problem(error)}") from None


def configure(model: str, config: Mapping[str, Any], *, private: bool = False) -> TrainingConfig:
    """The family's `Config` from plain values; ConfigError names an unknown key with those that there are, or a value
    that a private fit cannot keep its promise with."""
    kind: type[TrainingConfig] = models.family(model).Config
    unknown = sorted(set(config) - set(kind.model_fields))
    if unknown:
        raise ConfigError(f"{model}: unknown key {unknown[0]!r}; there are: {', '.join(sorted(kind.model_fields))}")
    usual = models.family(model).Model.private_config if private else {}
    try:
        found = kind.model_validate({**usual, **config})
    except ValidationError as error:
        raise ConfigError(f"{model}: {first_problem(error)}") from None
    if private and models.family(model).Model.private == "gradients" and found.validation_share:
        raise ConfigError(
            f"{model}: validation_share {found.validation_share:g}: a loss on validation rows would choose the weights "
            "past the privacy budget; leave it at 0"
        )
    return found
