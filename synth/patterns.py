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
ROOM = 2**31  # so many places of a template are gone through before one comes again
CYCLE = 1024  # rows over which every template gets its share
STEP = 2654435761  # sets the templates' orders apart
DENSE = 4  # whole numbers that fill at least 1/DENSE of their range are a running number


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


@dataclass(frozen=True)
class Counter:
    """A running number between constant texts; `width` digits with leading zeros, or 0 for none."""

    prefix: str
    suffix: str
    width: int
    start: int

    @property
    def regex(self) -> str:
        """A regular expression of the format."""
        digits = f"{{{self.width},}}" if self.width else "+"
        return f"^{re.escape(self.prefix)}[0-9]{digits}{re.escape(self.suffix)}$"

    def generate(self, rows: NDArray[np.int64]) -> list[str]:
        """The text of each row number: the source's numbers go on after the greatest."""
        return [f"{self.prefix}{number:0{self.width}d}{self.suffix}" for number in (rows + self.start).tolist()]


def running(values: pa.Array) -> Counter | None:
    """How different texts count up; None where they do not, or where their width leaves no room to go on."""
    ends = pc.min_max(values).as_py()
    prefix = _shared(ends["min"], ends["max"]).rstrip(DIGITS)
    ends = pc.min_max(pc.utf8_reverse(pc.utf8_slice_codeunits(values, len(prefix)))).as_py()
    suffix = _shared(ends["min"], ends["max"])[::-1].lstrip(DIGITS)
    middle = pc.utf8_slice_codeunits(values, len(prefix), -len(suffix) if suffix else None)
    if not pc.all(pc.match_substring_regex(middle, "^[0-9]{1,18}$")).as_py():
        return None
    lengths = pc.min_max(pc.utf8_length(middle)).as_py()
    width = lengths["max"] if lengths["min"] == lengths["max"] else 0
    if not width and pc.any(pc.match_substring_regex(middle, "^0[0-9]")).as_py():
        return None
    numbers = pc.min_max(middle.cast(pa.int64())).as_py()
    dense = numbers["max"] - numbers["min"] < DENSE * len(values)
    room = not width or 10**width - numbers["max"] > len(values)
    return Counter(prefix, suffix, width, numbers["max"] + 1) if dense and room else None


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


def regex(templates: tuple[Template, ...], unique: bool) -> str:
    """One anchored regular expression of all that `generate` makes."""
    more = "(-[0-9]+)?" if unique and any(_room(template.parts)[0] < ROOM for template in templates) else ""
    return "^(" + "|".join(template.regex for template in templates) + f"){more}$"


def generate(
    templates: tuple[Template, ...], rows: NDArray[np.int64], key: int, rng: np.random.Generator, unique: bool
) -> list[str]:
    """A text for each row number; where `unique`, a template without room left goes on with a suffix.

    Which template and which place in it depend on (key, row) alone; positions beyond ROOM choices come from `rng`.
    """
    sizes, which, rank = _cycle(templates, key)
    turn, step = np.divmod(rows, CYCLE)
    texts = np.empty(len(rows), dtype=object)
    for index, template in enumerate(templates):
        mask = which[step] == index
        if mask.any():
            places = turn[mask] * sizes[index] + rank[step[mask]]
            texts[mask] = _fill(template.parts, places, key + index * STEP, rng, unique)
    return list(texts)


def permute(places: NDArray[np.int64], size: int, key: int) -> NDArray[np.int64]:
    """A keyed bijection modulo `size` (at most 2^40): place -> (a place + b) mod size, a prime to size."""
    if size == 1:
        return np.zeros_like(places)
    a = int(size * 0.6180339887) | 1
    while np.gcd(a, size) != 1:
        a += 1
    low, high = places % size & 0xFFFFF, places % size >> 20  # two halves: the product stays below 2^63
    return ((a * low) % size + ((a * (1 << 20)) % size * high) % size + key % size) % size


def _cycle(templates: tuple[Template, ...], key: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of CYCLE rows: how many each template gets, which one each gets, and how often it came before."""
    exact = np.array([template.share for template in templates]) * CYCLE
    sizes = np.floor(exact).astype(np.int64)
    sizes[np.argsort(sizes - exact, kind="stable")[: CYCLE - sizes.sum()]] += 1  # the largest remainders
    which = np.random.default_rng(key).permutation(np.repeat(np.arange(len(templates)), sizes))
    order = np.argsort(which, kind="stable")
    rank = np.empty(CYCLE, dtype=np.int64)
    rank[order] = np.arange(CYCLE) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return sizes, which, rank


def _room(parts: list[str]) -> tuple[int, int]:
    """Number of places that are gone through, and the first position that takes part in it."""
    capacity, first = 1, len(parts)
    while first > 0 and capacity < ROOM:
        first -= 1
        capacity *= len(parts[first])
    return capacity, first


def _fill(parts: list[str], places: NDArray[np.int64], key: int, rng: np.random.Generator, unique: bool) -> list[str]:
    capacity, first = _room(parts)
    place = permute(places, capacity, key)
    columns: list[NDArray[np.str_]] = []
    for position in range(len(parts) - 1, -1, -1):
        choices = np.array(list(parts[position]))
        if position < first:
            columns.append(choices[rng.integers(0, len(choices), len(places))])
        else:
            columns.append(choices[place % len(choices)])
            place = place // len(choices)
    texts = ["".join(characters) for characters in zip(*reversed(columns), strict=True)] or [""] * len(places)
    over = places // capacity if unique else np.zeros_like(places)
    return [text if not n else f"{text}-{n}" for text, n in zip(texts, over.tolist(), strict=True)]


def _fixed(values: pa.Array, text: str, symbols: set[str]) -> str:
    """The template with the characters that all its values share put in, as literals; never a whole value."""
    many = len(values) >= CONSTANT and len(values.unique()) > 1
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


def _shared(first: str, second: str) -> str:
    """What two texts begin with in common."""
    size = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    return first[:size]
