"""The release folder: Parquet, schema, card, provenance, report and checksums; and the check of one."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synth.card import CardInfo, card
from synth.errors import CheckFailed, InputError
from synth.gate import Verdict
from synth.schema import Schema
from synth.storage import (
    EXPOSED,
    check_writable,
    parquet_files,
    read_json,
    read_text,
    remove,
    replacing,
    sha256,
    write_json,
    write_text,
)

CHECKSUMS = "SHA256SUMS"
PROVENANCE = "provenance.json"
PACKAGES = ("synth", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "great-expectations", "dvc")


def provenance(
    *,
    sources: Mapping[str, str],
    seed: int,
    params: Mapping[str, Any] | None = None,
    model: str | None = None,
    source_rows: int | None = None,
) -> dict[str, Any]:
    """Where a dataset comes from: digests of the source files, configuration, versions, seed, git revision.

    sources: file name -> sha256. Names no path, user or machine
    source_rows: training rows that there were; `Schema.rows` of them were learnt from
    """
    return {
        "synthetic": True,
        "sources": dict(sources),
        "model": model,
        "source_rows": source_rows,
        "seed": seed,
        "params": None if params is None else dict(params),
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _revision(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _revision() -> dict[str, Any] | None:
    """The commit that is checked out, and whether tracked files differ from it; None outside a repository."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
        diff = subprocess.run(  # noqa: S603
            ["git", "status", "--porcelain", "--untracked-files=no", "--", *_code()],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"revision": head.stdout.strip(), "dirty": bool(diff.stdout.strip())}


def _code() -> list[str]:
    """What a dataset is made by: the figures and locks that a run rewrites do not make it dirty."""
    return [name for name in ("synth", "pipelines", "params.yaml", "dvc.yaml", "data.dvc") if Path(name).exists()]


def release(
    out: str | Path,
    *,
    samples: Path,
    schema: Schema,
    verdict: Verdict,
    metrics: Mapping[str, Any],
    lift: Mapping[str, Any] | None,
    validation: Mapping[str, Any],
    report: Path | None,
    card_info: CardInfo,
    provenance: Mapping[str, Any],
) -> None:
    """Write the release folder `out` as a whole, or refuse.

    A verdict that did not pass raises CheckFailed with its reasons, and removes what an earlier run released
    under the same name. InputError where `out` holds anything but a release: it is left as it is.
    """
    check_place(Path(out))
    if not verdict.passed:
        remove(out)
        raise CheckFailed("not released: " + "; ".join(verdict.reasons))
    with replacing(out) as temporary:
        data = temporary / "data"
        data.mkdir(parents=True)
        parts = parquet_files(samples)
        rows = _rows(parts)
        provenance = {"rows": rows, **provenance, **_exposed(parts[0])}
        for place, part in enumerate(parts):
            shutil.copyfile(part, data / f"part-{place:05d}-of-{len(parts):05d}.parquet")
        schema.save(temporary / "schema.json")
        write_json(temporary / PROVENANCE, {**provenance, "verdict": verdict.as_dict()})
        if report is not None:
            shutil.copyfile(report, temporary / "report.html")
        text = card(card_info, schema, rows, metrics, lift, validation, verdict, provenance)
        write_text(temporary / "README.md", text)
        lines = [f"{sha256(file)}  {name}\n" for name, file in _files(temporary).items()]
        write_text(temporary / CHECKSUMS, "".join(lines))


def check_place(out: Path) -> None:
    """InputError for a place that a release cannot take: a file, a folder with something else in it, or none that
    can be made."""
    if out.exists() and not (out.is_dir() and ((out / CHECKSUMS).is_file() or not any(out.iterdir()))):
        raise InputError(f"{out}: holds something else than a release ({CHECKSUMS} is not there); name another folder")
    check_writable(out)


def verify(folder: str | Path) -> None:
    """Hold every file of a release against its SHA256SUMS.

    CheckFailed names the first file that was changed, is missing or is not listed; InputError a folder that is no
    release.
    """
    place = Path(folder)
    if not (place / CHECKSUMS).is_file():
        raise InputError(f"{folder}: no release folder ({CHECKSUMS} is not there)")
    listed = _listed(read_text(place / CHECKSUMS), place)
    there = _files(place)
    for name, digest in listed.items():
        if name not in there:
            raise CheckFailed(f"{folder}: {name} is missing")
        if sha256(there[name]) != digest:
            raise CheckFailed(f"{folder}: {name} was changed: its sha256 is not the one in {CHECKSUMS}")
    for name in there:
        if name not in listed:
            raise CheckFailed(f"{folder}: {name} is not listed in {CHECKSUMS}")
    rows, said = _rows(parquet_files(place / "data")), read_json(place / PROVENANCE).get("rows")
    if rows != said:
        raise CheckFailed(f"{folder}: {rows} rows in data/, but {PROVENANCE} says {said}")


def _rows(parts: list[Path]) -> int:
    """Rows of Parquet files; InputError names the first that is none."""
    rows = 0
    for part in parts:
        try:
            rows += pq.read_metadata(part).num_rows
        except pa.ArrowInvalid as error:
            raise InputError(f"{part}: not a Parquet file ({str(error).splitlines()[0]})") from None
    return rows


def _exposed(part: Path) -> dict[str, str]:
    """What the generator of a sample said of rows of the source in it, where it said anything."""
    found = (pq.read_metadata(part).metadata or {}).get(EXPOSED.encode())
    return {EXPOSED: found.decode()} if found else {}


def _listed(text: str, place: Path) -> dict[str, str]:
    listed = {}
    for number, line in enumerate(text.splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != hashlib.sha256().digest_size * 2 or not name:
            raise CheckFailed(f"{place}: line {number} of {CHECKSUMS} is no checksum")
        listed[name] = digest
    return listed


def _files(place: Path) -> dict[str, Path]:
    """Every file of a folder but the list of checksums, by its name relative to it, sorted."""
    walked = [(Path(root), folders, names) for root, folders, names in os.walk(place)]
    found = [root / name for root, _, names in walked for name in names]
    for file in (*found, *(root / name for root, folders, _ in walked for name in folders)):
        if file.is_symlink():
            raise CheckFailed(f"{place}: {file.relative_to(place)} is a link; a release holds its files itself")
    named = {file.relative_to(place).as_posix(): file for file in found}
    return {name: named[name] for name in sorted(named) if name != CHECKSUMS}
