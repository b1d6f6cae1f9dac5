"""The one hierarchy of errors: what a user did, and what a check said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SynthError(Exception):
    """Base of every error that the project raises on purpose; `exit_code` is the command line's."""

    exit_code = 2


class InputError(SynthError):
    """Data, a file or an argument that cannot be used; the message names it and says what would be right."""


class ConfigError(SynthError):
    """A configuration that names an unknown key, model or value."""


class FormatError(SynthError):
    """A stored model, schema or release that is damaged or of an unknown version."""


class TrainingError(SynthError):
    """A training that cannot go on (a non-finite loss); the last good checkpoint is kept."""


class CheckFailed(SynthError):
    """A gate or a verification said no: the work was done, and the answer is a refusal."""

    exit_code = 1


def problem_of(problem: Mapping[str, Any]) -> str:
    """What pydantic found wrong with one value (an entry of `ValidationError.errors`), in words that name it."""
    context = problem.get("ctx") or {}
    match problem["type"]:
        case "literal_error":
            return f"expected {context['expected']}, found {problem['input']!r}"
        case "union_tag_invalid":
            key = context["discriminator"].strip("'")
            return f"{key}: expected {context['expected_tags']}, found {context['tag']!r}"
    return str(problem["msg"]).removeprefix("Value error, ").split("\n")[0]
