"""What a data team would take instead: each in an environment of its own, since none agrees with ours on pandas."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import spend
from synth.storage import read_json, write_json

log = logging.getLogger(__name__)

READY = "ready.json"
LISTED = (
    "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name'].lower(): d.version "
    "for d in m.distributions()}))"
)


@dataclass(frozen=True)
class Environment:
    """Packages of a virtual environment.

    alone: installed without what they ask for. packages: installed with it. shown: versions that stand in the table.
    """

    packages: tuple[str, ...]
    shown: tuple[str, ...]
    alone: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Changes when the environment has to be made anew."""
        return hashlib.sha256(json.dumps([self.packages, self.alone, sys.version]).encode()).hexdigest()


TORCH = "torch==2.13.0"
ENVIRONMENTS = {
    "sdv": Environment(packages=(TORCH, "sdv==2.0.0"), shown=("sdv", "ctgan", "copulas", "torch", "pandas")),
    # It pins torchaudio and torchvision to releases that want another torch, and a table needs neither.
    "argn": Environment(
        alone=("mostlyai-engine==2.7.3",),
        packages=(
            TORCH,
            *("accelerate>=1.5", "datasets>=3", "huggingface-hub>=0.30", "joblib>=1.4", "json-repair>=0.60"),
            *("numpy>=2", "opacus>=1.6", "pandas>=2.2", "peft>=0.18.2", "psutil>=5.9.5,<6", "pyarrow>=16"),
            *("scikit-learn>=1.4", "tokenizers>=0.21", "transformers>=5.5.3"),
        ),
        shown=("mostlyai-engine", "torch", "pandas"),
    ),
    # The reference for the attacks; it wants a numpy before 2.
    "anonymeter": Environment(packages=("anonymeter==1.1.0",), shown=("anonymeter", "numpy", "pandas", "polars")),
}


@dataclass(frozen=True)
class Peer:
    """environment: where it is installed. runner: the scorer folder's script. arguments: before the data folder."""

    environment: str
    runner: str
    arguments: tuple[str, ...] = ()


PEERS = {
    "GaussianCopula": Peer("sdv", "peers_sdv.py", ("GaussianCopula",)),
    "CTGAN": Peer("sdv", "peers_sdv.py", ("CTGAN",)),
    "TVAE": Peer("sdv", "peers_sdv.py", ("TVAE",)),
    "TabularARGN": Peer("argn", "peers_argn.py"),
}


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of an environment under `folder`, which is installed where it is not there yet."""
    wanted, place = ENVIRONMENTS[name], folder / name
    python = place / "bin" / "python"
    if (place / READY).is_file() and read_json(place / READY)["digest"] == wanted.digest:
        return python
    log.info("%s: installing %s", place, ", ".join((*wanted.alone, *wanted.packages)))
    messages = folder / f"{name}.log"
    spend([sys.executable, "-m", "venv", "--clear", place], messages)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if wanted.alone:
        spend([*pip, "--no-deps", *wanted.alone], messages)
    spend([*pip, *wanted.packages], messages)
    installed = spend([python, "-c", LISTED], messages).answer()
    versions = {package: installed[package] for package in wanted.shown if package in installed}
    write_json(place / READY, {"digest": wanted.digest, "versions": versions})
    return python


def versions_of(name: str, folder: Path) -> dict[str, str]:
    """The versions of an installed environment that stand in the table."""
    found: dict[str, str] = read_json(folder / name / READY)["versions"]
    return found
