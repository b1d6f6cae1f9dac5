"""What sampled rows have to keep, checked against a codec, and how it falls on blocks of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs.corpus import TextCodec
from synth.codecs.image import ImageCodec
from synth.codecs.modality import AnyCodec
from synth.codecs.rules.codec import RuledCodec
from synth.codecs.series import SeriesCodec
from synth.codecs.table import Spans
from synth.conditions import Asked, Between, OneOf, asked
from synth.errors import ConfigError
from synth.layout import Condition

# Rows per block, without and with a condition, and of pictures, texts and series: part of what a seed means.
BLOCK, KEPT_BLOCK, LARGE_BLOCK = 8192, 1024, 256
FLOATS = ("halffloat", "float", "double")


@dataclass(frozen=True)
class Request:
    """Conditions on the columns of a layout.

    spans: modelled column -> (K, 2), see `Condition`
    balanced: modelled column and its tokens, which rows take in turn
    columns: modelled columns
    facts: the conditions in words, for the samples' metadata
    ranges: floating column -> its range, to which what rounding put beside an end is set
    large: whether rows hold pictures, texts or series
    captions: (M, T) words of captions, which rows take in turn
    beginnings: (M, T) first tokens of texts, likewise
    """

    spans: Mapping[int, Spans]
    balanced: tuple[int, NDArray[np.int64]] | None
    columns: int
    facts: Mapping[str, str]
    ranges: Mapping[str, Between]
    large: bool = False
    captions: NDArray[np.int64] | None = None
    beginnings: NDArray[np.int64] | None = None

    @classmethod
    def make(cls, codec: AnyCodec, where: Mapping[str, Any], balance: str | None) -> Request:
        """Check column names and values; ConfigError says what is there instead."""
        wanted = {name: asked(name, value) for name, value in where.items()}
        facts = {"where": "; ".join(f"{name}: {value}" for name, value in wanted.items())} if wanted else {}
        captions, beginnings = _captions(codec, wanted), _beginnings(codec, wanted)
        spans = _spans(codec, wanted)
        columns = len(codec.layout.columns)
        numbers = {
            c.name for c in codec.schema.columns if c.kind == "number" and c.dtype in ("float", "double", "halffloat")
        }
        large = isinstance(codec, ImageCodec | TextCodec | SeriesCodec)
        found = {name: as_range(value) for name, value in wanted.items() if name in numbers}
        ranges = {name: value for name, value in found.items() if value is not None}
        if balance is None:
            return cls(spans, None, columns, facts, ranges, large, captions, beginnings)
        place = codec.place(balance)
        if isinstance(codec, RuledCodec) and balance not in codec.plain:
            raise ConfigError(f"balance: {balance!r} is learnt together with other columns of a rule; balance another")
        if codec.schema[balance].kind not in ("category", "boolean"):
            raise ConfigError(f"balance: {balance!r} is a {codec.schema[balance].kind}; it takes a category")
        if place in spans:
            raise ConfigError(f"balance: {balance!r} has a condition already; drop one of the two")
        tokens = np.flatnonzero(codec.valued(place) & (codec.layout.columns[place].frequency > 0))
        facts = {**facts, "balance": balance}
        return cls(spans, (place, tokens), columns, facts, ranges, large, captions, beginnings)

    @property
    def block(self) -> int:
        """Rows per block."""
        if self.large:
            return LARGE_BLOCK
        return KEPT_BLOCK if self.spans or self.balanced else BLOCK

    def clip(self, table: pa.Table) -> pa.Table:
        """The table with floats inside the ranges asked for, to the last bit."""
        for name, asked_for in self.ranges.items():
            place, column = table.column_names.index(name), table.column(name)
            if asked_for.low is not None:
                column = pc.max_element_wise(column, float(asked_for.low), skip_nulls=False)
            if asked_for.high is not None:
                column = pc.min_element_wise(column, float(asked_for.high), skip_nulls=False)
            table = table.set_column(place, table.schema.field(place), column.cast(table.schema.field(place).type))
        return table

    def condition(self, rows: range) -> Condition | None:
        """What the rows of these global numbers keep; None where there is nothing."""
        numbers = np.arange(rows.start, rows.stop)
        beginnings = None if self.beginnings is None else self.beginnings[numbers % len(self.beginnings)]
        if self.balanced is None and self.captions is None:
            free = not self.spans and beginnings is None
            return None if free else Condition(spans=self.spans, beginnings=beginnings)
        tokens = np.full((len(rows), self.columns), -1, dtype=np.int64)
        if self.balanced is not None:
            place, values = self.balanced
            tokens[:, place] = values[numbers % len(values)]
        if self.captions is not None:
            tokens[:, -self.captions.shape[1] :] = self.captions[numbers % len(self.captions)]
        return Condition(spans=self.spans, tokens=tokens, beginnings=beginnings)


def _spans(codec: AnyCodec, wanted: Mapping[str, Asked]) -> dict[int, Spans]:
    """Modelled column -> its spans, of several columns in one combination those that all of them allow."""
    found: dict[int, Spans] = {}
    for name, value in wanted.items():
        place, spans = codec.place(name), codec.spans(name, value)
        before = found.get(place, spans)
        found[place] = np.column_stack([np.maximum(spans[:, 0], before[:, 0]), np.minimum(spans[:, 1], before[:, 1])])
        if not (found[place][:, 0] <= found[place][:, 1]).any():
            raise ConfigError(f"where: {name!r}: {value} does not stand together with the other conditions")
    return found


def _captions(codec: AnyCodec, wanted: dict[str, Asked]) -> NDArray[np.int64] | None:
    """(M, T) words of the captions that are asked for, taken out of `wanted`; None where there are none."""
    if not isinstance(codec, ImageCodec) or codec.caption is None or codec.caption.column.name not in wanted:
        return None
    return codec.caption.asked(wanted.pop(codec.caption.column.name))


def _beginnings(codec: AnyCodec, wanted: dict[str, Asked]) -> NDArray[np.int64] | None:
    """(M, T) first tokens of the texts that are asked for, likewise."""
    if not isinstance(codec, TextCodec) or codec.text.name not in wanted:
        return None
    return codec.beginnings(wanted.pop(codec.text.name))


def as_range(value: Asked) -> Between | None:
    """A range, or one single value as one; None for several values."""
    if isinstance(value, OneOf):
        return Between(value.values[0], value.values[0]) if len(value.values) == len(value.given) == 1 else None
    return value
