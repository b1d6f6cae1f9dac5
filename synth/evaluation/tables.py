"""The four tables that every measurement compares: what was learnt from, two unseen parts, and the synthetic rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from synth.errors import InputError
from synth.evaluation.encoding import Views, encode
from synth.schema import Schema
from synth.series import nest_like
from synth.storage import read_parquet


@dataclass(frozen=True)
class Tables:
    """Frames with the columns of `schema`; none of them is changed.

    train: rows that the generator learnt from
    holdout: real rows that it never saw, to compare similarity and privacy with; may be empty
    test: real rows that it never saw, to score classifiers on and to stand for a perfect generator; may be empty
    synthetic: rows to measure
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    test: pd.DataFrame
    synthetic: pd.DataFrame
    schema: Schema

    def __post_init__(self) -> None:
        for role in ("train", "synthetic"):
            if not len(getattr(self, role)):
                raise InputError(f"{role}: the table has no rows; at least 1 is needed to measure anything")

    @cached_property
    def views(self) -> Views:
        """All four as arrays over one vocabulary."""
        frames = {role: getattr(self, role) for role in ("train", "holdout", "test", "synthetic")}
        return encode(frames, self.schema)


def load_tables(prepared: Path, samples: Path) -> Tables:
    """Read train, holdout, test and schema from what `prepare` wrote, and the synthetic part files."""
    parts = {role: read_parquet(prepared / f"{role}.parquet").to_pandas() for role in ("train", "holdout", "test")}
    schema = Schema.load(prepared / "schema.json")
    synthetic = nest_like(read_parquet(samples), schema.arrow_schema)
    return Tables(**parts, synthetic=synthetic.to_pandas(), schema=schema)
