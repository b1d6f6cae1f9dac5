"""release: put the samples out with card, provenance and checksums, or refuse to."""

from __future__ import annotations

import os

from synth.card import CardInfo
from synth.config import load_params
from synth.console import PathOption, stage
from synth.description import read_fitted
from synth.gate import Verdict
from synth.release import provenance, release
from synth.signature import read_private_key
from synth.storage import read_json

SIGNING_KEY = "SYNTH_SIGNING_KEY"  # environment variable: path of the private key to sign with, if any


def main(run: str, prepared: PathOption, build: PathOption, report: PathOption, out: PathOption) -> None:
    """Write the release folder; exit 1 with the reasons where the gate was not passed."""
    key = os.environ.get(SIGNING_KEY)
    signer = read_private_key(key) if key else None
    params = load_params()
    fitted = read_fitted(build / "model")
    facts = provenance(
        sources=read_json(prepared / "source.json")["sha256"],
        seed=params.seed,
        params=params.of_run(run),
        model=fitted.model,
        source_rows=fitted.source_rows,
        privacy=fitted.privacy,
    )
    dataset = params.dataset(params.run(run).dataset)
    release(
        out,
        samples=build / "samples",
        schema=fitted.schema,
        verdict=Verdict.from_dict(read_json(build / "verdict.json")),
        metrics=read_json(build / "measurements.json"),
        lift=read_json(build / "lift.json"),
        validation=read_json(build / "validation.json"),
        report=report,
        card_info=CardInfo(
            name=run,
            title=dataset.title or params.run(run).dataset,
            licence=dataset.licence,
            citation=dataset.citation,
            target=dataset.target,
        ),
        provenance=facts,
        signer=signer,
    )


if __name__ == "__main__":
    stage(main)
