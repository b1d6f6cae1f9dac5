"""Run by an environment that has `anonymeter`: its risks for one synthetic table, as one JSON object.

`python reference_anonymeter.py QUESTIONS`: QUESTIONS is a JSON file with `train`, `control` and `synthetic` (CSVs),
`attempts`, `seed`, `neighbours`, `halves` (two lists of columns), `secrets` and `combined` (columns of a predicate).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(questions: Path) -> None:
    """Print `risks`: value, low, high, hits, control_hits and attacks of each question."""
    import numpy as np
    import pandas as pd
    from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

    asked = json.loads(questions.read_text())
    tables = {
        name: pd.read_csv(asked[role])
        for name, role in {"ori": "train", "syn": "synthetic", "control": "control"}.items()
    }
    np.random.seed(asked["seed"])  # noqa: NPY002 - pandas draws its targets with it
    given = {**tables, "n_attacks": asked["attempts"]}
    risks = {}
    for mode in ("univariate", "multivariate"):
        alone = SinglingOutEvaluator(**given, n_cols=asked["combined"], seed=asked["seed"], max_attempts=200_000)
        risks[f"singling out, {mode}"] = _risk(alone.evaluate(mode=mode), asked["attempts"])
    linked = LinkabilityEvaluator(**given, aux_cols=tuple(asked["halves"]), n_neighbors=asked["neighbours"])
    risks["linkability"] = _risk(linked.evaluate(n_jobs=1), asked["attempts"])
    for secret in asked["secrets"]:
        known = [name for name in tables["ori"] if name != secret]
        inferred = InferenceEvaluator(**given, aux_cols=known, secret=secret, regression=False)
        risks[f"inference of {secret}"] = _risk(inferred.evaluate(n_jobs=1), asked["attempts"])
    sys.stdout.write(json.dumps({"risks": risks}) + "\n")


def _risk(evaluator: Any, attempts: int) -> dict[str, float]:
    results = evaluator.results(confidence_level=0.95)
    value, (low, high) = results.risk()
    counts = {"hits": float(results.n_success), "control_hits": float(results.n_control), "attacks": attempts}
    return {"value": float(value), "low": float(low), "high": float(high), **counts}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
