"""One cell of the benchmark: a system on a dataset with a seed, run once and kept as a JSON file."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.peers import PEERS, python_of, versions_of
from benchmarks.processes import ProcessFailed, Spent, spend
from synth.errors import FormatError, InputError
from synth.storage import read_json, remove, sha256, write_json

log = logging.getLogger(__name__)

FLOOR = "real rows"
FIT = ("epsilon", "delta", "domains")  # settings of a family that are options of `synth fit`
OURS = ("synth", "torch", "numpy", "pandas", "scikit-learn")


def settings(system: str) -> tuple[str, dict[str, Any]]:
    """Family and hyper-parameters of `family` or `family:key=value,key=value`, the values read as YAML."""
    family, _, rest = system.partition(":")
    config = {}
    for part in filter(None, re.split(r",(?=\w+=)", rest)):
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"{system!r}: expected family:key=value,..., found {part!r}")
        config[key] = YAML(typ="safe", pure=True).load(value)
    return family, config


@dataclass(frozen=True)
class Dataset:
    """A table to learn: its name, its CSV, its target and `classification` or `regression`."""

    name: str
    source: Path
    target: str
    task: str = "classification"

    @classmethod
    def parse(cls, text: str) -> Dataset:
        """From `name=path:target` or `name=path:target:task`; InputError says what would be right."""
        found = re.fullmatch(r"([\w-]+)=(.+?):([^:]+?)(?::(classification|regression))?", text)
        if not found:
            raise InputError(f"--data {text!r}: expected name=path.csv:target, with :regression where it is a number")
        dataset = cls(found[1], Path(found[2]), found[3], found[4] or "classification")
        if not dataset.source.is_file():
            raise InputError(f"--data {dataset.name}: no file {str(dataset.source)!r}")
        return dataset


@dataclass(frozen=True)
class Bench:
    """scorers: the folder of the independent scorer. work: environments, splits, rows, cells and logs."""

    scorers: Path
    work: Path

    def script(self, name: str) -> Path:
        """A script of the scorer's folder; InputError where it is missing."""
        if not (self.scorers / name).is_file():
            raise InputError(
                f"--bench {self.scorers}: {name} is not there; the scorers and peer runners are not part of the "
                "project, name the folder that has them"
            )
        return self.scorers / name

    def split(self, dataset: Dataset) -> Path:
        """The folder with train.csv and test.csv of a dataset, made by the scorer's own split of 80 to 20."""
        folder, digest = self.work / "data" / dataset.name, sha256(dataset.source)
        marker = folder / "source.json"
        if not marker.is_file() or read_json(marker) != {"sha256": digest, "target": dataset.target}:
            parts = (dataset.name, dataset.source, dataset.target, folder.parent)
            spend([sys.executable, self.script("split.py"), *parts], self.work / "logs" / f"{dataset.name}-split.log")
            write_json(marker, {"sha256": digest, "target": dataset.target})
        return folder


@dataclass(frozen=True)
class Cell:
    """A system on a dataset with a seed.

    system: `real rows`, a peer's name, or a family's, with settings where wanted: `baseline:kind=copula,other=1`,
        or `marginals:epsilon=1,delta=1e-6,domains=adult.yaml`.
    """

    bench: Bench
    dataset: Dataset
    system: str
    seed: int

    @property
    def name(self) -> str:
        """As a file name."""
        return re.sub(r"[^\w.=-]+", "_", f"{self.dataset.name}-{self.system}-{self.seed}")

    @property
    def path(self) -> Path:
        """Where the result is kept."""
        return self.bench.work / "cells" / f"{self.name}.json"

    def kept(self, digest: str) -> dict[str, Any] | None:
        """The result of an earlier run on the same training rows; None where there is none."""
        try:
            result = read_json(self.path)
        except (InputError, FormatError):
            return None
        return result if isinstance(result, dict) and result.get("train_sha256") == digest else None

    def run(self) -> dict[str, Any]:
        """Fit, sample, score and keep the result; a system that fails is a result, too."""
        folder = self.bench.split(self.dataset)
        result: dict[str, Any] = {
            "dataset": self.dataset.name,
            "system": self.system,
            "seed": self.seed,
            "train_sha256": sha256(folder / "train.csv"),
            "versions": {"python": platform.python_version(), "machine": platform.machine()},
        }
        try:
            result |= self._figures(folder, result["versions"])
            result["status"] = "done"
        except ProcessFailed as error:
            result |= {"status": "failed", "error": str(error)}
        write_json(self.path, result)
        return result

    def _figures(self, folder: Path, versions: dict[str, str]) -> dict[str, Any]:
        made = self.bench.work / "rows" / f"{self.name}.csv"
        made.parent.mkdir(parents=True, exist_ok=True)
        train = folder / "train.csv"
        if self.system == FLOOR:
            train = made.with_suffix(".train.csv")
            halves: list[str | Path] = [sys.executable, "-m", "benchmarks.halves", folder / "train.csv", train, made]
            self._spend([*halves, "--seed", str(self.seed)], "halves")
            costs: dict[str, float] = {}
        elif self.system in PEERS:
            costs = self._peer(folder, made, versions)
        else:
            costs = self._family(folder, made, versions)
        files = ("--train", train, "--test", folder / "test.csv", "--synthetic", made)
        asked = (*files, "--target", self.dataset.target, "--task", self.dataset.task, "--seed", str(self.seed))
        scores = self._spend([sys.executable, self.bench.script("evaluate.py"), *asked], "scores").answer()
        return {"costs": costs, "scores": scores}

    def _peer(self, folder: Path, made: Path, versions: dict[str, str]) -> dict[str, float]:
        peer, environments = PEERS[self.system], self.bench.work / "environments"
        python = python_of(peer.environment, environments)
        versions |= versions_of(peer.environment, environments)
        spent = self._spend([python, self.bench.script(peer.runner), *peer.arguments, folder, made], "peer")
        said = spent.answer()
        return {
            "fit_s": said["fit_s"],
            "fit_cpu_s": said["fit_cpu_s"],
            "cpu_s": spent.cpu_seconds,
            "memory_mb": spent.memory_mb,
            "rows_per_s": round(said["rows"] / max(said["sample_s"], 1e-3)),
        }

    def _family(self, folder: Path, made: Path, versions: dict[str, str]) -> dict[str, float]:
        versions |= {name: importlib.metadata.version(name) for name in OURS}
        family, config = settings(self.system)
        model = self.bench.work / "models" / self.name
        own = [part for key in FIT if key in config for part in (f"--{key}", str(config.pop(key)))]
        options = own + [part for key, value in config.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        options += ["--model", family, "--target", self.dataset.target, "--seed", str(self.seed)]
        remove(model.with_name(f".{model.name}.checkpoint"))  # a fit that goes on from one would look cheap
        command: list[str | Path] = [sys.executable, "-m", "synth.cli", "fit", folder / "train.csv", "--out", model]
        fit = self._spend([*command, *options], "fit")
        places = (model, folder / "train.csv", made)
        drawn = self._spend([sys.executable, "-m", "benchmarks.draw", *places, "--seed", str(self.seed)], "draw")
        said = drawn.answer()
        return {
            "fit_s": fit.seconds,
            "fit_cpu_s": fit.cpu_seconds,
            "cpu_s": round(fit.cpu_seconds + drawn.cpu_seconds, 3),
            "memory_mb": max(fit.memory_mb, drawn.memory_mb),
            "rows_per_s": round(said["rows"] / max(said["sample_s"], 1e-3)),
        }

    def _spend(self, command: list[str | Path], step: str) -> Spent:
        return spend(command, self.bench.work / "logs" / f"{self.name}.{step}.log")


def results(cells: list[Cell], again: bool, on_cell: Callable[[list[dict[str, Any]]], None]) -> list[dict[str, Any]]:
    """Every cell's result, one after the other: kept ones first read, then the rest run.

    again: run the kept ones anew. on_cell: called with all results so far after each cell that was run.
    """
    done: list[dict[str, Any]] = []
    for number, cell in enumerate(cells, 1):
        digest = sha256(cell.bench.split(cell.dataset) / "train.csv")
        kept = None if again else cell.kept(digest)
        result = kept or cell.run()
        done.append(result)
        state = result["status"] if result["status"] == "done" else f"failed: {result['error']}"
        log.info("%d/%d %s%s: %s", number, len(cells), cell.name, " (kept)" if kept else "", state)
        if not kept:
            on_cell(done)
    return done
