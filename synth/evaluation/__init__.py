"""The measurements: quality, diversity, speed, privacy and lift, one file each."""

from synth.evaluation.distributions import distributions
from synth.evaluation.measurements import METRICS, evaluate
from synth.evaluation.metric import Metric
from synth.evaluation.tables import Tables, load_tables

__all__ = ["METRICS", "Metric", "Tables", "distributions", "evaluate", "load_tables"]
