"""Fetch the declared sources into data/, the same bytes every time, and hold them against data.dvc."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin

import fsspec
import typer

from synth.config import Source, load_params
from synth.console import stage
from synth.errors import InputError
from synth.sources import read_table, read_whole, shown
from synth.storage import remove, replacing, write_parquet

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
        _unpack(source, source.wheel, _wheel(source.wheel), folder)
    elif source.sdist is not None:
        _unpack(source, source.sdist, _sdist(source.sdist), folder)
    elif source.sql is not None:
        write_parquet(folder / f"{source.table}.parquet", read_table(source.sql, table=source.table))
    else:
        location = str(source.path or source.url)
        if Path(location).is_dir():
            shutil.copytree(location, folder, dirs_exist_ok=True)
            return
        try:
            system, path = fsspec.core.url_to_fs(location)
            system.get_file(path, str(folder / Path(shown(location)).name))
        except FileNotFoundError:
            raise InputError(f"{shown(location)}: no such file") from None
        except (OSError, ValueError, ImportError) as error:
            raise InputError(f"{shown(location)}: cannot be fetched ({type(error).__name__})") from None


def _wheel(requirement: str) -> bytes:
    with tempfile.TemporaryDirectory() as download:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run(
            [*pip, "--disable-pip-version-check", "--dest", download, requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(download).glob("*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise InputError(f"{requirement}: pip cannot download it ({last})")
        return wheels[0].read_bytes()


def _sdist(requirement: str) -> bytes:
    """A source distribution, from the index that pip uses; pip itself would run its `setup.py` to look at it."""
    name, _, version = requirement.partition("==")
    index = _index()
    project = f"{index}/{re.sub(r'[-_.]+', '-', name).lower()}/"
    file = f"{name}-{version}.tar.gz"
    try:
        links = read_whole(project + ("index.html" if index.startswith("file:") else "")).decode()
        link = re.search(rf'href="([^"#]+)[^>]*>\s*{re.escape(file)}\s*<', links)
        if link is None:
            raise InputError(f"{requirement}: the package index has no {file}")
        return read_whole(urljoin(project, unescape(link[1])))
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{requirement}: cannot be fetched ({type(error).__name__})") from None


def _index() -> str:
    """The package index that pip is set to, else its own; pip's help says which."""
    pip = [sys.executable, "-m", "pip", "download", "--help"]
    wide = {**os.environ, "COLUMNS": "10000"}
    said = " ".join(subprocess.run(pip, capture_output=True, text=True, check=False, env=wide).stdout.split())
    found = re.search(r"--index-url <url>.*?\(default ([^ )]+)\)", said)
    if found is None:
        raise InputError("pip names no package index")
    return found[1].rstrip("/")


def _unpack(source: Source, requirement: str, package: bytes, folder: Path) -> None:
    digest = hashlib.sha256(package).hexdigest()
    if digest != source.sha256:
        raise InputError(f"{requirement}: sha256 is {digest}, expected {source.sha256}")
    names, read = _zipped(package) if source.wheel else _tarred(package)
    for file in source.files:
        name = next((name for name in names if name.endswith("/" + file)), None)
        if name is None:
            raise InputError(f"{requirement}: holds no file {file!r}")
        (folder / Path(file).name).write_bytes(read(name))


def _zipped(package: bytes) -> tuple[list[str], Callable[[str], bytes]]:
    archive = zipfile.ZipFile(io.BytesIO(package))
    return archive.namelist(), archive.read


def _tarred(package: bytes) -> tuple[list[str], Callable[[str], bytes]]:
    archive = tarfile.open(fileobj=io.BytesIO(package))  # noqa: SIM115 - in memory

    def read(name: str) -> bytes:
        content = archive.extractfile(name)
        return b"" if content is None else content.read()

    return [member.name for member in archive.getmembers() if member.isfile()], read


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
