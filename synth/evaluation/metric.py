"""What a figure is: its name, the direction that is better, and one sentence that says it in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "target"]
Figures = dict[str, float | None]


@dataclass(frozen=True)
class Metric:
    """One figure of the report.

    name: its key in the measurements
    better: `lower`, `higher`, or `target` where a certain value is best
    target: that value, None where the floor is the value to meet
    title: the name in the report
    meaning: one sentence for a reader who does not know it
    undefined: why the figure may be None
    low, high: the least and the greatest value that it can have; None where there is no bound
    """

    name: str
    better: Better
    title: str
    meaning: str
    undefined: str
    target: float | None = None
    low: float | None = 0.0
    high: float | None = 1.0
