"""What sampled rows have to keep, checked against a codec, and how it falls on blocks of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.codecs.table import Spans, TableCodec
from synth.conditions import asked
from synth.errors import ConfigError
from synth.layout import Condition

# Rows per block, without and with a condition: part of what a seed means, so never a setting.
BLOCK, KEPT_BLOCK = 8192, 1024


@dataclass(frozen=True)
class Request:
    """Conditions on the columns of a layout.

    spans: modelled column -> (K, 2), see `Condition`
    balanced: modelled column and its tokens, which rows take in turn
    columns: modelled columns
    facts: the conditions in words, for the samples' metadata
    """

    spans: Mapping[int, Spans]
    balanced: tuple[int, NDArray[np.int64]] | None
    columns: int
    facts: Mapping[str, str]

    @classmethod
    def make(cls, codec: TableCodec, where: Mapping[str, Any], balance: str | None) -> Request:
        """Check column names and values; ConfigError says what is there instead."""
        wanted = {name: asked(name, value) for name, value in where.items()}
        spans = {codec.place(name): codec.spans(name, value) for name, value in wanted.items()}
        columns = len(codec.layout.columns)
        facts = {"where": "; ".join(f"{name}: {value}" for name, value in wanted.items())} if wanted else {}
        if balance is None:
            return cls(spans, None, columns, facts)
        place = codec.place(balance)
        if codec.schema[balance].kind not in ("category", "boolean"):
            raise ConfigError(f"balance: {balance!r} is a {codec.schema[balance].kind}; it takes a category")
        if place in spans:
            raise ConfigError(f"balance: {balance!r} has a condition already; drop one of the two")
        tokens = np.flatnonzero(~codec.nulls(place) & (codec.layout.columns[place].frequency > 0))
        return cls(spans, (place, tokens), columns, {**facts, "balance": balance})

    @property
    def block(self) -> int:
        """Rows per block."""
        return KEPT_BLOCK if self.spans or self.balanced else BLOCK

    def condition(self, rows: range) -> Condition | None:
        """What the rows of these global numbers keep; None where there is nothing."""
        if not self.spans and self.balanced is None:
            return None
        tokens = None
        if self.balanced is not None:
            place, values = self.balanced
            tokens = np.full((len(rows), self.columns), -1, dtype=np.int64)
            tokens[:, place] = values[np.arange(rows.start, rows.stop) % len(values)]
        return Condition(spans=self.spans, tokens=tokens)
