"""What is read off the training rows, and what is refused by name before anything is learnt."""

from __future__ import annotations

import logging
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.frames import from_pandas

RNG = np.random.default_rng(0)
N = 200


def column(values, **options):
    """The description of one column `x`."""
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    return detect(pa.table({"x": array}), **options)["x"]


KINDS = {
    "integers": (RNG.integers(0, 10**6, N), "number"),
    "floats": (RNG.normal(size=N), "number"),
    "decimals": ([Decimal("1.10"), Decimal("2.20")], "number"),
    "booleans": ([True, None], "boolean"),
    "yes and no": (["yes", "no"] * N, "category"),
    "codes with leading zeros, repeated": (["0311", "0047"] * N, "category"),
    "codes with leading zeros, unique": ([f"{i:04d}" for i in RNG.permutation(9999)[:N]], "identifier"),
    "two rows of different texts": (["x", "y"], "category"),
    "running numbers": (np.arange(N) + 17, "identifier"),
    "few running numbers": (np.arange(5), "number"),
    "dates as text": (["2020-01-31", "1999-02-01"], "datetime"),
    "days without zeros": (["1/2/2020", "12/31/1999"], "datetime"),
    "moments with a zone as text": (["2020-01-31T10:00:00.123+02:00"] * 2, "datetime"),
    "dates in two formats": (["2020-01-31", "31.01.2020"], "category"),
    "no such day": (["2020-02-30"] * 3, "category"),
    "numbers in text": (["1.5", "2.5"] * N, "category"),
    "a date column": (pa.array([1, 2], pa.date32()), "datetime"),
    "a time of day": (pa.array([1, 2], pa.time32("s")), "datetime"),
    "a duration": (pa.array([1, 2], pa.duration("ns")), "datetime"),
    "lists": ([[1], [2, 3]], "category"),
    "bytes": ([b"a", b"\xff"], "category"),
    "nulls": (pa.nulls(3, pa.int8()), "empty"),
    "e-mails": ([f"user{i}@mail{i % 7}.org" for i in range(N)], "personal"),
    "more texts than categories": ([f"v{i % 2500}" for i in range(10_000)], "identifier"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    values, kind = KINDS[name]
    assert column(values).kind == kind


def test_a_text_that_is_not_learnt_is_said_so(caplog):
    with caplog.at_level(logging.WARNING):
        detect(pa.table({"who": [f"n{i}" for i in range(N)]}))
    assert "column 'who': 200 different texts in 200 rows; treated as an identifier" in caplog.text


DECIMALS = [
    ([1.0, 3.0], 0),
    ([19.99, 0.5], 2),
    ([0.1234567890123456, 0.5], 16),
    ([1 / 3, 2 / 3, 1e-7 / 3], None),
    ([1e300, 1.5], None),
    (np.array([1.1, 2.25], np.float32), 2),
    ([Decimal("1.100")], 3),
    ([7, 8], 0),
]


@pytest.mark.parametrize(("values", "decimals"), DECIMALS, ids=lambda value: str(value)[:30])
def test_decimals(values, decimals):
    assert column(values).decimals == decimals


def test_bounds_are_exact():
    assert (column([3, -1]).minimum, column([3, -1]).maximum) == (-1, 3)
    assert column([2**63 - 1, 0]).maximum == "9223372036854775807"
    assert column(pa.array([2**64 - 1], pa.uint64())).maximum == "18446744073709551615"
    assert column([Decimal("1.10"), Decimal("0.01")]).minimum == "0.01"
    assert column(["31.12.9999", "01.01.1600"]).minimum == "01.01.1600"
    assert column(pa.array([0, 86400], pa.timestamp("s", "UTC"))).maximum == "1970-01-02 00:00:00Z"


def test_nulls_and_nan_count_as_nulls():
    assert column(pa.array([1.0, float("nan"), None, 2.0])).null_rate == 0.5
    assert column([1, 2]).null_rate == 0


def test_categories_keep_the_sources_order_and_its_unused_ones():
    frame = pd.DataFrame({"x": pd.Categorical(["hi", "lo"], categories=["lo", "mid", "hi"], ordered=True)})
    found = detect(from_pandas(frame))["x"]
    assert found.categories == ("lo", "mid", "hi")
    assert found.ordered


def test_the_first_unique_identifier_is_the_key_and_a_target_never_is():
    table = pa.table({"a": np.arange(N), "b": np.arange(N) + 5})
    assert detect(table).primary_key == "a"
    schema = detect(table, target="a")
    assert schema["a"].kind == "number"
    assert schema.primary_key == "b"


def test_no_value_of_an_identifier_stands_in_the_schema():
    secrets = [f"K{i * 7919 % 100003:06d}" for i in range(N)]
    text = detect(pa.table({"x": secrets, "y": [f"{s}@a.org" for s in secrets]})).model_dump_json()
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 1, 2] * 9, "category"), (["a", "b"], "boolean"), (np.arange(N), "number"), (["ab", "cd"], "identifier")],
)
def test_a_user_may_choose_the_kind(values, kind):
    assert column(values, kinds={"x": kind}).kind == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "number"),
        (["a", "b", "c"], "boolean"),
        (["a", "b"], "datetime"),
        ([1.5, 2.5], "identifier"),
        ([1, 2], "datetime"),
        ([1, 2], "empty"),
    ],
)
def test_a_kind_that_cannot_hold_the_values_is_refused(values, kind):
    with pytest.raises(InputError, match="column 'x': "):
        column(values, kinds={"x": kind})


REFUSED = {
    "no columns": (pa.table({}), {}, "the table has no columns"),
    "no rows": (pa.table({"x": pa.array([], pa.int64())}), {}, "the table has no rows"),
    "a name twice": (pa.table([[1], [2]], names=["a", "a"]), {}, "column 'a' stands twice"),
    "no such target": (pa.table({"a": [1], "b": [2]}), {"target": "c"}, "target 'c' is not a column; there are: a, b"),
    "infinite": (pa.table({"x": [1.0, float("inf"), -float("inf")]}), {}, "column 'x': 2 of 3 values are infinite"),
    "many nested": (pa.table({"x": [[i] for i in range(3000)]}), {}, "column 'x': 3,000 different list<item: int64>"),
    "nested bytes": (pa.table({"x": [{"b": b"\xff"}]}), {}, "column 'x': struct<b: binary> values cannot be used"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learnt_is_refused_by_name(name):
    table, options, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        detect(table, **options)
    assert "\n" not in str(caught.value)


def test_kinds_for_unknown_columns_and_unknown_kinds_are_refused():
    with pytest.raises(ConfigError, match="'y' is not a column; there are: x"):
        column([1], kinds={"y": "number"})
    with pytest.raises(ConfigError, match="'colour' is unknown; there are: boolean"):
        column([1], kinds={"x": "colour"})
