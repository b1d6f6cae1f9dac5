"""report: judge the gate and write one page with every figure of a run."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from synth.config import load_params
from synth.console import PathOption, stage
from synth.gate import gate
from synth.release import provenance
from synth.report import render
from synth.schema import Schema
from synth.storage import read_json, write_json, write_text

log = logging.getLogger(__name__)


def main(
    run: str,
    prepared: PathOption,
    build: PathOption,
    metrics: PathOption,
    verdict: PathOption,
    out: PathOption,
) -> None:
    """Write report.html and verdict.json; a refusal is written down here and enforced by the release stage."""
    params = load_params()
    facts = provenance(
        sources=read_json(prepared / "source.json")["sha256"],
        seed=params.seed,
        params=params.of_run(run),
        model=params.run(run).model,
    )
    settings = params.run(run)
    measured = read_json(build / "measurements.json")
    validation = read_json(build / "validation.json")
    judged = gate(validation, measured, params.gate)
    write_json(verdict, judged.as_dict())
    page = render(
        title=f"{params.dataset(settings.dataset).title or settings.dataset}: {run}",
        schema=Schema.load(prepared / "schema.json"),
        metrics=measured,
        distributions=read_json(build / "distributions.json"),
        lift=read_json(build / "lift.json"),
        walk=read_json(build / "walk.json")["walk"],
        speed={**read_json(metrics / "train.json"), **read_json(metrics / "sample.json")},
        validation=validation,
        verdict=judged.as_dict(),
        curve=pd.read_csv(build / "curve.csv").to_dict("records"),  # type: ignore[arg-type]
        provenance=facts,
    )
    write_text(out, page)
    log.info("%s: %s", run, "passed its gate" if judged.passed else "refused: " + "; ".join(judged.reasons))
    log.info("report: %s", Path(out))


if __name__ == "__main__":
    stage(main)
