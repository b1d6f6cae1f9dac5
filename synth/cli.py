"""The `synth` command: the stages' verbs on the user's own files."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth import arguments, given
from synth.console import application, progress, run
from synth.errors import InputError
from synth.models import UNNAMED, available, family, serving

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.evaluation.tables import Tables
    from synth.schema import Schema

log = logging.getLogger(__name__)
app = application("Learn a dataset, draw a synthetic one, prove what it is, release it.")

Data = Annotated[
    str,
    typer.Argument(
        help="CSV, Parquet, JSON lines or text, a folder of Parquet parts or of pictures, fsspec or SQL URL"
    ),
]
Synthetic = Annotated[str, typer.Argument(help="Synthetic rows: a Parquet file or a folder of parts")]
Table = Annotated[str | None, typer.Option(help="Table of an SQL source")]
Text = Annotated[
    str | None, typer.Option("--text", help="Rows of a text file: lines, paragraphs, or passages of so many characters")
]
Entity = Annotated[
    list[str] | None, typer.Option(help="The rows are steps of series: a column that names them; repeatable")
]
Time = Annotated[str | None, typer.Option(help="Column that the steps of a series are ordered by")]
Window = Annotated[int | None, typer.Option(min=2, help="Cut series into parts of so many steps")]
Stride = Annotated[int | None, typer.Option(min=1, help="Steps from one part to the next; the window's by default")]
Target = Annotated[str | None, typer.Option(help="Column that a consumer would predict")]
Train = Annotated[str, typer.Option(help="The rows that the model was fitted on")]
Test = Annotated[str, typer.Option(help="Real rows that the model never saw")]
Holdout = Annotated[str | None, typer.Option(help="Unseen real rows for privacy; the test rows by default")]
Rules = Annotated[Path | None, typer.Option(help="YAML file with the rules that every row keeps, see docs/rules.md")]
RareValues = Annotated[
    int | None, typer.Option(min=0, help="Rows that a value needs to be reproduced, see docs/data.md; 0 and 1: all are")
]
Seed = Annotated[int, typer.Option(min=0, max=2**62, help="Root of all randomness")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Model = Annotated[Path, typer.Option(help="Model directory that `synth fit` wrote")]
FIRST = ", ".join(f"{name} ({modality})" for modality, name in UNNAMED.items())


def _known(name: str | None) -> str | None:
    """Told before any data is read."""
    if name is not None:
        family(name)
    return name


Family = Annotated[str | None, typer.Option(callback=_known, help=f"Family, see `synth models`; by default {FIRST}")]


@app.command()
def init(
    data: Data,
    name: Annotated[str | None, typer.Option(help="Name of the dataset; the file's by default")] = None,
    target: Target = None,
    table: Table = None,
    text: Text = None,
    entity: Entity = None,
    time: Time = None,
    window: Window = None,
    stride: Stride = None,
    model: Family = None,
    params: Annotated[Path, typer.Option(help="Configuration to add to")] = Path("params.yaml"),
) -> None:
    """Detect the schema of DATA and add a dataset and a run to params.yaml."""
    from synth.detection import detect
    from synth.modality import modality
    from synth.project import add_run
    from synth.sources import read_table
    from synth.texts import parse_cut

    cut = parse_cut(text)
    rows = arguments.series(read_table(data, table=table, text=cut), entity, time, window, stride)
    model = model or UNNAMED[modality(rows, target)]
    schema = detect(rows, target=target, texts="text" in family(model).Model.modalities)
    model = serving(model, schema.modality)
    added = add_run(params, data, schema=schema, name=name, table=table, text=cut, model=model)
    for column in schema.columns:
        what = f" ({column.personal.what}, {column.personal.locale})" if column.personal else ""
        typer.echo(f"{column.name}: {column.kind}{what}, {column.dtype}, {column.null_rate:.1%} null")
    typer.echo(f"added dataset and run to {params}: {added}")


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Model directory to write; a former model there is replaced")],
    model: Family = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, repeatable; a wrong key lists all")
    ] = None,
    target: Target = None,
    rules: Rules = None,
    rare_values: RareValues = None,
    table: Table = None,
    text: Text = None,
    entity: Entity = None,
    time: Time = None,
    window: Window = None,
    stride: Stride = None,
    max_minutes: Annotated[float | None, typer.Option(help="Bound on training time; keeps the best so far")] = None,
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Learn from so many rows at most, drawn at random")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Processor threads; more are quicker on large data")] = 1,
    pseudo_labels: Annotated[
        bool, typer.Option("--pseudo-labels", help="Give pictures whose target is null the label that is seen in them")
    ] = False,
    epsilon: Annotated[float | None, typer.Option(help="Differential privacy of each row; needs --delta")] = None,
    delta: Annotated[float | None, typer.Option(help="Chance with which it may fail, at most 1 / rows")] = None,
    domains: Annotated[
        Path | None, typer.Option(help="YAML file of what columns may hold, see docs/privacy.md; not learnt then")
    ] = None,
) -> None:
    """Fit a model on DATA; an interrupted fit goes on where it stopped when it is called again."""
    from synth.modality import modality
    from synth.sources import open_table
    from synth.storage import check_replaceable, remove
    from synth.synthesizer import FILES, Synthesizer
    from synth.texts import parse_cut

    check_replaceable(out, *FILES)
    config = dict(arguments.setting(text) for text in set_ or [])
    rows = arguments.series(open_table(data, table=table, text=parse_cut(text)), entity, time, window, stride)
    model = model or UNNAMED[modality(rows, target)]
    synthesizer = Synthesizer(
        model,
        seed=seed,
        device=device,
        max_minutes=max_minutes,
        max_rows=max_rows,
        threads=threads,
        privacy=arguments.privacy(epsilon, delta),
        pseudo_labels=pseudo_labels,
        **config,
    )
    declared = arguments.declared(rules, rare_values, domains)
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    with progress("fit", synthesizer.epochs) as advance:
        synthesizer.fit(
            rows,
            target=target,
            checkpoint=checkpoint,
            **declared,
            on_epoch=lambda epoch: advance(epoch.number, epoch.shown),
        )
    synthesizer.save(out)
    remove(checkpoint)
    history = synthesizer.history_
    learnt = synthesizer.schema_.rows
    of = f" of {rows.num_rows}" if learnt < rows.num_rows else ""
    typer.echo(f"{out}: {model}, {learnt}{of} rows, {len(history.epochs)} epochs, stopped by {history.stopped}")


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="Model directory that `synth fit` wrote")],
    rows: Annotated[int, typer.Option(min=1, help="Rows (of series: series) to draw, over all shards")],
    out: Annotated[Path, typer.Option(help="A .parquet file, or a folder of parts")],
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**62, help="Root of randomness; the model's by default")
    ] = None,
    shards: Annotated[int, typer.Option(min=1, help="Part files of a folder")] = 1,
    shard: Annotated[str | None, typer.Option(help="Only this part, as 0/4; for several workers")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="column=value, low..high or \\[a, b]; repeatable, all are kept")
    ] = None,
    balance: Annotated[str | None, typer.Option(help="Column of which every value comes equally often")] = None,
    device: Device = "auto",
) -> None:
    """Draw synthetic rows from MODEL to Parquet: the same rows for any number of shards."""
    from synth.conditions import parse
    from synth.sampling import PARTS, part_name, write_samples, write_shard
    from synth.storage import check_file, check_replaceable
    from synth.synthesizer import Synthesizer

    only, shards = arguments.shard(shard) if shard is not None else (None, shards)
    if out.suffix == ".parquet" and only is None and shards > 1:
        raise InputError(f"--shards {shards}: a single file {str(out)!r} cannot hold them; give a folder")
    if out.suffix == ".parquet":
        check_file(out)
    elif only is not None:
        check_replaceable(out, part_name(0, shards).replace("part-00000", "part-*"), ".*.partial")
    else:
        check_replaceable(out, PARTS)
    wanted = arguments.wanted([parse(text) for text in where or []])
    synthesizer = Synthesizer.load(model, device=device)
    request = synthesizer.request(wanted, balance)
    with progress("sample", rows if only is None else rows / shards) as advance:

        def on_rows(done: int) -> None:
            advance(done, "")

        if out.suffix == ".parquet":
            write_shard(
                synthesizer, rows, out, shard=only or 0, shards=shards, seed=seed, request=request, on_rows=on_rows
            )
        elif only is not None:
            part = out / part_name(only, shards)
            write_shard(synthesizer, rows, part, shard=only, shards=shards, seed=seed, request=request, on_rows=on_rows)
        else:
            write_samples(synthesizer, rows, out, seed=seed, shards=shards, request=request, on_rows=on_rows)
    typer.echo(f"{out}: written")


@app.command()
def impute(
    data: Data,
    model: Model,
    out: Annotated[Path, typer.Option(help="Parquet file to write")],
    table: Table = None,
    draws: Annotated[int, typer.Option(min=1, help="1 samples each gap; more fill in what most draws agree on")] = 1,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Fill the nulls of DATA by what MODEL expects given the rest of each row."""
    from synth.frames import from_pandas
    from synth.sources import read_table
    from synth.storage import check_file, write_parquet
    from synth.synthesizer import Synthesizer

    check_file(out)
    rows = read_table(data, table=table)
    filled = Synthesizer.load(model, device=device).impute(rows, draws=draws, seed=seed)
    write_parquet(out, from_pandas(filled))
    typer.echo(f"{out}: {sum(column.null_count for column in rows.columns)} gaps filled")


@app.command()
def score(
    data: Data,
    model: Model,
    out: Annotated[Path, typer.Option(help="Parquet file to write: DATA with a column log_prob")],
    table: Table = None,
    anomaly: Annotated[
        bool, typer.Option("--anomaly", help="Of pictures: a column anomaly_score, high ones stand out")
    ] = False,
    device: Device = "auto",
) -> None:
    """Write the log-likelihood of every row of DATA under MODEL, of series at each step that of the whole series; low
    ones mark anomalies."""
    import pyarrow as pa

    from synth.nest import renest
    from synth.picture_tools import anomaly_scores
    from synth.series import flatten
    from synth.sources import read_table
    from synth.storage import check_file, write_parquet
    from synth.synthesizer import Synthesizer

    check_file(out)
    rows = read_table(data, table=table)
    name = "anomaly_score" if anomaly else "log_prob"
    if name in rows.column_names:
        raise InputError(f"column {name!r} is there already; rename or drop it")
    synthesizer = Synthesizer.load(model, device=device)
    rows = renest(rows, synthesizer.schema_.arrow_schema)
    found = anomaly_scores(synthesizer, rows) if anomaly else synthesizer.log_prob(rows)
    write_parquet(out, flatten(rows.append_column(name, pa.array(found))))
    typer.echo(f"{out}: {len(found)} rows scored")


@app.command()
def validate(
    synthetic: Synthetic,
    model: Model,
    train: Annotated[str | None, typer.Option(help="Training rows: adds pair rules and distributions")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the results")] = None,
    docs: Annotated[Path | None, typer.Option(help="Folder for Great Expectations' Data Docs")] = None,
) -> None:
    """Check SYNTHETIC against the expectations that follow from the model's schema; exit 1 if one fails."""
    from synth.description import read_fitted
    from synth.errors import CheckFailed
    from synth.nest import renest
    from synth.sources import read_table
    from synth.storage import check_file, write_json
    from synth.validation import suite
    from synth.validation import validate as check

    if out is not None:
        check_file(out)
    schema = read_fitted(model).schema
    known = None if train is None else renest(read_table(train), schema.arrow_schema)
    result = check(Path(synthetic), suite(schema, known), docs)
    if out is not None:
        write_json(out, result)
    failed = result["critical_failures"]
    typer.echo(
        f"{len(result['expectations'])} expectations, {len(failed)} critical failures, "
        f"{len(result['warnings'])} warnings"
    )
    if failed:
        raise CheckFailed(f"{synthetic}: {failed[0]}")


@app.command()
def evaluate(
    synthetic: Synthetic,
    train: Train,
    test: Test,
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and report.html")],
    holdout: Holdout = None,
    target: Target = None,
    entity: Entity = None,
    time: Time = None,
    window: Window = None,
    stride: Stride = None,
    seed: Seed = 0,
) -> None:
    """Measure quality, diversity, privacy and lift of SYNTHETIC beside floors; write metrics.json and report.html."""
    from synth.detection import detect
    from synth.modality import modality
    from synth.storage import check_file, write_json, write_text

    for name in ("metrics.json", "report.html"):
        check_file(out / name)
    rows = _rows(synthetic, train, test, holdout)
    rows["train"] = arguments.series(rows["train"], entity, time, window, stride)
    texts = modality(rows["train"], target) == "text"
    data = _tables(rows, detect(rows["train"], target=target, texts=texts))
    metrics, lift = _measure(data, seed)
    page = _page(data, str(synthetic), metrics, lift)
    write_json(out / "metrics.json", {**metrics, "lift": lift})
    write_text(out / "report.html", page)
    typer.echo(f"{out / 'report.html'}: written")


@app.command()
def release(
    synthetic: Synthetic,
    model: Model,
    train: Train,
    test: Test,
    out: Annotated[Path, typer.Option(help="Release folder to write")],
    holdout: Holdout = None,
    title: Annotated[str, typer.Option(help="Title on the card")] = "Synthetic dataset",
    licence: Annotated[str, typer.Option(help="Licence of the source data, as an SPDX name")] = "unknown",
    params: Annotated[Path | None, typer.Option(help="params.yaml whose gate is used; a default gate if none")] = None,
    sign: Annotated[Path | None, typer.Option(help="Ed25519 private key (PEM, not encrypted) to sign with")] = None,
    seed: Seed = 0,
) -> None:
    """Validate and measure what MODEL drew, and release it if the gate is passed; exit 1 with the reason if not."""
    from synth.card import CardInfo
    from synth.config import GATE, load_params
    from synth.description import read_fitted
    from synth.gate import gate
    from synth.nest import renest
    from synth.release import check_place, provenance
    from synth.release import release as put_out
    from synth.signature import read_private_key
    from synth.storage import sha256
    from synth.validation import suite
    from synth.validation import validate as check

    check_place(out)
    signer = None if sign is None else read_private_key(sign)
    bounds = load_params(params).gate if params is not None else GATE
    fitted = read_fitted(model)
    rows = _rows(synthetic, train, test, holdout)
    data = _tables(rows, fitted.schema)
    validation = check(Path(synthetic), suite(fitted.schema, renest(rows["train"], fitted.schema.arrow_schema)), None)
    metrics, lift = _measure(data, seed)
    verdict = gate(validation, metrics, bounds)
    facts = provenance(
        sources={Path(train).name: sha256(train)} if Path(train).is_file() else {},
        seed=seed,
        model=fitted.model,
        source_rows=fitted.source_rows,
        privacy=fitted.privacy,
    )
    page = _page(data, title, metrics, lift, validation=validation, verdict=verdict.as_dict(), provenance=facts)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        report.write_text(page, encoding="utf-8")
        put_out(
            out,
            samples=Path(synthetic),
            schema=fitted.schema,
            verdict=verdict,
            metrics=metrics,
            lift=lift,
            validation=validation,
            report=report,
            card_info=CardInfo(name=out.name, title=title, licence=licence, target=fitted.schema.target),
            provenance=facts,
            signer=signer,
        )
    typer.echo(f"{out}: released")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A release folder")],
    key: Annotated[Path | None, typer.Option(help="Public key (PEM) of who is to have signed it")] = None,
) -> None:
    """Check every file of a release FOLDER against its SHA256SUMS, and its signature; exit 1 if anything differs."""
    from synth.release import verify as check

    signer = check(folder, key)
    typer.echo(f"{folder}: every file is as released" + (f", signed by the key {signer}" if signer else ""))
    if signer and key is None:
        typer.echo("whose key that is, the folder cannot say: compare it, or give --key")


for command in (given.transform, given.compress, given.decompress, given.forecast):
    app.command()(command)


@app.command()
def models() -> None:
    """List the generative families, the modalities they serve, and a line on each."""
    for name in available():
        module = family(name)
        first = (module.__doc__ or "").splitlines()[0]
        typer.echo(f"{name} ({', '.join(module.Model.modalities)}): {first}")


def _rows(synthetic: str, train: str, test: str, holdout: str | None) -> dict[str, pa.Table]:
    from synth.sources import read_table

    rows = {name: read_table(place) for name, place in (("train", train), ("test", test), ("synthetic", synthetic))}
    return {**rows, "holdout": rows["test"] if holdout is None else read_table(holdout)}


def _tables(rows: dict[str, pa.Table], schema: Schema) -> Tables:
    from synth.evaluation.tables import Tables
    from synth.frames import to_pandas
    from synth.nest import renest

    rows = {name: renest(table, schema.arrow_schema) for name, table in rows.items()}
    for name, table in rows.items():
        missing = [column for column in schema.names if column not in table.column_names]
        if missing:
            raise InputError(f"{name}: column {missing[0]!r} of the training rows is not there")
    return Tables(schema=schema, **{name: to_pandas(table.select(schema.names)) for name, table in rows.items()})


def _measure(data: Tables, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    from synth.config import Lift
    from synth.evaluation.lift import lift
    from synth.evaluation.measurements import evaluate as measure

    return measure(data, seed=seed), lift(data, **Lift().model_dump(), seed=seed)


def _page(data: Tables, title: str, metrics: dict[str, Any], lift: dict[str, Any], **more: Any) -> str:
    from synth.evaluation.distributions import distributions
    from synth.report import render

    nothing = dict.fromkeys(("speed", "validation", "verdict", "curve", "provenance"))
    figures = {"metrics": metrics, "lift": lift, "distributions": distributions(data), **nothing, **more}
    return render(title=title, schema=data.schema, **figures)


def main() -> None:
    """Entry point of the `synth` command."""
    run(app)


if __name__ == "__main__":
    main()
