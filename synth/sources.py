"""Tables from where users keep them: CSV, Parquet, anything fsspec opens, SQL databases."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from synth.errors import InputError
from synth.stored import AnyTable, Stored
from synth.texts import SUFFIXES, Cut, cut

NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "<NA>"]
DELIMITERS = ",;\t|"
JSON_LINES = (".jsonl", ".ndjson")
INTEGER = r"^[+-]?(0|[1-9][0-9]*)$"
FLOAT = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(inf|Inf|Infinity|infinity)$"
BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
SQL = re.compile(r"(sqlite|postgres|postgresql|mysql|mariadb|mssql|oracle|duckdb)(\+\w+)?://")


def shown(location: str) -> str:
    """A location without what may be secret in it: the user of a URL, its query and its fragment."""
    if "://" not in location:
        return location
    return re.sub(r"//[^/@]*@", "//", re.split(r"[?#]", location)[0])


def is_sql(location: str) -> bool:
    """Whether a location is an SQLAlchemy URL of a database."""
    return SQL.match(location) is not None


def read_table(
    location: str | Path,
    *,
    table: str | None = None,
    columns: tuple[str, ...] | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    comment: str | None = None,
    strip: str | None = None,
    text: Cut | None = None,
) -> pa.Table:
    """Read a CSV, JSON lines, a text or Parquet file, a directory of Parquet parts or of pictures, an fsspec URL or an
    SQL table.

    Text in a CSV becomes int64, float64 or bool where every value reads as one; codes with leading zeros
    stay text, an unquoted empty field is null and a quoted one the empty string. A text file becomes a column of its
    paragraphs or lines, see `synth.texts.cut`. The other arguments are those of `synth.config.Source`. InputError names
    the file, and the line where one is broken.
    """
    name = str(location)
    if is_sql(name):
        return _read_sql(name, table)
    if Path(name).is_dir():
        return _read_folder(Path(name))
    raw = _read_bytes(name)
    name = shown(name)
    if not raw:
        raise InputError(f"{name}: the file is empty; expected a table or a text")
    if raw[:4] == b"PAR1":
        return _read_parquet(raw, name)
    content = _comment_free(_decode(raw, name, encoding), comment)
    if name.endswith(JSON_LINES):
        return _read_json(content, name)
    if text is not None or (
        columns is None and delimiter is None and name.endswith(SUFFIXES) and not _delimited(content)
    ):
        return cut(content, name, text)
    result = _read_csv(content, name, columns, delimiter)
    if strip is not None:
        result = _stripped(result, strip)
    return pa.table([_typed(column) for column in result.columns], names=result.column_names)


def _read_folder(folder: Path) -> pa.Table:
    from synth.pictures import has_pictures, read_folder

    files = sorted(folder.glob("*.parquet"))
    if not files and has_pictures(folder):
        return read_folder(folder)
    if not files:
        raise InputError(f"{folder}: a folder without Parquet files or pictures")
    try:
        return pa.concat_tables([read_table(file) for file in files])
    except pa.ArrowInvalid:
        raise InputError(f"{folder}: its Parquet files have different columns; they must have the same") from None


def open_table(location: str | Path, *, table: str | None = None, text: Cut | None = None) -> AnyTable:
    """As `read_table`, but Parquet on this machine stays in its files, and is in the types that it was written from."""
    place = Path(location)
    if not is_sql(str(location)) and (next(place.glob("*.parquet"), None) or _begins(place, b"PAR1")):
        stored = Stored.open(place)
        _check_names(stored.column_names, str(place))
        return stored
    return read_table(location, table=table, text=text)


def _begins(place: Path, magic: bytes) -> bool:
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return file.read(len(magic)) == magic


def read_whole(location: str) -> bytes:
    """All bytes of what fsspec opens, asked for as a whole: by parts, as its files read, HTTP servers that compress
    what they send tell a wrong length, and the end is lost."""
    system, path = fsspec.core.url_to_fs(location)
    return bytes(system.cat_file(path))


def _read_bytes(name: str) -> bytes:
    try:
        raw = read_whole(name)
        packed = fsspec.utils.infer_compression(name)
        return bytes(fsspec.compression.compr[packed](io.BytesIO(raw), mode="rb").read()) if packed else raw
    except FileNotFoundError:
        raise InputError(f"{shown(name)}: no such file") from None
    except ImportError as error:
        raise InputError(f"{shown(name)}: its file system needs a package that is missing ({error.name})") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(name)}: cannot be read ({type(error).__name__})") from None


def _read_parquet(raw: bytes, name: str) -> pa.Table:
    try:
        result = pq.read_table(pa.BufferReader(raw))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: broken Parquet ({str(error).splitlines()[0]})") from None
    _check_names(result.column_names, name)
    return result


def _read_sql(url: str, table: str | None) -> pa.Table:
    import pandas as pd
    import sqlalchemy as sa

    from synth.frames import from_pandas

    if table is None:
        raise InputError("an SQL source needs the name of a table")
    file = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)", url)
    if file and not Path(file[1]).is_file():  # sqlite would make an empty database
        raise InputError(f"{url}: no such file")
    try:
        engine = sa.create_engine(os.path.expandvars(url).replace("postgres://", "postgresql://", 1))
        with engine.connect() as connection:
            frame = pd.read_sql_table(table, connection, dtype_backend="pyarrow")
    except ImportError as error:
        raise InputError(f"{shown(url)}: its database needs the package {error.name!r}; install it") from None
    except (sa.exc.SQLAlchemyError, ValueError) as error:
        raise InputError(f"{shown(url)}: table {table!r} cannot be read ({type(error).__name__})") from None
    return from_pandas(frame)


def _decode(raw: bytes, name: str, encoding: str) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in raw[:65536]:
        raise InputError(f"{name}: binary content; expected CSV text or Parquet")
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{raw[error.start]:02x} in line {line}"
        raise InputError(f"{name}: {found} is not {encoding}; save it as UTF-8 or declare the encoding") from None
    except LookupError:
        raise InputError(f"{name}: encoding {encoding!r} is unknown") from None


def _comment_free(text: str, comment: str | None) -> str:
    if comment is None:
        return text
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(comment))


def _delimited(text: str) -> bool:
    """Whether the first lines have a delimiter equally often, and no space after it, as those of a table do."""
    lines = [line for line in text[:65536].split("\n")[:10] if line.strip()]
    counts = ({len(re.findall(re.escape(mark) + r"(?! )", line)) for line in lines} for mark in DELIMITERS)
    return len(lines) > 1 and any(len(found) == 1 and 0 not in found for found in counts)


def _read_json(text: str, name: str) -> pa.Table:
    try:
        result = pa.json.read_json(pa.BufferReader(text.encode("utf-8")))
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: not JSON lines ({str(error).splitlines()[0]})") from None
    _check_names(result.column_names, name)
    return result


def _sniff(header: str) -> str:
    counts = {delimiter: header.count(delimiter) for delimiter in DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ","


def _check_names(names: list[str], name: str) -> None:
    for index, column in enumerate(names):
        if not column:
            raise InputError(f"{name}: column {index + 1} has no name in the header")
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{name}: column {twice[0]!r} stands twice in the header; names must be unique")


def _read_csv(text: str, name: str, columns: tuple[str, ...] | None, delimiter: str | None) -> pa.Table:
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    delimiter = delimiter or _sniff(first)
    names = list(columns) if columns else next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    if not names:
        raise InputError(f"{name}: no header line; expected a CSV or Parquet")
    _check_names(names, name)
    broken: list[pa.csv.InvalidRow] = []

    def handle(row: pa.csv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    try:
        result = pa.csv.read_csv(
            pa.BufferReader(text.encode("utf-8")),
            read_options=pa.csv.ReadOptions(use_threads=False, column_names=names, skip_rows=0 if columns else 1),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=handle),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=NULLS,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: not a CSV ({str(error).splitlines()[0]})") from None
    if broken:
        row = broken[0]
        found = f"{row.actual_columns} fields where {row.expected_columns} are expected"
        raise InputError(f"{name}: line {_line_of(text, delimiter, row)} has {found}")
    if result.num_rows == 0:
        raise InputError(f"{name}: a header without rows")
    return result


def _line_of(text: str, delimiter: str, broken: pa.csv.InvalidRow) -> int:
    """The line on which the first row with a wrong number of fields ends (rows may span lines)."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    return next((reader.line_num for row in reader if len(row) == broken.actual_columns), 0)


def _stripped(table: pa.Table, characters: str) -> pa.Table:
    columns = [pc.utf8_trim(column, characters=characters) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The narrowest of bool, int64 and float64 that every text value reads as, else the text."""
    values = pc.drop_null(column)
    if len(values) == 0:
        return pa.chunked_array([pa.nulls(len(column))])
    trimmed = pc.utf8_trim_whitespace(column)
    for pattern, dtype in ((BOOLEAN, pa.bool_()), (INTEGER, pa.int64()), (FLOAT, pa.float64())):
        if pc.all(pc.match_substring_regex(trimmed, pattern)).as_py():
            try:
                return pc.replace_substring_regex(trimmed, r"^\+", "").cast(dtype)
            except pa.ArrowInvalid:  # an integer past 64 bits stays text, digit for digit
                return column
    return column
