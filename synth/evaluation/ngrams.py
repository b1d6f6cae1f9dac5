"""Characters told from those before them by counts: what a text is held against that no network has learnt.

p_k(c | h) = (n(h c) + t(h) p_{k-1}(c | h')) / (n(h) + t(h)), where n counts what the training texts have, t(h) is how
many different characters follow h, and h' is h without its first one: interpolation by Witten & Bell 1991.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

END, OTHER, FIRST = 0, 1, 2  # codes: a text ends or has not begun, a character that is not known, the first that is
MOST = 256 - FIRST  # characters that are known, the most frequent ones
REST = 17.0  # bits of a character that is not known: one of some hundred thousand

Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class NGrams:
    """Counts of all sequences of up to `order` characters, at most 8.

    alphabet: known characters, numbered from FIRST on
    seen: of each length from 1 on, the sequences as sorted keys, and how often each came
    contexts: of each length from 0 on, the sequences that something follows, how often, and by how many different ones
    """

    order: int
    alphabet: str
    seen: tuple[tuple[Keys, NDArray[np.int64]], ...]
    contexts: tuple[tuple[Keys, NDArray[np.int64], NDArray[np.int64]], ...]

    @classmethod
    def fit(cls, texts: Sequence[str], order: int = 6) -> NGrams:
        """Count the characters of texts, and the end of each."""
        counts = Counter[str]()
        for text in texts:
            counts.update(text)
        alphabet = "".join(sorted(character for character, _ in counts.most_common(MOST)))
        windows = _windows(texts, alphabet, order)
        seen, contexts = [], []
        for length in range(1, order + 1):
            keys, times = np.unique(_keys(windows[:, order - length :]), return_counts=True)
            seen.append((keys, times))
            before, starts = np.unique(keys >> np.uint64(8), return_index=True)
            types = np.diff(np.append(starts, len(keys)))
            contexts.append((before, np.add.reduceat(times, starts), types))
        return cls(order, alphabet, tuple(seen), tuple(contexts))

    def bits(self, texts: Sequence[str]) -> float:
        """Bits per character of texts, their ends counted in."""
        windows = _windows(texts, self.alphabet, self.order)
        chance = self._chances(windows)
        total = float(-np.log2(chance).sum()) + REST * float((windows[:, -1] == OTHER).sum())
        return total / max(sum(map(len, texts)), 1)

    def likeliest(self, texts: Sequence[str]) -> list[str]:
        """Of every place of each text the character that is likeliest there, given those before it."""
        size, known = FIRST + len(self.alphabet), np.array([*"\0\0", *self.alphabet])
        every = np.arange(FIRST, size, dtype=np.uint64)
        windows = _windows(texts, self.alphabet, self.order)
        found = []
        for part in np.array_split(windows, max(len(windows) // 5000, 1)):
            wide = part.repeat(len(every), axis=0)
            wide[:, -1] = np.tile(every, len(part))
            found.append(self._chances(wide).reshape(len(part), -1).argmax(1) + FIRST)
        letters = known[np.concatenate(found)]
        ends = np.cumsum([len(text) + 1 for text in texts])
        return ["".join(letters[end - len(text) - 1 : end - 1]) for text, end in zip(texts, ends, strict=True)]

    def sample(self, count: int, most: int, rng: np.random.Generator) -> list[str]:
        """Texts written character by character, of `most` at most."""
        written = np.full((count, self.order - 1 + most), END, dtype=np.uint64)
        writing = np.arange(count)
        for place in range(self.order - 1, written.shape[1]):
            drawn = self._drawn(written[writing, place - self.order + 1 : place], rng)
            while (again := drawn == OTHER).any():
                drawn[again] = self._drawn(written[writing[again], place - self.order + 1 : place], rng)
            written[writing, place] = drawn
            writing = writing[drawn != END]
            if not len(writing):
                break
        known = np.array([*"\0\0", *self.alphabet])
        rows = written[:, self.order - 1 :].astype(np.int64)
        return ["".join(known[row[: int((row == END).argmax())] if (row == END).any() else row]) for row in rows]

    def _drawn(self, before: Keys, rng: np.random.Generator) -> Keys:
        """(N,) codes drawn after (N, order - 1) others: from the longest of them that is known and, as often as the
        chance says, from a shorter one."""
        drawn = rng.integers(FIRST + len(self.alphabet), size=len(before)).astype(np.uint64)
        left = np.arange(len(before))
        for length in range(self.order, 0, -1):
            if not len(left):
                break
            context = _keys(before[left, self.order - length :])
            known, totals, types = self.contexts[length - 1]
            total, different = _found(known, totals, context), _found(known, types, context)
            here = rng.random(len(left)) * (total + different) < total
            keys, times = self.seen[length - 1]
            ends = times.cumsum()
            first = np.searchsorted(keys, context[here] << np.uint64(8))
            offset = np.where(first > 0, ends[first - 1], 0)
            chosen = np.searchsorted(ends, offset + rng.integers(total[here].astype(np.int64)), side="right")
            drawn[left[here]] = keys[chosen] & np.uint64(255)
            left = left[~here]
        return drawn

    def _chances(self, windows: Keys) -> NDArray[np.float64]:
        """(N,) of the last of (N, order) characters, given those before it."""
        chance = np.full(len(windows), 1 / (FIRST + len(self.alphabet)))
        for length in range(1, self.order + 1):
            keys = _keys(windows[:, self.order - length :])
            known, times = self.seen[length - 1]
            count = _found(known, times, keys)
            before, totals, types = self.contexts[length - 1]
            context = keys >> np.uint64(8)
            total, different = _found(before, totals, context), _found(before, types, context)
            chance = np.where(total > 0, (count + different * chance) / np.maximum(total + different, 1), chance)
        return chance


def _windows(texts: Sequence[str], alphabet: str, order: int) -> Keys:
    """(N, order) every character and the end of every text, each with what stands before it; END before a text."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    starts = np.cumsum(lengths + order) - lengths - 1  # of each text's characters, behind order - 1 ends
    before = np.cumsum(lengths) - lengths
    places = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    known = np.array([ord(character) for character in alphabet], dtype=np.uint32)
    codes = np.full(int((lengths + order).sum()), END, dtype=np.uint64)
    found = np.searchsorted(known, points)
    codes[places] = np.where(np.append(known, 0)[found] == points, found + FIRST, OTHER) if len(known) else OTHER
    wanted = np.sort(np.concatenate([places, starts + lengths]))
    return np.lib.stride_tricks.sliding_window_view(codes, order)[wanted - order + 1] if len(texts) else codes[:, None]


def _keys(windows: Keys) -> Keys:
    """(N,) of (N, k) codes, the last in the lowest byte."""
    keys = np.zeros(len(windows), dtype=np.uint64)
    for column in windows.T:
        keys = (keys << np.uint64(8)) | column
    return keys


def _found(known: Keys, values: NDArray[np.int64], keys: Keys) -> NDArray[np.float64]:
    """The value of each key, 0 of one that is not known."""
    if not len(known):
        return np.zeros(len(keys))
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.where(known[place] == keys, values[place], 0).astype(np.float64)
