"""A filter that keeps every real value out of what is generated, and from which no single value can be told.

Generated keys, names and e-mails can meet a real one by chance. Keeping the real values to compare with would put them
into the model file; so would a Bloom filter of them, which answers "was this person in the data?" almost surely. Here a
value is hashed into one of B buckets, B = 8 for each different real value, and a bucket is allowed only where

- no real value falls into it, and
- it belongs to a secret random quarter of all buckets.

Only the bitmap of allowed buckets is kept. A real value is banned always; any other one with probability
3/4 + 1/4 (1 - exp(-1/8)) = .779. "Banned" therefore says of one given value that it is 1 / .779 = 1.28 times as likely
to be real as without that knowledge, and at most 4/3 times whatever the number of values. (Several values that are
known to be real all together or not at all multiply that ratio. "Allowed" says for sure that a value is not real:
that much any generator tells that never gives out a real value.)

The quarter is drawn by a cryptographic stream (SHAKE-256) whose key is a digest of all values. It must not come from
the seed of the fit, which stands in the model file: who can draw the quarter again sees which buckets were banned for a
real value. Who knows every value but one can try out that one; so it is with any filter that two fits of the same data
give alike.

Of n candidates about n / 4.5 are allowed. `choose` takes them from windows of consecutive candidates, so that each
number has one that no other number has, whatever is asked for together with it.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Texts = NDArray[np.str_]
Numbers = NDArray[np.int64]

PER_VALUE = 8  # buckets for each different value
LEAST, MOST = 2**12, 2**27  # buckets
LONGEST = 320  # characters that are looked at
CHUNK = 8192  # texts that are hashed at once
GROUP, WINDOW = 128, 1024  # numbers that share as many candidates: 226 are allowed on average, 128 fail never
TOGETHER = 16  # groups that are looked at at once
M1, M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
HALF, SMALL = np.uint64(32), np.uint64(29)


@dataclass(frozen=True, eq=False)
class Deniable:
    """Which texts may come out.

    salt: of the hash
    bitmap: (B / 8,) uint8, a bit for each bucket: whether it is allowed
    """

    salt: int
    bitmap: NDArray[np.uint8]

    @classmethod
    def fit(cls, values: pa.Array) -> Deniable:
        """The filter of the non-null texts; the same texts in the same order give the same."""
        distinct = pc.unique(values.cast(pa.large_string()))
        digest = hashlib.blake2b(digest_size=32)
        for start in range(0, len(distinct), CHUNK):
            digest.update("\0".join([*distinct.slice(start, CHUNK).to_pylist(), ""]).encode())
        key = digest.digest()
        salt = int.from_bytes(hashlib.blake2b(key, person=b"salt").digest()[:8], "little")
        size = int(np.clip(PER_VALUE * len(distinct), LEAST, MOST)) // 8
        stream = hashlib.shake_256(key).digest(2 * size)
        bits = np.unpackbits(np.frombuffer(stream[:size], np.uint8) & np.frombuffer(stream[size:], np.uint8))
        for start in range(0, len(distinct), CHUNK):
            texts = np.array(distinct.slice(start, CHUNK).to_pylist(), dtype=f"U{LONGEST}")
            bits[_hash(texts, salt) % np.uint64(8 * size)] = 0
        return cls(salt, np.packbits(bits))

    def allows(self, texts: Texts) -> NDArray[np.bool_]:
        """(N,) whether each text may come out; False for every real one."""
        bits = self._bits
        places = [
            _hash(texts[start : start + CHUNK], self.salt) % np.uint64(len(bits))
            for start in range(0, len(texts), CHUNK)
        ]
        return bits[np.concatenate(places)] if places else np.zeros(0, dtype=bool)

    @cached_property
    def _bits(self) -> NDArray[np.bool_]:
        return np.unpackbits(self.bitmap).astype(bool)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"salt": self.salt, "bitmap": base64.b85encode(zlib.compress(self.bitmap.tobytes(), 9)).decode("ascii")}

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None) -> Deniable | None:
        """What `state` gave; None stays None."""
        if state is None:
            return None
        bitmap = zlib.decompress(base64.b85decode(state["bitmap"]))
        return cls(int(state["salt"]), np.frombuffer(bitmap, dtype=np.uint8))


def choose(allows: Callable[[Numbers], NDArray[np.bool_]], numbers: Numbers) -> Numbers:
    """A candidate (N,) for each number (N,), from the number alone: different numbers have different candidates.

    allows: which candidates (0, 1, 2, ...) are allowed
    The numbers g GROUP .. (g + 1) GROUP - 1 get the first allowed ones of g WINDOW .. (g + 1) WINDOW - 1, in order.
    """
    groups, inverse = np.unique(numbers // GROUP, return_inverse=True)
    chosen = np.empty(len(numbers), dtype=np.int64)
    order = np.argsort(inverse, kind="stable")
    for first in range(0, len(groups), TOGETHER):
        start, stop = np.searchsorted(inverse[order], [first, first + TOGETHER])
        candidates = (groups[first : first + TOGETHER, None] * WINDOW + np.arange(WINDOW)).ravel()
        fine = allows(candidates).reshape(-1, WINDOW)
        ranked = np.argsort(~fine, axis=1, kind="stable")
        enough = np.maximum(fine.sum(axis=1), 1)  # fewer than GROUP: candidates come twice rather than a banned one
        rows = order[start:stop]
        group = inverse[rows] - first
        place = ranked[group, numbers[rows] % GROUP % enough[group]]
        chosen[rows] = candidates.reshape(-1, WINDOW)[group, place]
    return chosen


def _hash(texts: Texts, salt: int) -> NDArray[np.uint64]:
    """(N,) 64 bits of the first LONGEST characters of each text."""
    width = min(texts.dtype.itemsize // 4, LONGEST)
    codes = np.ascontiguousarray(texts).view(np.uint32).reshape(len(texts), -1)[:, :width]
    value = np.full(len(texts), salt, dtype=np.uint64)
    for code in np.ascontiguousarray(codes.T):
        if not code.any():
            continue
        mixed = (value ^ code) * M1
        value = np.where(code, mixed ^ (mixed >> HALF), value)
    value = (value ^ (value >> SMALL)) * M2
    return np.asarray(value ^ (value >> HALF))
