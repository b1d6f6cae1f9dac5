"""The format of identifiers: which characters stand where, learnt as templates that hold no value.

A template is a text in which `9` stands for a digit, `a` and `A` for a lower or upper letter, `h` and `H` for a
hexadecimal digit, `x` and `X` for a digit or letter, a backslash before a character for that character
itself; other characters stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

DIGITS, LOWER, UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CLASSES = {
    "9": DIGITS,
    "a": LOWER,
    "A": UPPER,
    "h": DIGITS + "abcdef",
    "H": DIGITS + "ABCDEF",
    "x": DIGITS + LOWER,
    "X": DIGITS + UPPER,
}
# From the finest to the coarsest: what each run of characters becomes.
LEVELS = (
    (("[^\\x00-\\x7F]", "a"), ("[0-9]", "9"), ("[a-z]", "a"), ("[A-Z]", "A")),
    (("[0-9a-f]", "h"),),
    (("[0-9A-F]", "H"),),
    (("[0-9a-z]", "x"),),
    (("[0-9A-Z]", "X"),),
)
TEMPLATES = 64  # at most; a format that needs more is free text
COVERAGE = 0.9  # share of values that the templates must cover
CONSTANT = 20  # values of a template that must agree before a character counts as fixed
LONGEST = 256


@dataclass(frozen=True)
class Template:
    """One format and the share of values that have it; `parts` holds the choices at each position."""

    text: str
    share: float

    @property
    def parts(self) -> list[str]:
        """The characters that may stand at each position."""
        return list(_parts(self.text))

    @property
    def regex(self) -> str:
        """A regular expression of the format."""
        return "".join(re.escape(p) if len(p) == 1 else f"[{_ranges(p)}]" for p in self.parts)


def learn(values: pa.Array) -> tuple[Template, ...]:
    """Templates of a text column's non-null values, most frequent first."""
    if pc.max(pc.utf8_length(values)).as_py() <= LONGEST:
        for level in LEVELS:
            classed = values
            if len(level) == 1 and not pc.all(pc.match_substring_regex(values, rf"^({level[0][0]}|\W)*$")).as_py():
                continue
            for pattern, letter in level:
                classed = pc.replace_substring_regex(classed, pattern, letter)
            counts = sorted(
                ((entry["counts"], entry["values"]) for entry in pc.value_counts(classed).to_pylist()),
                key=lambda entry: (-entry[0], entry[1]),
            )[:TEMPLATES]
            kept = [(count, text) for count, text in counts if count > 1 or len(values) == 1]
            covered = sum(count for count, _ in kept)
            if covered >= COVERAGE * len(values):
                symbols = {letter for _, letter in level}
                return tuple(
                    Template(_fixed(values.filter(pc.equal(classed, text)), text, symbols), count / covered)
                    for count, text in kept
                )
    length = int(np.clip(pc.approximate_median(pc.utf8_length(values)).as_py(), 12, 32))
    return (Template("a" * length, 1.0),)


def regex(templates: tuple[Template, ...]) -> str:
    """One anchored regular expression of all templates."""
    return "^(" + "|".join(template.regex for template in templates) + ")$"


def generate(templates: tuple[Template, ...], rows: NDArray[np.int64], key: int, rng: np.random.Generator) -> list[str]:
    """A text for each row number, unique over rows as far as a template has room, then with a suffix.

    Which template and which place in it depend on (key, row) alone; positions beyond 2^31 choices come from `rng`.
    """
    shares = np.cumsum([template.share for template in templates])
    spread = ((rows * 2654435761 + key) % 2**32) / 2**32  # Weyl's sequence: even over any run of rows
    which = np.minimum(np.searchsorted(shares / shares[-1], spread, side="right"), len(templates) - 1)
    texts = np.empty(len(rows), dtype=object)
    for index, template in enumerate(templates):
        mask = which == index
        if mask.any():
            texts[mask] = _fill(template.parts, rows[mask], key, rng)
    return list(texts)


def _fill(parts: list[str], rows: NDArray[np.int64], key: int, rng: np.random.Generator) -> list[str]:
    capacity, first = 1, len(parts)
    while first > 0 and capacity < 2**31:
        first -= 1
        capacity *= len(parts[first])
    place = permute(rows, capacity, key)
    columns: list[NDArray[np.str_]] = []
    for position in range(len(parts) - 1, -1, -1):
        choices = np.array(list(parts[position]))
        if position < first:
            columns.append(choices[rng.integers(0, len(choices), len(rows))])
        else:
            columns.append(choices[place % len(choices)])
            place = place // len(choices)
    texts = ["".join(characters) for characters in zip(*reversed(columns), strict=True)] or [""] * len(rows)
    over = rows // capacity
    return [text if not n else f"{text}-{n}" for text, n in zip(texts, over.tolist(), strict=True)]


def permute(rows: NDArray[np.int64], size: int, key: int) -> NDArray[np.int64]:
    """A keyed bijection of row numbers modulo `size` (at most 2^40): row -> (a row + b) mod size, a prime to size."""
    if size == 1:
        return np.zeros_like(rows)
    a = int(size * 0.6180339887) | 1
    while np.gcd(a, size) != 1:
        a += 1
    low, high = rows % size & 0xFFFFF, rows % size >> 20  # two halves: the product stays below 2^63
    return ((a * low) % size + ((a * (1 << 20)) % size * high) % size + key % size) % size


def _fixed(values: pa.Array, text: str, symbols: set[str]) -> str:
    """The template with the characters that all its values share put in, as literals."""
    many = len(values) >= CONSTANT
    first = values[0].as_py()
    parts = []
    for position, symbol in enumerate(text):
        character = first[position]
        constant = many and pc.all(pc.equal(pc.utf8_slice_codeunits(values, position, position + 1), character)).as_py()
        if constant or symbol not in symbols:
            parts.append("\\" + character if character in CLASSES or character == "\\" else character)
        else:
            parts.append(symbol)
    return "".join(parts)


def _parts(text: str) -> Iterator[str]:
    characters = iter(text)
    for character in characters:
        yield next(characters) if character == "\\" else CLASSES.get(character, character)


def _ranges(choices: str) -> str:
    named = {DIGITS: "0-9", LOWER: "a-z", UPPER: "A-Z"}
    return named.get(choices) or choices.replace(DIGITS, "0-9").replace(LOWER, "a-z").replace(UPPER, "A-Z")
