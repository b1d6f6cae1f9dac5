"""The release folder: data, schema, card, privacy statement, metadata, checksums, signature; and the check of one."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from synth.card import CardInfo, card
from synth.croissant import croissant
from synth.errors import CheckFailed, InputError
from synth.gate import Verdict
from synth.schema import Schema
from synth.signature import fingerprint, is_signed, public_pem, read_public_key
from synth.statement import statement
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

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CHECKSUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"  # the 64 bytes of RFC 8032
PUBLIC_KEY = "PUBLIC_KEY.pem"
PRIVACY = "PRIVACY.md"
METADATA = "croissant.json"
PROVENANCE = "provenance.json"
PACKAGES = ("synth", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "great-expectations", "dvc")


def provenance(
    *,
    sources: Mapping[str, str],
    seed: int,
    params: Mapping[str, Any] | None = None,
    model: str | None = None,
    source_rows: int | None = None,
    privacy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Where a dataset comes from: digests of the source files, configuration, versions, seed, git revision.

    sources: file name -> sha256. Names no path, user or machine
    source_rows: training rows that there were; `Schema.rows` of them were learnt from
    privacy: the model's differential privacy guarantee, where it has one. Digests of the source are left out then: who
        guesses all rows but one could try that one on them
    """
    return {
        "synthetic": True,
        "sources": {} if privacy else dict(sources),
        "model": model,
        "source_rows": source_rows,
        "privacy": None if privacy is None else dict(privacy),
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
    signer: Ed25519PrivateKey | None = None,
) -> None:
    """Write the release folder `out` as a whole, signed where there is a `signer`, or refuse.

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
        provenance = {"rows": rows, "released": _today(), **provenance, **_exposed(parts[0])}
        for place, part in enumerate(parts):
            shutil.copyfile(part, data / f"part-{place:05d}-of-{len(parts):05d}.parquet")
        schema.save(temporary / "schema.json")
        write_json(temporary / PROVENANCE, {**provenance, "verdict": verdict.as_dict()})
        if report is not None and not provenance.get("privacy"):  # it draws the real rows, which no budget counts
            shutil.copyfile(report, temporary / "report.html")
        write_text(temporary / PRIVACY, statement(card_info, schema, rows, metrics, provenance))
        text = card(card_info, schema, rows, metrics, lift, validation, verdict, provenance)
        write_text(temporary / "README.md", text)
        if signer is not None:
            (temporary / PUBLIC_KEY).write_bytes(public_pem(signer))
        files = _files(temporary)
        digests = {name: sha256(file) for name, file in files.items()}
        known = {name: (digest, files[name].stat().st_size) for name, digest in digests.items()}
        write_json(temporary / METADATA, croissant(card_info, schema, rows, known, provenance))
        digests[METADATA] = sha256(temporary / METADATA)
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
        write_text(temporary / CHECKSUMS, lines)
        if signer is not None:
            (temporary / SIGNATURE).write_bytes(signer.sign(lines.encode()))


def _today() -> str:
    """The day in UTC; that of SOURCE_DATE_EPOCH where it is set, so that a build can be repeated to the byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return (datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)).date().isoformat()


def check_place(out: Path) -> None:
    """InputError for a place that a release cannot take: a file, a folder with something else in it, or none that
    can be made."""
    if out.exists() and not (out.is_dir() and ((out / CHECKSUMS).is_file() or not any(out.iterdir()))):
        raise InputError(f"{out}: holds something else than a release ({CHECKSUMS} is not there); name another folder")
    if out.exists() and any(out.iterdir()):
        added = sorted(set(_files(out)) - set(_listed(read_text(out / CHECKSUMS), out)))
        if added:
            raise InputError(f"{out}: holds {added[0]}, which is no part of the release there; name another folder")
    check_writable(out)


def verify(folder: str | Path, key: str | Path | None = None) -> str | None:
    """Hold every file of a release against its SHA256SUMS, and that against its signature.

    key: PEM file with the public key of who is to have signed it; without one, a signature is held against the key
    that the release brings, which shows that the two belong together, not whose they are
    Returns the fingerprint of the key that signed it, None where nobody did. CheckFailed names the first file that
    was changed, is missing or is not listed, or says what is wrong with the signature; InputError a folder that is no
    release, or a key that cannot be read.
    """
    place = Path(folder)
    expected = None if key is None else read_public_key(key)
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
    return _signed_by(place, expected)


def _signed_by(place: Path, expected: Ed25519PublicKey | None) -> str | None:
    """Fingerprint of the key that signed the checksums, which is `expected` where that is given."""
    if not (place / SIGNATURE).is_file():
        if expected is not None or (place / PUBLIC_KEY).is_file():
            raise CheckFailed(f"{place}: not signed ({SIGNATURE} is not there)")
        return None
    key = expected or read_public_key(place / PUBLIC_KEY)
    if not is_signed(key, (place / SIGNATURE).read_bytes(), (place / CHECKSUMS).read_bytes()):
        raise CheckFailed(f"{place}: {SIGNATURE} is not of {CHECKSUMS} by the key {fingerprint(key)}")
    return fingerprint(key)


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
    """Every file of a folder but the checksums and their signature, by its name relative to it, sorted."""
    walked = [(Path(root), folders, names) for root, folders, names in os.walk(place)]
    found = [root / name for root, _, names in walked for name in names]
    for file in (*found, *(root / name for root, folders, _ in walked for name in folders)):
        if file.is_symlink():
            raise CheckFailed(f"{place}: {file.relative_to(place)} is a link; a release holds its files itself")
    named = {file.relative_to(place).as_posix(): file for file in found}
    return {name: named[name] for name in sorted(named) if name not in (CHECKSUMS, SIGNATURE)}
