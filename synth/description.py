"""What a model directory says of itself, for those who need no weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synth.errors import FormatError, InputError
from synth.schema import Schema
from synth.storage import read_json

FORMAT_VERSION = 1
DESCRIPTION = "synthesizer.json"


def read_description(path: str | Path) -> dict[str, Any]:
    """What the model directory `path` says; InputError where there is none, FormatError for another version."""
    place = Path(path)
    if not place.is_dir():
        raise InputError(f"{path}: no model directory there")
    content = read_json(place / DESCRIPTION)
    found = content.get("format_version") if isinstance(content, dict) else None
    if found != FORMAT_VERSION:
        raise FormatError(f"{path}: model format {found!r} is unknown; this version reads {FORMAT_VERSION}")
    return dict(content)


@dataclass(frozen=True)
class Fitted:
    """Family of a model, the schema of the rows that it learnt, and how many rows there were to learn from.

    privacy: its differential privacy guarantee; None where it has none
    """

    model: str
    schema: Schema
    source_rows: int
    privacy: dict[str, Any] | None = None


def read_fitted(path: str | Path) -> Fitted:
    """What the model in the directory `path` was fitted to; errors as of `read_description`."""
    content = read_description(path)
    try:
        schema = Schema.model_validate(content["schema"])
        return Fitted(content["model"], schema, content["source_rows"], content.get("privacy"))
    except (KeyError, ValidationError):
        raise FormatError(f"{path}: damaged model (no schema in {DESCRIPTION})") from None
