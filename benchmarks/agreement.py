"""Our attacks beside those of `anonymeter`, the library of Giomi et al. 2023: the same files, the same questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.peers import ENVIRONMENTS, python_of, versions_of
from benchmarks.processes import spend
from benchmarks.victims import GENERATORS, thirds
from synth.detection import detect
from synth.errors import InputError
from synth.evaluation.attacks import attribute_inference, linkability, singling_out
from synth.evaluation.attacks.rates import Rate, advantage
from synth.evaluation.encoding import Views
from synth.evaluation.neighbours import Space
from synth.evaluation.tables import Tables
from synth.frames import from_pandas
from synth.storage import read_json, sha256, write_json, write_text

ENVIRONMENT = "anonymeter"
RUNNER = Path(__file__).with_name("reference_anonymeter.py")
COMBINED = 3  # columns of the reference's predicates, its default
LEAST = 1_000  # rows of the source
POOLED = "inference, all columns"  # every column in turn the secret, as `synth evaluate` reports it

Halves = tuple[Sequence[str], Sequence[str]]


class Line(NamedTuple):
    """One question about one generator, as both answer it; both within 0 to 1, as the reference reports them."""

    generator: str
    question: str
    ours: Rate
    theirs: Rate

    @property
    def overlap(self) -> bool:
        """Whether the intervals have a point in common."""
        return max(self.ours.low, self.theirs.low) <= min(self.ours.high, self.theirs.high)

    @property
    def caught(self) -> tuple[bool, bool]:
        """Whether ours and theirs find a leak: an interval above 0."""
        return self.ours.low > 0, self.theirs.low > 0

    @property
    def agrees(self) -> bool:
        """The same verdict and, where both ask the same, overlapping intervals.

        Singling out tries other predicates here than there, so that the size of the risk is no common figure.
        """
        same = self.caught[0] == self.caught[1]
        return same and (self.overlap or self.question.startswith("singling out"))


def compare(source: Path, attempts: int, work: Path, seed: int) -> str:
    """The table of both as Markdown, also written to `work` as JSON and Markdown."""
    if not source.is_file():
        raise InputError(f"--reference {source}: there is no such file")
    tables = _tables(source, work / "reference" / source.stem, seed)
    if attempts > len(tables["train"]):
        raise InputError(f"--attempts {attempts}: expected no more than the {len(tables['train'])} training rows")
    environments = work / "environments"
    python = python_of(ENVIRONMENT, environments)
    lines: list[Line] = []
    gap = 0.0
    for generator in GENERATORS:
        views, rng = _views(tables, generator), np.random.default_rng(seed)
        halves = linkability.halves(views, rng)
        questions = _questions(work / "reference" / source.stem, generator, views, halves, attempts, seed)
        risks = _asked(python, questions, work / "logs" / f"reference-{generator}.log")
        for question, rate in ours(views, halves, attempts, rng):
            theirs = Rate(*(risks[question][end] for end in Rate._fields))
            lines.append(Line(generator, question, _bound(rate), theirs))
            gap = max(gap, *(abs(one - other) for one, other in zip(_recount(risks[question]), theirs, strict=True)))
    versions = versions_of(ENVIRONMENT, environments)
    text = markdown(lines, attempts, len(tables["train"]), gap, versions)
    write_text(work / "reference.md", text)
    write_json(work / "reference.json", {"lines": [_plain(line) for line in lines], "gap": gap, "versions": versions})
    return text


def _questions(folder: Path, generator: str, views: Views, halves: Halves, attempts: int, seed: int) -> Path:
    """The file that tells the reference what it is asked."""
    files = {"train": "train", "control": "control", "synthetic": generator}
    asked = {
        **{role: str((folder / f"{name}.csv").resolve()) for role, name in files.items()},
        "attempts": attempts,
        "seed": seed,
        "neighbours": linkability.NEIGHBOURS,
        "halves": [list(half) for half in halves],
        "secrets": list(views.names),
        "combined": COMBINED,
    }
    write_json(folder / f"{generator}.json", asked)
    return folder / f"{generator}.json"


def _asked(python: Path, questions: Path, log: Path) -> dict[str, dict[str, float]]:
    """The reference's risks; those of an earlier run where the questions, the files and the version are the same."""
    asked, kept = read_json(questions), questions.with_name(f"{questions.stem}-answers.json")
    files = {role: sha256(Path(asked[role])) for role in ("train", "control", "synthetic")}
    marker = {"asked": asked, "files": files, "environment": ENVIRONMENTS[ENVIRONMENT].digest}
    if not kept.is_file() or read_json(kept)["marker"] != marker:
        write_json(kept, {"marker": marker, **spend([python, RUNNER, questions], log).answer()})
    risks: dict[str, dict[str, float]] = read_json(kept)["risks"]
    inferred = [risk for question, risk in risks.items() if question.startswith("inference of")]
    total = {name: sum(risk[name] for risk in inferred) for name in ("hits", "control_hits", "attacks")}
    return {**risks, POOLED: {**_recount(total)._asdict(), **total}}


def _tables(source: Path, folder: Path, seed: int) -> dict[str, pd.DataFrame]:
    frame = pd.read_csv(source)
    if len(frame) < LEAST:
        raise InputError(f"--reference {source}: found {len(frame)} rows, expected at least {LEAST}")
    tables = thirds(frame, np.random.default_rng(seed))
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return tables


def _views(tables: Mapping[str, pd.DataFrame], generator: str) -> Views:
    train, control = tables["train"], tables["control"]
    return Tables(train, control, control[:0], tables[generator], detect(from_pandas(train))).views


def ours(views: Views, halves: Halves, attempts: int, rng: np.random.Generator) -> Iterator[tuple[str, Rate]]:
    """Question and answer: singling out of one column and of several, linkability, and each column as the secret.

    The pieces of `synth.evaluation.attacks`, asked as the reference asks: one secret at a time, right when it is equal.
    """
    made, train, control = (singling_out.columns(getattr(views, role)) for role in ("synthetic", "train", "holdout"))
    for mode in ("univariate", "multivariate"):
        predicates = getattr(singling_out, mode)(made, len(views.numbers), rng)
        hits, control_hits = (sum(len(p.matches(table)) == 1 for p in predicates) for table in (train, control))
        yield f"singling out, {mode}", advantage(hits, len(predicates), control_hits, len(predicates))
    space = Space.fit(views.synthetic, rng)
    parts = [views.places(half) for half in halves]
    targets = [view.draw(attempts, rng) for view in (views.train, views.holdout)]
    hits, control_hits = (int(linkability.linked(space, rows, views.synthetic, parts).sum()) for rows in targets)
    yield "linkability", advantage(hits, attempts, control_hits, attempts)
    pooled = np.zeros(2, dtype=np.int64)
    for secret in views.names:
        targets = [view.draw(attempts, rng) for view in (views.train, views.holdout)]
        hits, control_hits = (
            int(attribute_inference.guessed(space, rows, views.synthetic, secret, views, close=0).sum())
            for rows in targets
        )
        pooled += hits, control_hits
        yield f"inference of {secret}", advantage(hits, attempts, control_hits, attempts)
    total = attempts * len(views.names)
    yield POOLED, advantage(int(pooled[0]), total, int(pooled[1]), total)


def _bound(rate: Rate) -> Rate:
    return Rate(*(min(max(end, 0.0), 1.0) for end in rate))


def _recount(risk: Mapping[str, Any]) -> Rate:
    """What our formula makes of their counts."""
    return _bound(advantage(risk["hits"], risk["attacks"], risk["control_hits"], risk["attacks"]))


def _plain(line: Line) -> dict[str, Any]:
    rates = {"ours": line.ours._asdict(), "theirs": line.theirs._asdict()}
    return {"generator": line.generator, "question": line.question, **rates, "agrees": line.agrees}


def markdown(lines: Sequence[Line], attempts: int, rows: int, gap: float, versions: Mapping[str, str]) -> str:
    """A line for each question and generator, then what agrees and what does not."""
    table = [
        "| generator | attack | ours | anonymeter | intervals overlap | verdict |",
        "| --- | --- | --: | --: | --- | --- |",
    ]
    for line in lines:
        shown = " | ".join("{:.3f} ({:.3f} to {:.3f})".format(*rate) for rate in (line.ours, line.theirs))
        mine, other = ("leaks" if caught else "no leak" for caught in line.caught)
        verdict = mine if mine == other else f"{mine}; theirs: {other}"
        table.append(
            f"| {line.generator} | {line.question} | {shown} | {'yes' if line.overlap else 'no'} | {verdict} |"
        )
    apart = [f"{line.generator}, {line.question}" for line in lines if not line.agrees]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        "\n".join(table)
        + f"\n\n{rows:,} rows each of train, control and synthetic; {attempts:,} attacks of each kind; {named}. "
        + f"{len(lines) - len(apart)} of {len(lines)} agree"
        + (f"; not {'; '.join(apart)}" if apart else "")
        + f". On the same counts both formulas differ by {gap:.1g} at most.\n"
    )
