"""A made-up table of customers, as large as asked for: 20 columns that depend on each other, written by row groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synth.console import stage
from synth.storage import replacing

GROUP = 100_000  # rows of a row group
REGIONS, CITIES, PRODUCTS = 8, 60, 180


def main(rows: int, out: Path, seed: int = 0) -> None:
    """Write ROWS rows to the Parquet file OUT, in the same memory for any number of them."""
    with replacing(out) as temporary:
        writer = None
        for group, start in enumerate(range(0, rows, GROUP)):
            table = pa.Table.from_pandas(crowd(min(GROUP, rows - start), seed, group), preserve_index=False)
            writer = writer or pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()


def crowd(rows: int, seed: int, group: int) -> pd.DataFrame:
    """One group of rows: numbers (skewed, with zeros, ties and nulls), categories (nested, with long tails), dates.

    Four hidden traits of a customer bind the columns together.
    """
    rng = np.random.default_rng([seed, group])
    wealth, age, zeal, place = rng.normal(size=(4, rows))
    region = np.digitize(place, np.linspace(-1.6, 1.6, REGIONS - 1))
    city = region * CITIES // REGIONS + np.minimum(rng.geometric(0.35, rows), CITIES // REGIONS) - 1
    product = np.minimum(rng.zipf(1.6, rows) + np.where(wealth > 1, 20, 0), PRODUCTS) - 1
    years = np.clip(np.rint(45 + 14 * age + 3 * rng.normal(size=rows)), 18, 95)
    income = np.round(np.exp(10.2 + 0.5 * wealth + 0.01 * (years - 45) + 0.2 * rng.normal(size=rows)), 2)
    orders = rng.poisson(np.exp(0.8 + 0.5 * zeal))
    spent = np.where(orders > 0, np.round(orders * np.exp(3 + 0.4 * wealth + 0.5 * rng.normal(size=rows)), 2), 0.0)
    joined = np.datetime64("2015-01-01") + rng.integers(0, 3600, rows)
    seen = joined.astype("datetime64[s]") + np.rint(rng.exponential(2e7, rows) * np.exp(0.3 * zeal)).astype(int)
    risk = 1 / (1 + np.exp(-(0.8 * wealth - zeal + 0.02 * (years - 45) + (region == 2) - 1)))
    tier = np.digitize(wealth + 0.3 * rng.normal(size=rows), [-0.5, 0.7, 1.8])
    return pd.DataFrame(
        {
            "region": _named("region", region),
            "city": _named("city", city),
            "product": _named("product", product),
            "tier": np.array(["basic", "plus", "gold", "black"])[tier],
            "channel": np.array(["web", "shop", "phone", "partner", "app"])[
                (rng.integers(0, 3, rows) + (zeal > 0) * 2)
            ],
            "device": pd.Series(np.array(["phone", "laptop", "tablet"])[rng.integers(0, 3, rows)], dtype="str").mask(
                rng.random(rows) < 0.15
            ),
            "age": years.astype(np.int16),
            "income": pd.Series(income).mask(rng.random(rows) < 0.08),
            "orders": orders,
            "spent": spent,
            "basket": np.round(np.divide(spent, orders, out=np.zeros(rows), where=orders > 0), 2),
            "discount": rng.choice([0.0, 0.05, 0.1, 0.2], rows, p=[0.7, 0.1, 0.15, 0.05]),
            "score": np.round(600 + 60 * wealth - 40 * risk + 15 * rng.normal(size=rows)),
            "latitude": np.round(47 + region + 0.3 * rng.normal(size=rows), 4),
            "longitude": np.round(8 + 0.2 * city + 0.3 * rng.normal(size=rows), 4),
            "returns": rng.binomial(orders, 0.1),
            "member": rng.random(rows) < 0.3 + 0.3 * (zeal > 0),
            "joined": joined.astype("datetime64[ms]"),
            "seen": seen,
            "churned": rng.random(rows) < risk,
        }
    )


def _named(stem: str, codes: NDArray[np.int64]) -> NDArray[np.str_]:
    words = np.array([f"{stem} {code:03d}" for code in range(int(codes.max()) + 1)])
    return np.asarray(words[codes])


if __name__ == "__main__":
    stage(main)
