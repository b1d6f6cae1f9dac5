"""train: fit the run's model on the training rows, going on from its checkpoint where one is there."""

from __future__ import annotations

import logging
from dataclasses import fields

import pandas as pd

from synth.config import load_params
from synth.console import PathOption, progress, stage
from synth.evaluation.speed import Stopwatch
from synth.schema import Schema
from synth.storage import replacing, write_json
from synth.stored import Stored
from synth.synthesizer import Synthesizer
from synth.training import CHECKPOINT_SECONDS, Epoch

log = logging.getLogger(__name__)


def main(
    run: str,
    prepared: PathOption,
    out: PathOption,
    checkpoint: PathOption,
    curve: PathOption,
    metrics: PathOption,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> None:
    """Write the model directory, the training curve and what the fit cost."""
    params = load_params()
    settings = params.run(run)
    synthesizer = Synthesizer(
        settings.model,
        seed=params.seed,
        device=settings.device,
        max_minutes=settings.max_minutes,
        max_rows=settings.max_rows,
        threads=settings.threads,
        pseudo_labels=settings.pseudo_labels,
        privacy=settings.privacy,
        **params.hyperparameters(settings),
    )
    table = Stored.open(prepared / "train.parquet")
    schema = Schema.load(prepared / "schema.json")
    with Stopwatch() as watch, progress(f"train {run}", synthesizer.epochs) as advance:

        def on_epoch(epoch: Epoch) -> None:
            advance(epoch.number, epoch.shown)

        synthesizer.fit(
            table,
            schema=schema,
            checkpoint=checkpoint,
            checkpoint_seconds=checkpoint_seconds,
            on_epoch=on_epoch,
        )
    history = synthesizer.history_
    log.info("%s: stopped by %s after %d epochs", run, history.stopped, len(history.epochs))
    names = [field.name for field in fields(Epoch) if field.name != "seconds"]  # a model without steps has no epochs
    epochs = pd.DataFrame(synthesizer.training_["epochs"], columns=names).rename(columns={"number": "epoch"})
    with replacing(curve) as temporary:
        epochs.to_csv(temporary, index=False)
    cost = watch.as_dict()
    if history.resumed_at:  # this process saw a part: its processor time would mislead
        cost = {"wall_seconds": history.epochs[-1].seconds, "peak_memory_mb": cost["peak_memory_mb"]}
    write_json(metrics, {"fit": cost, "epochs": len(history.epochs), "rows": synthesizer.schema_.rows})
    synthesizer.save(out)


if __name__ == "__main__":
    stage(main)
