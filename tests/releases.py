"""What the tests of a release put into one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from tables import people

from synth.card import CardInfo
from synth.gate import Check, Verdict
from synth.release import provenance, release
from synth.schema import Schema

PASSED = Verdict(True, (), (Check("quality.c2st_auc", 0.51, "at most 0.65", True),))
REFUSED = Verdict(False, ("quality.c2st_auc is 0.9, must be at most 0.65",), ())
VALIDATION = {
    "success": True,
    "critical_failures": [],
    "warnings": ["column 'age': KL divergence"],
    "expectations": [{"success": True, "severity": "critical"}, {"success": False, "severity": "warning"}],
}
METRICS = {
    "quality": {
        "c2st_auc": {"value": 0.51, "low": 0.5, "high": 0.52, "floor": 0.5, "independent": 0.99, "copy": 0.5},
        "tstr": {"value": None, "low": None, "high": None, "floor": None, "independent": None, "copy": None},
    },
    "privacy": {"dcr_share": {"value": 0.502, "low": 0.49, "high": 0.51, "floor": 0.5, "independent": 0.5, "copy": 1}},
    "attacks": {
        "membership_auc": {"value": 0.51, "low": 0.5, "high": 0.52, "floor": 0.5, "independent": 0.5, "copy": 1},
    },
    "columns": {},
}
INFO = CardInfo("people-autoregressive", "People of three towns", "CC-BY-4.0", "Doe, J. (2020): People.", "churned")


def people_with_mail(rows: int, seed: int = 0) -> pd.DataFrame:
    """`people` with unique addresses."""
    frame = people(rows, seed)
    return frame.assign(mail=[f"user{seed}{i * 7919 % 99991}@example.org" for i in range(rows)])


def put_out(out: Path, samples: Path, schema: Schema, **changes) -> Path:
    """Release with everything given, but for `changes`."""
    facts = provenance(sources={"people.csv": "ab" * 32}, seed=7, params={"epochs": 2}, model="autoregressive")
    given = {
        "samples": samples,
        "schema": schema,
        "verdict": PASSED,
        "metrics": METRICS,
        "lift": {"conclusion": "No lift was found.", "found": False},
        "validation": VALIDATION,
        "report": None,
        "card_info": INFO,
        "provenance": facts,
    }
    release(out, **{**given, **changes})
    return out
