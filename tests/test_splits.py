"""Train, holdout and test share no row, lose none, and keep the classes' shares."""

from __future__ import annotations

import pyarrow as pa
import pytest

from synth.errors import InputError
from synth.splits import split


def table(n: int, positive: int) -> pa.Table:
    return pa.table({"id": range(n), "y": ["a"] * (n - positive) + ["b"] * positive})


@pytest.mark.parametrize("n", [3, 4, 10, 101, 1000])
def test_every_row_is_in_one_part(n):
    parts = split(table(n, n // 3), target="y", holdout=0.2, test=0.2, seed=0)
    rows = [part.column("id").to_pylist() for part in parts]
    assert all(rows)
    assert sorted(row for part in rows for row in part) == list(range(n))
    assert all(part == sorted(part) for part in rows)


def test_classes_are_stratified_and_the_seed_decides():
    parts = split(table(1000, 100), target="y", holdout=0.2, test=0.3, seed=1)
    assert [part.num_rows for part in parts] == [500, 200, 300]
    assert [part.column("y").to_pylist().count("b") for part in parts] == [50, 20, 30]
    again = split(table(1000, 100), target="y", holdout=0.2, test=0.3, seed=1)
    other = split(table(1000, 100), target="y", holdout=0.2, test=0.3, seed=2)
    assert all(a.equals(b) for a, b in zip(parts, again, strict=True))
    assert not parts[0].equals(other[0])


@pytest.mark.parametrize("target", [None, "id"])
def test_a_target_that_is_no_class_does_not_stratify(target):
    assert split(table(50, 5), target=target, holdout=0.2, test=0.2, seed=0)[0].num_rows == 30


def test_a_class_of_one_row_does_not_stop_the_split():
    assert split(table(50, 1), target="y", holdout=0.2, test=0.2, seed=0)[0].num_rows == 30


def test_mistakes_are_named():
    with pytest.raises(InputError, match="target 'z' is not a column; there are: id, y"):
        split(table(9, 3), target="z", holdout=0.2, test=0.2, seed=0)
    with pytest.raises(InputError, match="2 rows cannot be split"):
        split(table(2, 1), target=None, holdout=0.2, test=0.2, seed=0)
