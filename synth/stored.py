"""Tables that stay in their Parquet files: one column, or one block of rows, is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synth.errors import InputError
from synth.storage import parquet_files, restored, written

BLOCK = 65_536  # rows of a block
RULED = 1_000_000  # rows that are learnt from at most where there are rules, which need the whole table at once


@dataclass(frozen=True, eq=False)
class Stored:
    """The rows of Parquet files, in order and in the types that they were written from.

    It has of `pa.Table` what reads by column, so that a schema and codecs can be made of either.

    files: parts with the same columns, and the number of rows of each
    schema: as `pa.Table.schema`
    chosen: (N,) ascending numbers of the rows that take part; None where all do
    """

    files: tuple[tuple[Path, int], ...]
    schema: pa.Schema
    chosen: NDArray[np.int64] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Stored:
        """A Parquet file or a folder of parts; InputError where there is none or the parts differ."""
        files = parquet_files(path)
        with _reading(path):
            footers = [pq.read_metadata(file) for file in files]
            schemas = [restored(one.schema.to_arrow_schema().empty_table(), written(one)).schema for one in footers]
        if not all(schema.equals(schemas[0]) for schema in schemas):
            raise InputError(f"{path}: its Parquet files have different columns; they must have the same")
        counts = [footer.num_rows for footer in footers]
        return cls(tuple(zip(files, counts, strict=True)), schemas[0])

    @property
    def num_rows(self) -> int:
        """Rows that take part."""
        return sum(count for _, count in self.files) if self.chosen is None else len(self.chosen)

    @property
    def column_names(self) -> list[str]:
        """Names in order."""
        return list(self.schema.names)

    @property
    def columns(self) -> Iterator[pa.ChunkedArray]:
        """One column after the other, each read when it is its turn."""
        return map(self.column, self.schema.names)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column, (N,)."""
        chunks: list[pa.Array] = []
        for file, start, count in self._parts():
            with _reading(file):
                parquet = pq.ParquetFile(file)
                table = restored(parquet.read(columns=[name]), written(parquet.metadata))
            rows = self._within(start, count)
            column = table.column(name)
            chunks += (column if rows is None else column.take(rows)).chunks
        return pa.chunked_array(chunks, type=self.schema.field(name).type)

    def blocks(self) -> Iterator[pa.Table]:
        """All rows in order, at most BLOCK at a time; dictionaries differ between blocks."""
        for file, start, _ in self._parts():
            with _reading(file):
                parquet = pq.ParquetFile(file)
                schema = written(parquet.metadata)
                for batch in parquet.iter_batches(batch_size=BLOCK):
                    table = restored(pa.Table.from_batches([batch]), schema)
                    rows = self._within(start, table.num_rows)
                    start += table.num_rows
                    yield table if rows is None else table.take(rows)

    def only(self, rows: NDArray[np.int64]) -> Stored:
        """Some of the rows, by their ascending numbers (N,)."""
        return replace(self, chosen=rows if self.chosen is None else self.chosen[rows])

    def read(self) -> pa.Table:
        """All of it in memory."""
        return pa.table(list(self.columns), schema=self.schema)

    def _parts(self) -> Iterator[tuple[Path, int, int]]:
        """Each file, the number of its first row, and how many it has."""
        start = 0
        for file, count in self.files:
            yield file, start, count
            start += count

    def _within(self, start: int, count: int) -> pa.Array | None:
        """The chosen ones of `count` rows, counted from their first one."""
        if self.chosen is None:
            return None
        low, high = np.searchsorted(self.chosen, [start, start + count])
        return pa.array(self.chosen[low:high] - start)


AnyTable: TypeAlias = pa.Table | Stored


def blocks(table: AnyTable) -> Iterator[pa.Table]:
    """All rows in order, at most BLOCK at a time."""
    if isinstance(table, Stored):
        return table.blocks()
    return (table.slice(start, BLOCK) for start in range(0, table.num_rows, BLOCK))


def learnt_rows(rows: int, most: int | None, ruled: bool) -> int:
    """How many of so many rows are learnt from: `most` at most, and RULED where there are rules."""
    return min(rows, rows if most is None else most, RULED if ruled else rows)


def drawn(table: AnyTable, count: int, seed: int) -> AnyTable:
    """`count` of the rows in their order, every row as likely as any other; the same ones of either kind of table."""
    if count >= table.num_rows:
        return table
    generator = np.random.default_rng([seed % 2**64, count])
    rows = np.sort(generator.choice(table.num_rows, count, replace=False, shuffle=False))
    return table.only(rows) if isinstance(table, Stored) else table.take(pa.array(rows))


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file that can be read ({str(error).splitlines()[0]})") from None
