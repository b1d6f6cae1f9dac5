"""validate: check the samples against the Great Expectations suite made from the training schema."""

from __future__ import annotations

import logging

from synth.console import PathOption, stage
from synth.description import read_fitted
from synth.storage import read_parquet, write_json
from synth.validation import suite as make_suite
from synth.validation import validate

log = logging.getLogger(__name__)


def main(
    run: str,
    prepared: PathOption,
    model: PathOption,
    samples: PathOption,
    suite: PathOption,
    out: PathOption,
    docs: PathOption,
) -> None:
    """Write the suite, the results and the Data Docs; the gate of the release judges them."""
    expectations = make_suite(read_fitted(model).schema, read_parquet(prepared / "train.parquet"))
    write_json(suite, expectations)
    result = validate(samples, expectations, docs)
    write_json(out, result)
    failed = result["critical_failures"]
    log.info(
        "%s: %d expectations, %d critical failures, %d warnings",
        run,
        len(result["expectations"]),
        len(failed),
        len(result["warnings"]),
    )


if __name__ == "__main__":
    stage(main)
