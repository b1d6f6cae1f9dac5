"""Pictures as few bytes as a model of them allows, without loss: real bytes, through an entropy coder.

A picture is the code that the autoencoder gives it, in steps, and its values given what that is decoded to; both are
written by asymmetric numeral systems (Duda 2013) of the library `constriction` (Bamler 2022). Each picture is a stream
of its own. The same model is needed to read them, on a machine that computes alike: the checksum before each stream
tells.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from synth.codecs.image import ImageCodec, from_levels
from synth.codecs.table import restore
from synth.devices import processor_threads
from synth.errors import ConfigError, FormatError, InputError
from synth.models.base import LEVELS
from synth.models.image_vae import Model
from synth.synthesizer import Synthesizer

KEY = b"synth.compressed"  # of the metadata that says which model is needed
CHECK = 4  # bytes before a stream, the CRC-32 of the picture's values
REACH = 2**15  # steps that a code may lie from 0
TOGETHER = 2**16  # values that are decoded at once; part of the format


@dataclass(frozen=True)
class Compressed:
    """table: as the one that went in, its pictures' bytes being streams; bits_per_dim: of these, per value."""

    table: pa.Table
    bits_per_dim: float


def compress(synthesizer: Synthesizer, table: pa.Table) -> Compressed:
    """Write every picture of `table` as a stream; ConfigError where the model's family is no autoencoder."""
    model, codec = _parts(synthesizer)
    table = restore(table, synthesizer.schema_)
    streams: list[bytes] = []
    for rows in _blocks(table, model):
        batch = synthesizer.batch(rows)
        with processor_threads(synthesizer.threads), torch.no_grad():
            batch = {name: _filled(tensor, model) for name, tensor in batch.items()}
            codes = model.quantised(batch).clamp(-REACH, REACH)
            chances = model.level_probabilities(codes, batch["tokens"])
        for i in range(rows.num_rows):
            values = batch["images"][i].cpu().numpy().reshape(-1)
            streams.append(_written(model, codes[i].cpu().numpy(), values, chances[i].cpu().numpy()))
    values = table.num_rows * _values(model)
    place, field = _image(table, codec)
    paths = pc.struct_field(pa.chunked_array(table.column(place)).combine_chunks(), "path")
    kept = pa.StructArray.from_arrays([pa.array(streams, pa.binary()), paths], fields=list(field.type))
    metadata = {**(table.schema.metadata or {}), KEY: json.dumps({"model": _digest(model)}).encode()}
    table = table.set_column(place, field, kept).replace_schema_metadata(metadata)
    return Compressed(table, 8 * sum(map(len, streams)) / max(values, 1))


def decompress(synthesizer: Synthesizer, table: pa.Table) -> pa.Table:
    """What `compress` was given, but for the form in which pictures are encoded; InputError where it is not of
    `compress`, or of another model, FormatError where a stream is damaged or was written on another kind of machine."""
    model, codec = _parts(synthesizer)
    said = (table.schema.metadata or {}).get(KEY)
    if said is None:
        raise InputError("the table holds no pictures that `synth compress` wrote")
    if json.loads(said)["model"] != _digest(model):
        raise InputError("the pictures were compressed by another model; read them by that one")
    place, field = _image(table, codec)
    parts = []
    for rows in _blocks(table, model):
        streams = pc.struct_field(rows.column(place).combine_chunks(), "bytes").to_pylist()
        labels = codec.told(rows)
        coders = [_opened(stream, start) for start, stream in enumerate(streams)]
        codes = np.stack([_read_code(model, coder) for coder, _ in coders])
        with processor_threads(synthesizer.threads), torch.no_grad():
            tensors = (torch.from_numpy(array).to(synthesizer.torch_device) for array in (codes, labels))
            filled = [_filled(tensor, model) for tensor in tensors]
            chances = model.level_probabilities(*filled)[: len(codes)].cpu().numpy()
        values = np.stack([_read_values(coder, chance) for (coder, _), chance in zip(coders, chances, strict=True)])
        for (_, check), read, path in zip(coders, values, rows.column(place).to_pylist(), strict=True):
            if _check(read) != check:
                raise FormatError(
                    f"{path['path']}: its stream gives another picture than went in: it is damaged, or this machine "
                    "computes otherwise than the one that wrote it"
                )
        parts.append(values.reshape(-1, *model.shape))
    images = np.concatenate(parts) if parts else np.zeros((0, *model.shape), np.uint8)
    pictures = from_levels(images, range(len(images)))
    paths = pc.struct_field(pa.chunked_array(table.column(place)).combine_chunks(), "path")
    restored = pa.StructArray.from_arrays([pictures.field("bytes"), paths], fields=list(field.type))
    metadata = {key: value for key, value in table.schema.metadata.items() if key != KEY}
    return table.set_column(place, field, restored).replace_schema_metadata(metadata or None)


def _parts(synthesizer: Synthesizer) -> tuple[Model, ImageCodec]:
    model, codec = synthesizer.model_, synthesizer.codec_
    if not isinstance(model, Model) or not isinstance(codec, ImageCodec):
        raise ConfigError(f"compress: the family {synthesizer.model!r} cannot; image_vae can")
    return model, codec


def _image(table: pa.Table, codec: ImageCodec) -> tuple[int, pa.Field]:
    if codec.image.name not in table.column_names:
        raise InputError(f"column {codec.image.name!r} is missing; there are: {', '.join(table.column_names)}")
    place = table.column_names.index(codec.image.name)
    return place, table.schema.field(place)


def _blocks(table: pa.Table, model: Model) -> Iterator[pa.Table]:
    size = _together(model)
    return (table.slice(start, size) for start in range(0, table.num_rows, size))


def _together(model: Model) -> int:
    return max(TOGETHER // _values(model), 1)


def _values(model: Model) -> int:
    return int(np.prod(model.shape))


def _filled(tensor: torch.Tensor, model: Model) -> torch.Tensor:
    """A batch of always the same size, so that it is computed in always the same way."""
    rest = _together(model) - len(tensor)
    return torch.cat([tensor, tensor.new_zeros((rest, *tensor.shape[1:]))])


def _digest(model: Model) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _coding() -> Any:
    try:
        return importlib.import_module("constriction").stream
    except ModuleNotFoundError:
        raise ConfigError("compression needs constriction, which is missing: pip install 'synth[images]'") from None


def _of_code(model: Model) -> tuple[Any, NDArray[np.float64], NDArray[np.float64]]:
    """The family of distributions of codes in steps, their means and deviations."""
    grain = model.grain.double().cpu().numpy()
    centre, spread = (part.double().cpu().numpy() for part in (model.centre, model.spread))
    return _coding().model.QuantizedGaussian(-REACH, REACH), centre / grain, spread / grain


def _of_values() -> Any:
    return _coding().model.Categorical(perfect=False)


def _written(model: Model, code: NDArray[np.int64], values: NDArray[np.uint8], chances: NDArray[np.float64]) -> bytes:
    coder = _coding().stack.AnsCoder()
    coder.encode_reverse(values.astype(np.int32), _of_values(), chances.reshape(-1, LEVELS))
    coder.encode_reverse(code.astype(np.int32), *_of_code(model))
    raw: bytes = coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")
    return _check(values) + raw


def _opened(stream: bytes, row: int) -> tuple[Any, bytes]:
    """A coder of the stream, and the checksum before it."""
    check, raw = stream[:CHECK], stream[CHECK:]
    if len(check) < CHECK:
        raise FormatError(f"row {row}: a stream of {len(stream)} bytes")
    raw += b"\0" * (-len(raw) % 4)
    return _coding().stack.AnsCoder(np.frombuffer(raw, dtype="<u4").astype(np.uint32)), check


def _read_code(model: Model, coder: Any) -> NDArray[np.int64]:
    return np.asarray(coder.decode(*_of_code(model)), dtype=np.int64)


def _read_values(coder: Any, chances: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(coder.decode(_of_values(), chances.reshape(-1, LEVELS)), dtype=np.uint8)


def _check(values: NDArray[np.uint8]) -> bytes:
    return zlib.crc32(values.tobytes()).to_bytes(CHECK, "little")
