"""What a table is mostly about, which decides how it is learnt."""

from __future__ import annotations

from collections.abc import Sequence

from synth.constraints import Rule
from synth.errors import ConfigError, InputError
from synth.imaging import is_image
from synth.schema import Column, Modality
from synth.series import nesting
from synth.stored import AnyTable
from synth.texts import free_text


def modality(table: AnyTable, target: str | None) -> Modality:
    """What a table is mostly about: series, pictures, texts (beside labels alone), or the values of its columns."""
    if nesting(table.schema) is not None:
        return "series"
    if any(map(is_image, table.schema.types)):
        return "image"
    return "table" if free_text(table, target, labelled=True) is None else "text"


def modality_of(columns: Sequence[Column], rules: Sequence[Rule]) -> Modality:
    """What columns of these kinds are about; ConfigError for rules where they are not kept."""
    for kind, what in (("image", "pictures"), ("text", "texts")):
        found = [column.name for column in columns if column.kind == kind]
        if len(found) > 1:
            raise InputError(f"columns {found[0]!r} and {found[1]!r} both hold {what}; one can be learnt at a time")
    pictures = [column.name for column in columns if column.kind == "image"]
    texts = [column.name for column in columns if column.kind == "text"]
    if (pictures or texts) and rules:
        raise ConfigError("rules: they are kept in tables without pictures and texts only; leave them out")
    return "image" if pictures else "text" if texts else "table"
