"""Files in and out, atomically: a name either holds the whole output or does not exist."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth.errors import InputError

DICTIONARIES = b"synth.dictionaries"
EXPOSED = "exposed"  # key of samples whose generator holds rows of the source: why they may come out
DICTIONARY = 100_000  # longer dictionaries are left to Parquet's own ways


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary file or directory name beside `path`; rename it there when the block ends well.

    The block may create a file or a directory under the name it gets. An error or a kill leaves `path` as it was.
    """
    target = Path(path)
    check_writable(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield temporary
        if target.is_dir() and temporary.is_dir():
            retired = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
            target.rename(retired)
            temporary.rename(target)
            shutil.rmtree(retired)
        else:
            temporary.replace(target)
    finally:
        remove(temporary)


def check_replaceable(path: str | Path, *patterns: str) -> None:
    """InputError where no folder can be written at `path`, or one there has an entry that matches none of the patterns:
    it is someone else's."""
    place = Path(path)
    if place.is_file():
        raise InputError(f"{path}: a file is there, and a folder is to be written; choose another name")
    entries = place.iterdir() if place.is_dir() else ()
    foreign = sorted(entry.name for entry in entries if not any(entry.match(pattern) for pattern in patterns))
    if foreign:
        raise InputError(f"{path}: holds {foreign[0]!r}, which is not replaced; choose a new or empty folder")
    check_writable(path)


def check_file(path: str | Path) -> None:
    """InputError where no file can be written at `path`."""
    check_writable(path)
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder is there, and a file is to be written; choose another name")


def check_writable(path: str | Path) -> None:
    """InputError where nothing can be written at `path`: no name, or below a file or a folder that is closed."""
    if Path(path).name in ("", ".."):
        raise InputError(f"{path}: not a name that an output can have")
    above = next(folder for folder in Path(path).absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"{path}: cannot be written, {above} is {'closed' if above.is_dir() else 'a file'}")


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically, with `\\n` line ends on every system."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def read_text(path: str | Path) -> str:
    """Read UTF-8 text; InputError names a file that is missing or is not text."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, IsADirectoryError, PermissionError) as error:
        raise InputError(f"{path}: cannot be read as text ({type(error).__name__})") from None


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically: two-space indent, keys in the order given, NaN refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; InputError names a file that is missing or broken, with the line."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}: not JSON ({error.msg})") from None


def write_parquet(path: str | Path, table: pa.Table, metadata: dict[str, str] | None = None) -> None:
    """Write one Parquet file atomically; `metadata` joins the schema's key-value metadata."""
    merged = {
        **(table.schema.metadata or {}),
        **dictionaries(table),
        **{k.encode(): v.encode() for k, v in (metadata or {}).items()},
    }
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(merged or None), temporary, compression="zstd")


def parquet_files(path: str | Path) -> list[Path]:
    """The Parquet files under `path` (one file, or a directory of parts) in name order."""
    place = Path(path)
    found = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
    if not found or not found[0].is_file():
        raise InputError(f"{path}: no Parquet file there")
    return found


def read_parquet(path: str | Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file, or the parts of a directory in order, as one table in the types it was written from."""
    files = parquet_files(path)
    try:
        parts = [restored(pq.read_table(file, columns=columns), written(pq.read_metadata(file))) for file in files]
        return pa.concat_tables(parts)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None


def dictionaries(table: pa.Table) -> dict[bytes, bytes]:
    """Key-value metadata that holds each dictionary whole and in order; `restored` reads it.

    Parquet itself forgets entries without a row, and the dictionaries of anything but text.
    """
    places = [place for place, dtype in enumerate(table.schema.types) if pa.types.is_dictionary(dtype)]
    found: dict[str, pa.Array] = {}
    for place in places:
        column = table.column(place).unify_dictionaries()
        if column.num_chunks and len(column.chunk(0).dictionary) <= DICTIONARY:
            entries = column.chunk(0).dictionary
            found[table.column_names[place]] = pa.ListArray.from_arrays(
                pa.array([0, len(entries)], pa.int32()), entries
            )
    if not found:
        return {}
    sink = pa.BufferOutputStream()
    batch = pa.record_batch(list(found.values()), names=list(found))
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return {DICTIONARIES: base64.b64encode(sink.getvalue().to_pybytes())}


def restored(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table's columns in their types of `schema`; those that it does not name stay as they are.

    Parquet keeps neither whole seconds (it has milliseconds), nor dictionaries of anything but text, nor the
    names of the fields inside lists.
    """
    metadata = dict(table.schema.metadata or {})
    packed = metadata.pop(DICTIONARIES, None)
    known = pa.ipc.open_stream(base64.b64decode(packed)).read_all() if packed else pa.table({})
    for place, field in enumerate(table.schema):
        wanted = schema.field(field.name).type if schema.get_field_index(field.name) >= 0 else field.type
        if pa.types.is_dictionary(wanted) or not wanted.equals(field.type, check_metadata=True):
            entries = known.column(field.name).chunk(0).values if field.name in known.column_names else None
            column = _cast(table.column(place), wanted, entries)
            table = table.set_column(place, field.with_type(wanted), column)
    return table.replace_schema_metadata(metadata or None)


def written(footer: pq.FileMetaData) -> pa.Schema:
    """The Arrow schema that a Parquet file was written from; an empty one where the writer did not say."""
    packed = (footer.metadata or {}).get(b"ARROW:schema")
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(packed))) if packed else pa.schema([])


def _cast(column: pa.ChunkedArray, dtype: pa.DataType, entries: pa.Array | None) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(dtype):
        return column.cast(dtype)
    values = column.cast(dtype.value_type)
    known = pc.unique(pc.drop_null(values))
    if not pa.types.is_dictionary(column.type):  # the order of appearance says nothing
        known = known.take(pc.sort_indices(known))
    if entries is not None:  # rows added by another writer may have values of their own
        known = pc.unique(pa.concat_arrays([entries.drop_null(), known.cast(entries.type)]))
    codes = pc.index_in(values, known, skip_nulls=True).cast(dtype.index_type)
    chunks = [pa.DictionaryArray.from_arrays(chunk, known, ordered=dtype.ordered) for chunk in codes.chunks]
    return pa.chunked_array(chunks, type=dtype)


def remove(path: str | Path) -> None:
    """Remove a file or a directory tree, where it is there."""
    place = Path(path)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: str | Path) -> str:
    """Hex digest of a file's bytes, or of all files of a folder with their names."""
    place = Path(path)
    if not place.is_dir():
        return sha256(place)
    files = sorted(file for file in place.rglob("*") if file.is_file())
    lines = "".join(f"{sha256(file)}  {file.relative_to(place).as_posix()}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
