"""Model files may be shared: no file of any family holds a value that tells of single rows of the source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from synth import Synthesizer
from synth.codecs.columns import number
from synth.models import available

TINY = {"epochs": 1, "min_steps": 0}
ROWS = 800
TEXTS = ("name", "mail", "phone", "code", "note", "city")
NUMBERS = ("salary", "amount", "rate", "key")


def secrets() -> pd.DataFrame:
    """People of whom nearly every value is one's own."""
    rng = np.random.default_rng(0)
    order = rng.permutation(ROWS)
    frame = pd.DataFrame(
        {
            "name": [f"{['Ada', 'Bo', 'Cy', 'Dee'][n % 4]} {chr(65 + n % 26)}uill{n}son" for n in order],
            "mail": [f"person.{n * 7919}@corp{n % 7}.org" for n in order],
            "phone": [f"+1 212 555 {n:04d}" for n in rng.choice(10_000, ROWS, replace=False)],
            "code": [f"K{n:07d}" for n in rng.choice(10**7, ROWS, replace=False)],
            "note": [f"met {a} at {b}, said {n}" for n, (a, b) in enumerate(rng.integers(10**6, size=(ROWS, 2)))],
            "city": rng.choice(["Oslo", "Rome", "Lima"], ROWS),
            "born": pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 15_000, ROWS), unit="D"),
            "salary": rng.integers(20_000, 600_000, ROWS),
            "amount": rng.lognormal(10, 1, ROWS),
            "rate": np.round(rng.normal(500, 90, ROWS), 4),
            "key": rng.choice(10**12, ROWS, replace=False),
            "level": rng.integers(1, 9, ROWS),
        }
    )
    frame.loc[:2, "city"] = "Xanadu"
    frame.loc[3, "salary"] = 98_765_432
    frame.loc[4, "born"] = pd.Timestamp("1877-03-04")
    frame.loc[5, "amount"] = 123456789.0625
    frame.loc[6:7, "level"] = 77
    return frame


FRAME = secrets()


@pytest.fixture(scope="module", params=available("table"))
def saved(request, tmp_path_factory) -> Path:
    """The model directory of each family whose files hold no row."""
    fitted = Synthesizer(request.param, **TINY).fit(FRAME, target="city")
    assert fitted.exposed is None
    place = tmp_path_factory.mktemp(request.param) / "model"
    fitted.save(place)
    return place


def own(name: str) -> set[Any]:
    """Values of a column that fewer than the threshold of 5 rows have."""
    counts = FRAME[name].value_counts()
    return set(counts[counts < 5].index)


def ends(place: Path, name: str) -> set[Any]:
    """The bounds of a column as the schema gives them, which `docs/data.md` declares to be known."""
    columns = json.loads((place / "synthesizer.json").read_text())["schema"]["columns"]
    return {column[end] for column in columns if column["name"] == name for end in ("minimum", "maximum")}


def leaves(value: Any) -> Iterator[Any]:
    """Every text and number in a JSON value, keys included."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def test_no_text_of_the_source_stands_in_the_bytes(saved):
    content = b"".join(file.read_bytes() for file in saved.rglob("*") if file.is_file())
    found = [value for name in TEXTS for value in own(name) if value.encode() in content]
    assert found == []
    assert b"1877-03-04" not in content


def test_no_number_of_the_source_stands_in_the_description(saved):
    numbers = {value for value in leaves(json.loads((saved / "synthesizer.json").read_text())) if value is not None}
    for name in NUMBERS:
        assert (own(name) - ends(saved, name)) & numbers == set(), name
    assert "98765432" not in (saved / "synthesizer.json").read_text()


def test_no_number_of_the_source_stands_in_the_weights(saved):
    for name, tensor in load_file(saved / "model.safetensors").items():
        flat = np.asarray(tensor).ravel()
        if flat.dtype.itemsize < 4:  # a byte holds no number of these columns
            continue
        for column in NUMBERS:
            values = np.array(sorted(own(column) - ends(saved, column)))
            assert not np.isin(values.astype(flat.dtype), flat).any(), (name, column)


def lines(place: Path, name: str) -> Iterator[float]:
    """Every knot and atom of a column of numbers, as a value of the source's unit."""
    state = json.loads((place / "synthesizer.json").read_text())["codec"][name]
    grid = number.Grid.from_state(state["grid"])
    for part in (grid.atoms, *grid.knots):
        wide = part if part.dtype == np.float64 else number.widen(part, state["offset"], state["step"])
        scale = 10 ** (state["decimals"] or 0)
        yield from (value if part.dtype == np.float64 else value / scale for value in wide.tolist())


@pytest.mark.parametrize(("name", "decimals"), [("salary", 0), ("rate", 4), ("amount", 17)])
def test_no_bin_has_a_value_of_its_own_of_the_source_as_a_knot(saved, name, decimals):
    found, real = set(lines(saved, name)), own(name)
    assert len(found) > 100
    steps = [10.0**-decimals * step for step in (-2, -1, 1, 2)]
    told = {value for value in found & real if not real & {round(value + step, decimals) for step in steps}}
    assert told - ends(saved, name) == set()  # where the next values are too near, no number is free
