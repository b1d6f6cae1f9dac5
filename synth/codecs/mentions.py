"""Personal data inside of texts: addresses, numbers and accounts that have a form of their own become a mark while the
text is learnt, and made-up ones where it is written. Names have no such form and are not found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.codecs.columns import personal
from synth.schema import Column, Personal

KINDS = ("email", "url", "ip", "iban", "credit_card", "phone")  # the first that fits is what a passage is
FORMS = {
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "url": r"(?:https?://|www\.)[^\s<>\"')\]]*[\w/]",
    "ip": r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}(?![\w:])",
    "iban": r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)",
    "credit_card": r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])",
    "phone": r"(?<![\w+])(?:\+\d[\d ().\-/]{6,18}\d|\(\d{2,5}\) ?\d[\d .\-/]{4,12}\d|\d{3}[-. ]\d{3}[-. ]\d{4})(?!\w)",
}
FOUND = re.compile("|".join(f"(?P<{kind}>{FORMS[kind]})" for kind in KINDS))
EACH = 64  # numbers of made-up values that one text may have

Codec = personal.Codec


@dataclass(frozen=True)
class Mentions:
    """What stands for each sort of personal data that the training texts mention."""

    makers: Mapping[str, Codec]

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int) -> Mentions:
        """Learn how each sort is written; nothing that was found is kept."""
        found: dict[str, list[str]] = {}
        for text in texts:
            for kind, passage in _mentioned(text):
                found.setdefault(kind, []).append(passage)
        makers = {}
        for kind in KINDS:
            if kind in found:
                values = pa.array(found[kind], pa.string())
                rng = np.random.default_rng([seed, KINDS.index(kind)])
                makers[kind] = Codec.fit(values, _column(kind), rng)
        return cls(makers)

    def parts(self, text: str) -> Iterator[str | int]:
        """What stands between the passages, and for each of these the number of its sort."""
        end = 0
        for match in FOUND.finditer(text):
            kind = str(match.lastgroup)
            if kind in self.makers and _holds(kind, match[0]):
                yield text[end : match.start()]
                yield KINDS.index(kind)
                end = match.end()
        yield text[end:]

    def made(self, kinds: Sequence[NDArray[np.int64]], rows: range) -> list[list[str]]:
        """A made-up passage for each number of a sort (T,) in the texts of these rows."""
        texts: list[list[str]] = [[""] * len(each) for each in kinds]
        for place, kind in enumerate(KINDS):
            where = [(i, j) for i, each in enumerate(kinds) for j, found in enumerate(each) if found == place]
            if where and kind in self.makers:
                numbers = np.array([rows[i] * EACH + j % EACH for i, j in where], dtype=np.int64)
                made = self.makers[kind].decode(None, numbers, np.random.default_rng(0)).to_pylist()
                for (i, j), value in zip(where, made, strict=True):
                    texts[i][j] = value
        return texts

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {kind: maker.state() for kind, maker in self.makers.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Mentions:
        """What `state` gave."""
        return cls({kind: Codec.from_state(state[kind], _column(kind), pa.string()) for kind in KINDS if kind in state})


def _column(kind: str) -> Column:
    return Column(name=kind, kind="personal", dtype="string", personal=Personal(what=kind, locale=personal.LOCALE))


def _mentioned(text: str) -> Iterator[tuple[str, str]]:
    for match in FOUND.finditer(text):
        kind = str(match.lastgroup)
        if _holds(kind, match[0]):
            yield kind, match[0]


def _holds(kind: str, passage: str) -> bool:
    """Whether the check digits of a card (ISO/IEC 7812) or an account (ISO 13616) are right, so that not every long
    number is one."""
    if kind == "credit_card":
        digits = [int(sign) for sign in reversed(passage) if sign.isdigit()]
        return sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0
    if kind == "iban":
        plain = passage.replace(" ", "")
        return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1
    if kind == "ip":
        return ":" in passage or all(int(part) < 256 for part in passage.split("."))
    return True
