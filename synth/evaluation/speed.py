"""What a piece of work costs: wall time, processor time and peak memory of this process."""

from __future__ import annotations

import resource
import sys
import time
from types import TracebackType
from typing import Self


class Stopwatch:
    """Measure a `with` block.

    After the block, `wall_seconds` and `cpu_seconds` (this process and its finished children, all threads) are
    the block's own; `peak_memory_mb` is the process' high-water mark of resident memory in 10^6 bytes, which is the
    block's where the block is what the process is for.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_memory_mb: float

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall_seconds = time.perf_counter() - self._wall
        self.cpu_seconds = _cpu() - self._cpu
        self.peak_memory_mb = _peak() / 1e6

    def as_dict(self, rows: int | None = None) -> dict[str, float]:
        """The figures, rounded; with `rows` also `rows_per_second` of wall time."""
        figures = {
            "wall_seconds": round(self.wall_seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_memory_mb": round(self.peak_memory_mb, 1),
        }
        if rows is not None:
            figures["rows_per_second"] = round(rows / max(self.wall_seconds, 1e-9), 1)
        return figures


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _peak() -> int:
    """Bytes; the kernel counts in KiB, macOS in bytes."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak if sys.platform == "darwin" else peak * 1024
