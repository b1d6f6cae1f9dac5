"""A table's tokens for training: block after block into narrow arrays, which lie in a file where they are large."""

from __future__ import annotations

import io
import math
import tempfile
from contextlib import ExitStack
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from synth.codecs.corpus import TextCodec
from synth.codecs.modality import AnyCodec
from synth.errors import InputError
from synth.layout import ImageLayout, SeriesLayout, TextLayout
from synth.stored import AnyTable, blocks

IN_MEMORY = 2**26  # bytes of an array that need no file


def encode(codec: AnyCodec, table: AnyTable, *, places: bool) -> dict[str, NDArray[Any]]:
    """{"tokens": (N, D) of the narrowest integers}, where wanted {"places": (N, D) float32}, of pictures {"images":
    (N, C, H, W) uint8}, and of texts their pages, see `TextCodec.pages`.

    A large array is mapped from a temporary file without a name: the system takes its pages back where memory is
    short, and the file is gone with the array. InputError where the disk has no room for it.
    """
    layout = codec.layout
    kinds: dict[str, Any] = {"tokens": narrowest(max(layout.cardinalities, default=1))}
    kinds |= {"places": np.float32} if places else {}
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(kinds, (len(layout.columns),))  # of a row
    if isinstance(layout, ImageLayout):
        kinds["images"], shapes["images"] = np.uint8, (layout.channels, layout.height, layout.width)
    if isinstance(layout, TextLayout):
        kinds["text"], shapes["text"] = narrowest(layout.vocabulary), (layout.page + 1,)
        shapes["tokens"] = (layout.page, len(layout.columns))
    if isinstance(layout, SeriesLayout):
        each = (layout.longest, len(layout.steps.columns))
        kinds |= {"steps": narrowest(max(layout.steps.cardinalities, default=1)), "length": np.int64}
        shapes |= {"steps": each, "length": ()}
        if places:
            kinds["step_places"], shapes["step_places"] = np.float32, each
        if layout.states:
            kinds["states"], shapes["states"] = np.float32, (layout.longest, layout.states)
    rows = 0
    with ExitStack() as stack:
        try:
            sinks = {
                name: stack.enter_context(_sink((table.num_rows, *shapes[name]), kind)) for name, kind in kinds.items()
            }
            for block in blocks(table):
                arrays = codec.pages(block) if isinstance(codec, TextCodec) else codec.encode(block, places=places)
                for name, kind in kinds.items():
                    sinks[name].write(np.ascontiguousarray(arrays[name], dtype=kind).data)
                rows += len(arrays["tokens"])
            return {name: _array(sinks[name], (rows, *shapes[name]), kind) for name, kind in kinds.items()}
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()}: no room for the encoded rows ({error.strerror}); set TMPDIR to another disk"
            ) from None


def narrowest(cardinality: int) -> type[np.integer[Any]]:
    """The narrowest integer type of the tokens 0 .. K-1."""
    kinds: tuple[type[np.integer[Any]], ...] = (np.uint8, np.int16, np.int32)
    return next(kind for kind in kinds if cardinality - 1 <= np.iinfo(kind).max)


def _sink(shape: tuple[int, ...], kind: DTypeLike) -> IO[bytes]:
    size = math.prod(shape) * np.dtype(kind).itemsize
    return io.BytesIO() if size <= IN_MEMORY else tempfile.TemporaryFile()


def _array(sink: IO[bytes], shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    if isinstance(sink, io.BytesIO):
        return np.frombuffer(bytearray(sink.getbuffer()), dtype=kind).reshape(shape)
    sink.flush()
    return np.memmap(sink, dtype=kind, mode="r+", shape=shape)
