"""Small tables of series whose nature is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa


def walks(series: int, seed: int = 0, *, regular: bool = False) -> pa.Table:
    """Long: id, kind, at, value, state, count. Values return to 20, more wildly where kind is wild; states follow from
    values; some counts are null; series have 1 to 24 steps, an hour or so apart."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(series):
        kind = ("calm", "wild")[rng.integers(2)]
        at = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(hours=int(rng.integers(5000)))
        x = 20 + rng.normal() * 3
        for _ in range(int(rng.integers(1, 25))):
            x = 20 + 0.9 * (x - 20) + rng.normal() * (0.5 if kind == "calm" else 2)
            state = "low" if x < 20 else "high"
            count = None if rng.random() < 0.1 else int(rng.poisson(3))
            rows.append((f"W-{seed}-{number:05d}", kind, at, round(x, 2), state, count))
            at += pd.Timedelta(hours=1 if regular else int(rng.choice([1, 2, 6])))
    columns = list(zip(*rows, strict=True))
    names = ("id", "kind", "at", "value", "state", "count")
    types = (pa.string(), pa.string(), pa.timestamp("s", "UTC"), pa.float64(), pa.string(), pa.int64())
    return pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})


def prices(steps: int, seed: int = 0) -> pa.Table:
    """One series: open, high, low, close, adjusted close (equal to it) and volume, with calm and stormy times."""
    rng = np.random.default_rng(seed)
    storm = np.exp(pd.Series(rng.normal(0, 1, steps)).ewm(alpha=0.05).mean().to_numpy() * 2.5)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, steps) * 0.01 * storm))
    opened = np.append(100.0, close[:-1]) * np.exp(rng.normal(0, 0.003, steps))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.004, steps)) * storm)
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.004, steps)) * storm)
    volume = np.exp(15 + pd.Series(rng.normal(0, 1, steps)).ewm(alpha=0.2).mean().to_numpy() + 0.3 * np.log(storm))
    parts = {"open": opened, "high": high, "low": low, "close": close, "adjusted": close}
    return pa.table({name: np.round(part, 4) for name, part in parts.items()} | {"volume": volume.astype(np.int64)})
