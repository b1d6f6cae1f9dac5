"""prepare: read the source, split it, and detect the schema on the training rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.config import Source, load_params
from synth.console import PathOption, stage
from synth.detection import detect
from synth.errors import InputError
from synth.pictures import has_pictures, read_pixels
from synth.sources import read_table
from synth.splits import split, split_series
from synth.storage import digest, replacing, write_json, write_parquet


def main(dataset: str, source: PathOption, out: PathOption) -> None:
    """Write train.parquet, holdout.parquet, test.parquet, schema.json and source.json for one dataset."""
    params = load_params()
    declared = params.dataset(dataset)
    files = source_files(source, declared.source)
    table = pa.concat_tables([read(file, declared.source) for file in files], promote_options="permissive")
    shares = declared.split
    how: dict[str, Any] = {"target": declared.target, "holdout": shares.holdout, "test": shares.test}
    if declared.series is None:
        parts = split(table, **how, seed=params.seed)
    else:
        parts = split_series(table, declared.series, **how, by=shares.by, seed=params.seed)
    schema = detect(
        parts[0],
        target=declared.target,
        kinds=declared.kinds,
        personal=declared.personal,
        domains=declared.domains,
        rules=declared.rules,
        rare_values=declared.rare_values,
    )
    with replacing(out) as temporary:
        temporary.mkdir()
        for name, part in zip(("train", "holdout", "test"), parts, strict=True):
            write_parquet(temporary / f"{name}.parquet", part)
        schema.save(temporary / "schema.json")
        facts = {"rows": table.num_rows, "sha256": {file.name: digest(file) for file in files}}
        write_json(temporary / "source.json", facts)


def source_files(folder: Path, source: Source) -> list[Path]:
    """The fetched files of a dataset, in the order that its source declares."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no source data; run `python -m pipelines.sources` or `dvc pull`")
    if has_pictures(folder):
        return [folder]
    if source.files:
        return [folder / Path(file).name for file in source.files]
    return sorted(file for file in folder.iterdir() if not file.name.startswith("."))


def read(file: Path, source: Source) -> pa.Table:
    """One source file, or a folder of pictures, read as its entry in params.yaml says."""
    if source.pixels is not None:
        return read_pixels(file, *source.pixels, source.columns)
    return read_table(
        file,
        columns=source.columns,
        delimiter=source.delimiter,
        encoding=source.encoding,
        comment=source.comment,
        strip=source.strip,
        text=source.text,
    )


if __name__ == "__main__":
    stage(main)
