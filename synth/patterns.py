"""The format of identifiers: which characters stand where, learnt as templates that hold no value.

A template is a text in which `9` stands for a digit, `a` and `A` for a lower or upper letter, `h` and `H` for a
hexadecimal digit, `x` and `X` for a digit or letter, `#` for a digit but 0, a backslash before a
character for that character itself; other characters stand for themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.deniable import GROUP, WINDOW, Deniable, Texts, choose

DIGITS, LOWER, UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CLASSES = {
    "9": DIGITS,
    "a": LOWER,
    "A": UPPER,
    "h": DIGITS + "abcdef",
    "H": DIGITS + "ABCDEF",
    "x": DIGITS + LOWER,
    "X": DIGITS + UPPER,
    "#": DIGITS[1:],
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
ENOUGH = 50_000  # values, evenly over the rows, that show the formats
ROOM = 2**34  # so many places of a template are gone through before one comes again
ENUMERATED = 2**18  # a template with no more places is searched for all that a filter allows
BLIND = 2.0**60  # a format with so many texts for each real value meets none, and needs no filter
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
        return "".join(map(_choice, self.parts))


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
    prefix, suffix = _around(values)
    prefix, suffix = prefix.rstrip(DIGITS), suffix.lstrip(DIGITS)
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
    values = values.take(
        pa.array(np.unique(np.linspace(0, len(values) - 1, min(len(values), ENOUGH)).astype(np.int64)))
    )
    around = _around(values) if len(values) >= CONSTANT else ("", "")
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
                    Template(_fixed(values.filter(pc.equal(classed, text)), text, symbols, around), count / covered)
                    for count, text in kept
                )
    length = int(np.clip(pc.approximate_median(pc.utf8_length(values)).as_py(), 12, 32))
    return (Template("a" * length, 1.0),)


def regex(templates: tuple[Template, ...], unique: bool) -> str:
    """One anchored regular expression of all that `Maker` makes."""
    longest = _longest(templates)
    texts = [template.regex for template in templates]
    parts = templates[longest].parts
    if unique and _room(parts)[0] < ROOM:
        pieces = [_choice(part) for part in parts]
        texts[longest] = "".join([*pieces[: _end(parts)], "[0-9]*", *pieces[_end(parts) :]])
    return "^(" + "|".join(texts) + ")$"


@dataclass(frozen=True)
class Maker:
    """Texts of the templates for row numbers, from (key, row) alone.

    unique: rows of a template that is used up go to the longest one, and that goes on with more digits
    filter: texts that it does not allow are left out; None allows all
    finish: what is done to texts (N,) before they come out, a check digit for example
    """

    templates: tuple[Template, ...]
    key: int
    unique: bool
    filter: Deniable | None = None
    finish: Callable[[Texts], Texts] | None = None

    @cached_property
    def rooms(self) -> NDArray[np.int64]:
        """How many texts each template has before it repeats one or grows."""
        capacities = [_room(template.parts)[0] for template in self.templates]
        if self.filter is None:
            return np.array(capacities)
        kept = [len(found) if found is not None else None for found in self._allowed]
        return np.array([c // WINDOW * GROUP if k is None else k for c, k in zip(capacities, kept, strict=True)])

    @property
    def exposed(self) -> bool:
        """Whether no allowed text is left, so that banned ones come out."""
        return not self.unique and not self.rooms.any()

    @cached_property
    def _allowed(self) -> list[NDArray[np.int64] | None]:
        """Of each template with few places those that the filter allows."""
        found: list[NDArray[np.int64] | None] = []
        for index, template in enumerate(self.templates):
            capacity = _room(template.parts)[0]
            if self.filter is None or capacity > ENUMERATED:
                found.append(None)
            else:
                found.append(np.flatnonzero(self.filter.allows(self._texts(index, np.arange(capacity)))))
        return found

    @cached_property
    def _turns(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        return _cycle(self.templates, self.key)

    def texts(self, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        """A text for each row number (N,)."""
        sizes, which, rank = self._turns
        turn, step = np.divmod(rows, CYCLE)
        chosen = which[step]
        places = turn * sizes[chosen] + rank[step]  # how often the row's template came before
        if self.unique and len(self.templates) > 1:
            longest = _longest(self.templates)
            own = chosen == longest
            chosen = np.where(places < self.rooms[chosen], chosen, longest)
            places = np.where(own, 2 * places, np.where(chosen == longest, 2 * rows + 1, places))
        elif not self.unique and self.filter is not None:
            chosen = np.where(self.rooms[chosen] > 0, chosen, self.rooms.argmax())
        texts = np.empty(len(rows), dtype=object)
        for index in range(len(self.templates)):
            mask = chosen == index
            if mask.any():
                texts[mask] = self._texts(index, self._places(index, places[mask]))
        return texts

    def _places(self, index: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of a template that each number gets: itself, or an allowed one."""
        allows = self.filter
        if allows is None:
            return numbers
        kept, start = self._allowed[index], 0
        if kept is not None:
            if not self.unique:
                return kept[numbers % len(kept)] if len(kept) else numbers
            start = _room(self.templates[index].parts)[0]
            first = numbers < len(kept)
            if first.all():
                return kept[numbers]
            places = np.empty(len(numbers), dtype=np.int64)
            places[first] = kept[numbers[first]]
            places[~first] = self._grown(index, start, numbers[~first] - len(kept))
            return places
        return self._grown(index, start, numbers)

    def _grown(self, index: int, start: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        allows = self.filter
        assert allows is not None  # noqa: S101 - only called where there is one
        return start + choose(lambda places: allows.allows(self._texts(index, start + places)), numbers)

    def _texts(self, index: int, places: NDArray[np.int64]) -> Texts:
        made = _fill(self.templates[index].parts, places, self.key + index * STEP, self.unique)
        return made if self.finish is None else self.finish(made)


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


def needs_filter(templates: tuple[Template, ...], distinct: int) -> bool:
    """Whether a generated text can be one of `distinct` real ones other than by a chance below 2^-60 each."""
    return min(math.prod(float(len(part)) for part in template.parts) for template in templates) < BLIND * distinct


def _room(parts: list[str]) -> tuple[int, int]:
    """Number of places that are gone through, and the first position that takes part; the others are scattered."""
    capacity, first = 1, len(parts)
    while first > 0 and capacity < ROOM:
        first -= 1
        capacity *= len(parts[first])
    return capacity, first


def _longest(templates: tuple[Template, ...]) -> int:
    """The longest template, of several the roomiest: with more digits it meets no other."""
    return max(range(len(templates)), key=lambda i: (len(templates[i].parts), _room(templates[i].parts)[0]))


def _end(parts: list[str]) -> int:
    """The position after the last one with a choice, where more digits go; the end where there is none."""
    return max((place + 1 for place, part in enumerate(parts) if len(part) > 1), default=len(parts))


def _fill(parts: list[str], places: NDArray[np.int64], key: int, unique: bool) -> Texts:
    capacity, first = _room(parts)
    place = permute(places, capacity, key)
    codes = np.zeros((len(places), max(1, len(parts))), dtype=np.uint32)
    for position in range(len(parts) - 1, -1, -1):
        choices = np.array([ord(choice) for choice in parts[position]], dtype=np.uint32)
        if position < first:
            codes[:, position] = choices[scattered(places, key + position) % len(choices)]
        elif len(choices) == 1:
            codes[:, position] = choices[0]
        else:
            place, digit = np.divmod(place, len(choices))
            codes[:, position] = choices[digit]
    over = places // capacity
    if not unique or not over.any():
        return _joined(codes)
    end = _end(parts)
    digits = np.where(over > 0, over.astype(np.str_), "")
    return np.strings.add(np.strings.add(_joined(codes[:, :end]), digits), _joined(codes[:, end:]))


def _joined(codes: NDArray[np.uint32]) -> Texts:
    """Code points (N, L) as texts (N,)."""
    rows, width = codes.shape
    return np.ascontiguousarray(codes).view(f"<U{width}").reshape(rows) if width else np.zeros(rows, dtype="<U1")


def scattered(places: NDArray[np.int64], key: int) -> NDArray[np.int64]:
    """Whole numbers without a visible order, from (key, place) alone: the mix of SplitMix64 (Steele et al. 2014)."""
    x = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key * 0xD1342543DE82EF95 % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x >> np.uint64(33)).astype(np.int64)


def _fixed(values: pa.Array, text: str, symbols: set[str], around: tuple[str, str]) -> str:
    """The template with what its values share at each position: a literal, or the finest class; never a whole value.

    around: what the values of all templates begin and end with
    """
    many = len(values) >= CONSTANT and len(values.unique()) > 1
    first = values[0].as_py()
    parts = []
    for position, symbol in enumerate(text):
        found = pc.unique(pc.utf8_slice_codeunits(values, position, position + 1)).to_pylist() if many else []
        shared = position < len(around[0]) or position >= len(text) - len(around[1])
        if shared or len(found) == 1 or symbol not in symbols:
            special = first[position] in CLASSES or first[position] == "\\"
            parts.append("\\" * special + first[position])
        else:
            finest = (letter for letter, choices in CLASSES.items() if set(found) <= set(choices))
            parts.append(next(finest, symbol) if found else symbol)
    return "".join(parts)


def _parts(text: str) -> Iterator[str]:
    characters = iter(text)
    for character in characters:
        yield next(characters) if character == "\\" else CLASSES.get(character, character)


def _choice(part: str) -> str:
    """The regular expression of one position."""
    named = {DIGITS: "0-9", LOWER: "a-z", UPPER: "A-Z"}
    ranges = named.get(part) or part.replace(DIGITS, "0-9").replace(LOWER, "a-z").replace(UPPER, "A-Z")
    return re.escape(part) if len(part) == 1 else f"[{ranges}]"


def _around(values: pa.Array) -> tuple[str, str]:
    """What all texts begin with, and what the rest of all of them ends with; nothing where all are one text."""
    ends = pc.min_max(values).as_py()
    if ends["min"] == ends["max"]:
        return "", ""
    prefix = _shared(ends["min"], ends["max"])
    ends = pc.min_max(pc.utf8_reverse(pc.utf8_slice_codeunits(values, len(prefix)))).as_py()
    return prefix, _shared(ends["min"], ends["max"])[::-1]


def _shared(first: str, second: str) -> str:
    """What two texts begin with in common."""
    size = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    return first[:size]
