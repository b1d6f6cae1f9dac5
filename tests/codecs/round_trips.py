"""One trip of a table through all that touches its values: schema, tokens, state, Parquet and pandas."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synth.codecs.table import TableCodec
from synth.detection import detect
from synth.frames import from_pandas, to_pandas
from synth.schema import Schema
from synth.storage import read_parquet, write_parquet


@dataclass(frozen=True)
class Trip:
    """source: as given; expected: the source rows whose tokens were decoded; result: what came out of them."""

    source: pa.Table
    schema: Schema
    codec: TableCodec
    expected: pa.Table
    result: pa.Table

    @property
    def frame(self) -> pd.DataFrame:
        """The result in pandas."""
        return to_pandas(self.result)

    def values(self, name: str) -> list[Any]:
        """The result's values of one column, nulls included."""
        return list(self.result.column(name).to_pylist())


def round_trip(data: pd.DataFrame | pa.Table, *, seed: int = 0, rows: int | None = None, **options: Any) -> Trip:
    """Detect, fit, encode, draw rows with replacement, decode from the stored state, write and read Parquet.

    Holds every table to what all must keep: Arrow schema, pandas dtypes and labels, and each row's nulls.
    """
    source = data if isinstance(data, pa.Table) else from_pandas(data)
    schema = Schema.parse(detect(source, **options).model_dump_json(), "memory")
    codec = TableCodec.fit(source, schema, seed)
    state = json.loads(json.dumps(codec.state(), allow_nan=False))
    codec = TableCodec.from_state(state, schema)
    assert json.loads(json.dumps(codec.state())) == state
    tokens = codec.encode(source)["tokens"]
    for d, cardinality in enumerate(codec.layout.cardinalities):
        assert tokens[:, d].min() >= 0
        assert tokens[:, d].max() < cardinality
    rng = np.random.default_rng(seed)
    rows = 2 * len(tokens) + 7 if rows is None else rows
    picked = rng.integers(0, len(tokens), rows)
    result = stored(codec.decode({"tokens": tokens[picked]}, rows=range(rows), rng=rng))
    expected = taken(source, picked)
    trip = Trip(source, schema, codec, expected, result)
    check(data, trip)
    return trip


def stored(table: pa.Table) -> pa.Table:
    """The table after a journey through a Parquet file."""
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(Path(folder) / "a.parquet", table)
        return read_parquet(Path(folder) / "a.parquet")


def taken(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Rows of a table; Arrow cannot take from views, so they go by way of plain types."""
    plain = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}
    columns = [column.cast(plain.get(str(column.type), column.type)).take(pa.array(rows)) for column in table.columns]
    return pa.table(
        [column.cast(dtype) for column, dtype in zip(columns, table.schema.types, strict=True)], schema=table.schema
    )


def check(data: pd.DataFrame | pa.Table, trip: Trip) -> None:
    """What holds for any table."""
    assert trip.result.schema.equals(trip.source.schema, check_metadata=True)
    trip.result.validate(full=True)
    if isinstance(data, pd.DataFrame):
        assert trip.frame.columns.tolist() == data.columns.tolist()
        made = [column.name for column in trip.schema.columns if column.kind in ("identifier", "personal")]
        kept = [place for place, name in enumerate(trip.schema.names) if name not in made]
        pd.testing.assert_series_equal(trip.frame.dtypes.iloc[kept], data.dtypes.iloc[kept])
        pd.testing.assert_series_equal(trip.frame.dtypes.astype(str), data.dtypes.astype(str))
    for name in trip.source.column_names:
        np.testing.assert_array_equal(nulls(trip.result.column(name)), nulls(trip.expected.column(name)), name)


def nulls(column: pa.ChunkedArray) -> np.ndarray:
    """Where a column has no value; NaN is none."""
    return np.array([value is None or value != value for value in column.to_pylist()])
