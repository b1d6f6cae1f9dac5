"""Long tables of series, nested and back; and those that cannot be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from walks import prices, walks

from synth.config import Series
from synth.detection import detect
from synth.errors import InputError
from synth.modality import modality
from synth.nest import nest, renest
from synth.series import flatten, lengths, nest_like, nesting
from synth.splits import split_series


def test_a_row_for_each_series_and_back():
    long = walks(50)
    shuffled = long.take(pa.array(np.random.default_rng(0).permutation(long.num_rows)))
    nested = nest(shuffled, entity=["id"], time="at")
    found = nesting(nested.schema)
    assert nested.num_rows == 50
    assert found is not None
    assert (found.entity, found.time, found.steps) == (("id",), "at", ("at", "value", "state", "count"))
    again = flatten(nested).sort_by([("id", "ascending"), ("at", "ascending")])
    assert again.equals(long.sort_by([("id", "ascending"), ("at", "ascending")]))
    assert flatten(nest_like(flatten(nested), nested.schema)).equals(flatten(nested))
    assert modality(nested, None) == "series"


def test_windows_are_rows_of_their_own():
    nested = nest(prices(100), window=24, stride=10)
    assert nested.column_names[0] == "series"
    assert nested.num_rows == 8
    assert set(lengths(nested).tolist()) == {24}
    second = nested.column("close")[1].as_py()
    assert second == prices(100).column("close").to_pylist()[10:34]
    few = nest(walks(30), entity=["id"], time="at", window=5)
    assert few.column_names[:2] == ["series", "id"]
    assert max(lengths(few)) == 5
    assert renest(walks(30), few.schema).equals(few)


@pytest.mark.parametrize("window", [None, 5])
def test_steps_are_nested_again_by_time_in_whatever_order_they_come(window):
    nested = nest(walks(30), entity=["id"], time="at", window=window)
    long = flatten(nested)
    name = nested.column_names[0]
    mixed = long.take(pa.array(np.random.default_rng(0).permutation(len(long))))
    assert renest(mixed, nested.schema).sort_by(name).equals(nested.sort_by(name))


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        (lambda t: t, {"entity": ["who"]}, "column 'who' is missing"),
        (lambda t: t.slice(0, 0), {}, "the table has no rows"),
        (lambda t: pa.concat_tables([t, t.slice(0, 2)]), {"entity": ["id"], "time": "at"}, "stands twice of id 'W-0-"),
        (lambda t: t, {"entity": ["id"], "time": "state"}, "'state': its texts follow no single known date format"),
        (lambda t: t, {"entity": ["id"], "time": "count"}, "'count': row .* has no time"),
    ],
)
def test_what_is_no_series_is_named(change, how, message):
    with pytest.raises(InputError, match=message):
        nest(change(walks(20)), **how)


def test_the_schema_tells_steps_from_what_a_series_has_once():
    schema = detect(nest(walks(200), entity=["id"], time="at"), target="kind")
    assert schema.modality == "series"
    assert [column.kind for column in schema.columns] == [
        "identifier", "category", "datetime", "number", "category", "number",
    ]  # fmt: skip
    assert schema.rows == 200
    assert schema.target == "kind"


def test_the_model_and_the_holdout_have_stretches_of_long_series_in_turn():
    table = prices(2000).append_column("at", pa.array(range(2000)))
    series = Series(time="at", window=24, stride=6)
    parts = split_series(table, series, target=None, holdout=0.2, test=0.2, by=None, seed=0)
    windows = [np.array(part.column("at").to_pylist()) for part in parts]
    assert all((np.diff(window) == 1).all() for window in windows)
    train, held, test = ({int(step) for step in window.ravel()} for window in windows)
    assert not train & held | train & test | held & test
    assert min(test) == 1600
    begun = np.sort(np.concatenate([windows[0][:, 0], windows[1][:, 0]]))
    assert np.count_nonzero(np.diff([step in held for step in begun])) == 9  # five stretches of each, in turn
    assert (len(train), len(held), len(test)) == pytest.approx((1200, 400, 400), rel=0.05)


def test_whole_series_or_the_latest_steps_are_kept_from_the_model():
    how = {"target": None, "holdout": 0.2, "test": 0.2, "seed": 0}
    parts = split_series(walks(60), Series(entity=("id",), time="at"), by=None, **how)
    ids = [set(part.column("id").to_pylist()) for part in parts]
    assert list(map(len, ids)) == [36, 12, 12]
    assert not ids[0] & ids[1] | ids[0] & ids[2] | ids[1] & ids[2]
    train, held, test = split_series(prices(500), Series(window=24), by=None, **how)
    assert [part.num_rows for part in (train, held, test)] == [12, 4, 4]
    assert test.column("close")[0].as_py()[0] == prices(500).column("close")[400].as_py()
    by_time = split_series(walks(60), Series(entity=("id",), time="at"), by="time", **how)
    ends = [flatten(part).column("at").to_pylist() for part in by_time]
    assert max(ends[0]) < min(ends[1]) <= max(ends[1]) < min(ends[2])
    with pytest.raises(InputError, match="2 series are too few to learn from"):
        split_series(prices(100), Series(window=24), by=None, **how)
