"""The texts that a regular expression matches, numbered: from a number to its text without making the others.

The expression becomes an automaton with one path a text (Rabin & Scott 1959), so that texts of each length are counted
exactly and none has two numbers. Python's own parser reads the expression. A library would bring less: `exrex` and
`sre_yield` count a text once for each way in which it matches, and `rstr` draws at random, where no draw can be unique.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from re import _parser  # type: ignore[attr-defined]  # there is no public name for it
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import ConfigError

PRINTABLE = frozenset(map(chr, range(32, 127)))  # what `.` and the excluded sets stand for
STATES = 4000  # an expression that needs more is refused
FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE
CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}

Characters = frozenset[str]


@dataclass
class _Parts:
    """A nondeterministic automaton under construction: moves by character and moves for nothing."""

    moves: list[list[tuple[Characters, int]]] = field(default_factory=list)
    free: list[list[int]] = field(default_factory=list)

    def state(self) -> int:
        """A new state."""
        if len(self.moves) > 4 * STATES:
            raise ConfigError("it is too large")
        self.moves.append([])
        self.free.append([])
        return len(self.moves) - 1

    def chain(self, items: Iterable[Any], start: int) -> int:
        """Add the parsed items after `start`; returns the state at their end."""
        for code, value in items:
            start = self.item(str(code), value, start)
        return start

    def item(self, code: str, value: Any, start: int) -> int:
        """Add one parsed item after `start`; returns the state at its end."""
        if code in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            end = self.state()
            self.moves[start].append((_characters(code, value), end))
            return end
        if code == "SUBPATTERN":
            if value[1]:
                raise ConfigError("flags cannot be generated from")
            return self.chain(value[3], start)
        if code == "ATOMIC_GROUP":
            return self.chain(value, start)
        if code == "BRANCH":
            end = self.state()
            for branch in value[1]:
                self.free[self.chain(branch, start)].append(end)
            return end
        if code in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self.repeat(value[0], value[1], value[2], start)
        raise ConfigError(f"{code.lower().replace('_', ' ')} cannot be generated from")

    def repeat(self, least: int, most: Any, items: Any, start: int) -> int:
        """Add the items `least` to `most` times."""
        for _ in range(least):
            start = self.chain(items, start)
        end = self.state()
        if most is _parser.MAXREPEAT:
            again = self.state()
            self.free[start] += [again, end]
            self.free[self.chain(items, again)] += [again, end]
            return end
        self.free[start].append(end)
        for _ in range(int(most) - least):
            start = self.chain(items, start)
            self.free[start].append(end)
        return end

    def closed(self, states: Iterable[int]) -> frozenset[int]:
        """The states and all that can be reached from them for nothing."""
        found, todo = set(states), list(states)
        while todo:
            new = [state for state in self.free[todo.pop()] if state not in found]
            found |= set(new)
            todo += new
        return frozenset(found)


@dataclass(frozen=True)
class Language:
    """A deterministic automaton: moves[s] are (characters, next state), of which no two share a character."""

    moves: tuple[tuple[tuple[str, int], ...], ...]
    final: tuple[bool, ...]

    @cached_property
    def _counts(self) -> list[list[int]]:
        return [[int(end) for end in self.final]]

    def count(self, length: int) -> int:
        """Number of different texts of a length."""
        return self.counts(length)[0]

    def counts(self, length: int) -> list[int]:
        """(S,) number of texts of a length from each state."""
        while len(self._counts) <= length:
            last = self._counts[-1]
            self._counts.append([sum(len(chars) * last[to] for chars, to in moves) for moves in self.moves])
        return self._counts[length]

    def texts(self, numbers: NDArray[Any], length: int) -> list[str]:
        """The texts (N,) of a length that have the numbers (N,), 0 to count - 1, Python's own where 64 bits are few."""
        columns = []
        states, left = np.zeros(len(numbers), dtype=np.int64), numbers
        for place in range(length):
            rest = self.counts(length - place - 1)
            letters, after, remain = np.empty(len(left), dtype="<U1"), states.copy(), left.copy()
            for state in np.unique(states).tolist():
                mine = np.flatnonzero(states == state)
                letters[mine], after[mine], remain[mine] = self._step(state, left[mine], rest)
            columns.append(letters.tolist())
            states, left = after, remain
        return ["".join(letters) for letters in zip(*columns, strict=True)] or [""] * len(numbers)

    def _step(self, state: int, left: NDArray[Any], rest: list[int]) -> tuple[NDArray[Any], ...]:
        """The next character, state and number of texts that all are at `state`."""
        moves = [(chars, to) for chars, to in self.moves[state] if rest[to]]
        dtype = left.dtype
        sizes = np.array([len(chars) * rest[to] for chars, to in moves], dtype=dtype)
        ends = np.cumsum(sizes)
        chosen = np.searchsorted(ends, left, side="right")
        inside = left - (ends - sizes)[chosen]
        each = np.array([rest[to] for _, to in moves], dtype=dtype)[chosen]
        which = (inside // each).astype(np.int64)
        letters = np.array([moves[c][0][w] for c, w in zip(chosen.tolist(), which.tolist(), strict=True)], dtype="<U1")
        return letters, np.array([to for _, to in moves])[chosen], inside % each


@lru_cache(maxsize=64)
def language(pattern: str) -> Language:
    """The texts that match `pattern` as a whole; ConfigError says what of it cannot be generated from."""
    try:
        compiled, parsed = re.compile(pattern), _parser.parse(pattern)
    except re.error as error:
        raise ConfigError(f"pattern {pattern!r} is no regular expression ({error})") from None
    try:
        if compiled.flags & FLAGS:
            raise ConfigError("flags cannot be generated from")
        parts = _Parts()
        start = parts.state()
        return _deterministic(parts, start, parts.chain(_inner(list(parsed)), start))
    except ConfigError as error:
        raise ConfigError(f"pattern {pattern!r}: {error}; write it with sets, groups and repeats alone") from None


def _inner(items: list[Any]) -> list[Any]:
    """The items without the anchors at both ends, which say nothing of a whole text."""
    if items and str(items[0][0]) == "AT" and "BEGINNING" in str(items[0][1]):
        items = items[1:]
    if items and str(items[-1][0]) == "AT" and "END" in str(items[-1][1]):
        items = items[:-1]
    return items


def _characters(code: str, value: Any) -> Characters:
    """What one parsed item matches, of printable ASCII and of what the expression itself names."""
    if code == "LITERAL":
        return frozenset(chr(value))
    if code == "NOT_LITERAL":
        return PRINTABLE - {chr(value)}
    if code == "ANY":
        return PRINTABLE
    found: set[str] = set()
    negated = False
    for inner, what in value:
        name = str(inner)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            found.add(chr(what))
        elif name == "RANGE":
            found |= set(map(chr, range(what[0], what[1] + 1)))
        else:
            found |= {sign for sign in PRINTABLE if re.fullmatch(CATEGORIES[str(what)], sign)}
    return PRINTABLE - found if negated else frozenset(found)


def _deterministic(parts: _Parts, start: int, end: int) -> Language:
    """The subset construction, over sets of characters that no move tells apart."""
    first = parts.closed([start])
    numbers, todo, moves = {first: 0}, [first], []
    while todo:
        state = todo.pop(0)
        by_character: dict[str, set[int]] = {}
        for member in state:
            for characters, to in parts.moves[member]:
                for character in characters:
                    by_character.setdefault(character, set()).add(to)
        by_target: dict[frozenset[int], list[str]] = {}
        for character in sorted(by_character):
            by_target.setdefault(frozenset(by_character[character]), []).append(character)
        found: dict[int, list[str]] = {}
        for targets, letters in by_target.items():
            after = parts.closed(targets)
            if after not in numbers:
                if len(numbers) >= STATES:
                    raise ConfigError("it is too large")
                numbers[after] = len(numbers)
                todo.append(after)
            found.setdefault(numbers[after], []).extend(letters)
        moves.append(tuple(("".join(sorted(letters)), to) for to, letters in found.items()))
    return Language(tuple(moves), tuple(end in state for state in numbers))
