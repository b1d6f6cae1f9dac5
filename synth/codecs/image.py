"""Pictures in a table: a column of encoded images as arrays of levels, the other columns as their labels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs.captions import CaptionCodec
from synth.codecs.columns import flat
from synth.codecs.table import Arrays, Labelled, Spans, TableCodec
from synth.errors import ConfigError, InputError
from synth.imaging import CHANNELS, IMAGE, MODES, opened, pillow
from synth.layout import ImageLayout
from synth.schema import Column, Schema
from synth.stored import AnyTable


def described(name: str, chunks: pa.ChunkedArray) -> dict[str, Any]:
    """Mode, width and height that all pictures of a column have; InputError names one that has others, or is broken."""
    known: tuple[int, int] | None = None
    first, mode = "", "L"
    for number, (raw, path) in enumerate(_entries(chunks)):
        where = f"column {name!r}: {path or f'row {number}'}"
        picture = opened(raw, where)
        if known is None:
            known, first = picture.size, path or f"row {number}"
        elif picture.size != known:
            found, there = (f"{width} x {height} pixels" for width, height in (picture.size, known))
            raise InputError(f"{where}: {found}, where {first} has {there}; bring all to one size")
        mode = "RGB" if MODES[picture.mode] == "RGB" else mode
    assert known is not None  # noqa: S101 - a table has a row
    return {"mode": mode, "width": known[0], "height": known[1]}


def _entries(chunks: pa.ChunkedArray) -> Any:
    """Bytes and path of each row."""
    array = flat(chunks)
    raw, path = pc.struct_field(array, "bytes"), pc.struct_field(array, "path")
    return ((a.as_py(), b.as_py()) for a, b in zip(raw, path, strict=True))


def to_levels(chunks: pa.ChunkedArray, column: Column) -> NDArray[np.uint8]:
    """(N, C, H, W) of a column of pictures."""
    channels, height, width = CHANNELS[str(column.mode)], int(column.height or 0), int(column.width or 0)
    found = np.empty((len(chunks), channels, height, width), dtype=np.uint8)
    for i, (raw, path) in enumerate(_entries(chunks)):
        where = f"column {column.name!r}: {path or f'row {i}'}"
        picture = opened(raw, where)
        if picture.size != (width, height):
            raise InputError(f"{where}: {picture.size[0]} x {picture.size[1]} pixels; expected {width} x {height}")
        pixels = np.asarray(picture.convert(column.mode))
        found[i] = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return found


def from_levels(images: NDArray[np.uint8], rows: range) -> pa.Array:
    """Pictures (N, C, H, W) as PNG, their paths made of the rows' numbers."""
    Image, encoded = pillow(), []
    for image in images:
        sink = io.BytesIO()
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(sink, "PNG")
        encoded.append(sink.getvalue())
    paths = pa.array([f"{number:08d}.png" for number in rows], pa.string())
    return pa.StructArray.from_arrays([pa.array(encoded, pa.binary()), paths], fields=list(IMAGE))


@dataclass(frozen=True)
class ImageCodec(Labelled):
    """One column of pictures, and a table codec of the columns beside it."""

    schema: Schema
    image: Column
    labels: TableCodec
    caption: CaptionCodec | None

    @classmethod
    def fit(cls, table: AnyTable, schema: Schema, seed: int) -> ImageCodec:
        """Fit the labels' and the caption's codec on the training rows; pictures need none."""
        text = _caption(schema)
        caption = None if text is None else CaptionCodec.fit(table.column(text.name), text)
        return cls(schema, _image(schema), TableCodec.fit(table, label_schema(schema), seed), caption)

    @property
    def layout(self) -> ImageLayout:
        """What a model is told."""
        told, image = self.labels.layout, self.image
        words = [] if self.caption is None else self.caption.columns
        return ImageLayout(
            (*told.columns, *words),
            told.target,
            caption=len(words),
            channels=CHANNELS[str(image.mode)],
            height=int(image.height or 0),
            width=int(image.width or 0),
        )

    def encode(self, table: pa.Table, *, places: bool = False) -> dict[str, NDArray[Any]]:
        """{"tokens": (N, D) int64, "images": (N, C, H, W) uint8}; labels have no places."""
        return {"tokens": self.told(table), "images": to_levels(table.column(self.image.name), self.image)}

    def told(self, table: pa.Table) -> NDArray[np.int64]:
        """(N, D) tokens of the columns beside the pictures, the words of the caption last."""
        parts = [np.zeros((table.num_rows, 0), dtype=np.int64)]
        if self.labels.layout.columns:
            parts.append(self.labels.encode(table, places=False)["tokens"])
        if self.caption is not None:
            parts.append(self.caption.encode(table.column(self.caption.column.name)))
        return np.hstack(parts)

    def log_density(self, table: pa.Table, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) zeros: likelihoods are those of pictures given their labels."""
        return np.zeros(table.num_rows)

    def decode(
        self, arrays: Arrays, *, rows: range, rng: np.random.Generator, spans: Mapping[int, Spans] | None = None
    ) -> pa.Table:
        """A table of the source's Arrow schema from the arrays of `encode` and the rows' global numbers."""
        count = len(self.labels.layout.columns)
        spans = {d: span for d, span in (spans or {}).items() if d < count}
        labels = self.labels.decode({"tokens": arrays["tokens"][:, :count]}, rows=rows, rng=rng, spans=spans)
        pictures = from_levels(arrays["images"], rows).cast(self.schema.arrow_schema.field(self.image.name).type)
        columns = {**dict(zip(labels.column_names, labels.columns, strict=True)), self.image.name: pictures}
        if self.caption is not None:
            columns[self.caption.column.name] = self.caption.decode(arrays["tokens"][:, count:])
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema.arrow_schema)

    def place(self, name: str) -> int:
        """Which of the labels is the one called so; ConfigError where it is none of them."""
        if name == self.image.name:
            raise ConfigError(f"column {name!r} holds the pictures; conditions can be put on their labels")
        if self.caption is not None and name == self.caption.column.name:
            raise ConfigError(f"column {name!r} holds captions, which are no labels")
        return self.labels.place(name)

    def empty(self) -> pa.Table:
        """No row, in the source's Arrow schema."""
        layout = self.layout
        arrays: dict[str, NDArray[Any]] = {
            "tokens": np.zeros((0, len(layout.columns)), dtype=np.int64),
            "images": np.zeros((0, layout.channels, layout.height, layout.width), dtype=np.uint8),
        }
        return self.decode(arrays, rows=range(0), rng=np.random.default_rng(0))

    def state(self) -> dict[str, Any]:
        """As JSON, by column name."""
        caption = {} if self.caption is None else {self.caption.column.name: self.caption.state()}
        return {**self.labels.state(), **caption}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], schema: Schema) -> ImageCodec:
        """What `state` gave."""
        text, labels = _caption(schema), TableCodec.from_state(state, label_schema(schema))
        if text is None:
            return cls(schema, _image(schema), labels, None)
        dtype = schema.arrow_schema.field(text.name).type
        return cls(schema, _image(schema), labels, CaptionCodec.from_state(state[text.name], text, dtype))


def _image(schema: Schema) -> Column:
    return next(column for column in schema.columns if column.kind == "image")


def _caption(schema: Schema) -> Column | None:
    return next((column for column in schema.columns if column.kind == "text"), None)


def label_schema(schema: Schema) -> Schema:
    """The schema of the columns beside the pictures and their captions."""
    return schema.only([column.name for column in schema.columns if column.kind not in ("image", "text")])
