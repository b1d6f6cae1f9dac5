"""Texts from where users keep them, and which column of a table holds some."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs import dates
from synth.codecs.columns import flat
from synth.codecs.text import hashable, is_text, value_type
from synth.errors import ConfigError, InputError
from synth.personal import find as personal_data
from synth.stored import AnyTable

SUFFIXES = (".txt", ".text", ".md")
TEXT = "text"  # name of the column
WORDS = 3  # that a text has, the median, where it is more than a name for something
DIFFERENT = 0.5  # share of texts that are different
LABELS = 50  # values of a column that is a label of the texts beside it

Cut = Literal["lines", "paragraphs"] | int


def parse_cut(text: str | None) -> Cut | None:
    """What a user says of how a text file is cut; ConfigError for anything else."""
    for word in ("lines", "paragraphs"):
        if text == word:
            return word
    if text is None or (text.isdigit() and int(text) > 0):
        return None if text is None else int(text)
    raise ConfigError(f"--text: expected lines, paragraphs or a number of characters, found {text!r}")


def cut(text: str, name: str, how: Cut | None) -> pa.Table:
    """The parts of a text file as a column `text`; InputError where there are none.

    how: lines, paragraphs (with empty lines between them), or passages of so many characters at most, which end where
        a line or at least a word does and together are the file; by default paragraphs where there are some, or lines
    """
    text = text.replace("\r\n", "\n")
    blocks = [block.strip("\n") for block in re.split(r"\n[ \t]*\n", text)]
    paragraphs = [block for block in blocks if block.strip()]
    if isinstance(how, int):
        parts = list(_passages(text, how))
    elif how == "paragraphs" or (how is None and len(paragraphs) > 1):
        parts = paragraphs
    else:
        parts = [line for line in text.split("\n") if line.strip()]
    if not parts:
        raise InputError(f"{name}: no text in it")
    return pa.table({TEXT: pa.array(parts, pa.string())})


def _passages(text: str, size: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        if end < len(text):
            found = (text.rfind(gap, start + size // 2, end) for gap in ("\n", " "))
            end = next((place + 1 for place in found if place >= 0), end)
        yield text[start:end]
        start = end


def free_text(table: AnyTable, target: str | None, *, labelled: bool = False) -> str | None:
    """The column whose values are texts, no dates and no personal data; of several the one with the longest.

    labelled: only where they have several words, most are different, and all other columns are labels or texts, so that
        it is the texts that the table is about
    """
    found: dict[str, float] = {}
    for name, dtype in zip(table.column_names, table.schema.types, strict=True):
        if is_text(value_type(dtype)):
            if name != target and (length := _length(name, table.column(name), labelled)):
                found[name] = length
        elif labelled and not _is_label(table.column(name)):
            return None
    return max(found, key=lambda name: found[name], default=None)


def _length(name: str, chunks: pa.ChunkedArray, several: bool) -> float:
    """Mean characters of the texts; 0 where they are none."""
    values = pc.drop_null(flat(chunks))
    if not len(values) or dates.find(values) is not None or personal_data(name, values) is not None:
        return 0.0
    if several and not (worded(values) and len(values.unique()) >= DIFFERENT * len(values)):
        return 0.0
    return float(pc.mean(pc.utf8_length(values)).as_py())


def worded(values: pa.Array) -> bool:
    """Whether texts without nulls have several words each, the median, and are no dates."""
    if not len(values):
        return False
    words = pc.list_value_length(pc.utf8_split_whitespace(values))
    return bool(pc.approximate_median(words).as_py() >= WORDS and dates.find(values) is None)


def _is_label(chunks: pa.ChunkedArray) -> bool:
    dtype = value_type(chunks.type)
    if pa.types.is_floating(dtype) or pa.types.is_temporal(dtype):
        return False
    return int(pc.count_distinct(hashable(flat(chunks))).as_py()) <= LABELS
