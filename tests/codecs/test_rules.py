"""Declared rules: the modelled table and back, what is refused, and rows that keep every rule."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.codecs.rules.checks import broken
from synth.codecs.rules.codec import RuledCodec
from synth.codecs.rules.language import language
from synth.codecs.rules.schedule import Schedule, element
from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.frames import from_pandas
from synth.schema import Schema
from synth.storage import write_parquet
from synth.stored import Stored


def inequality(*columns: str, strict: bool = False) -> dict:
    return {"kind": "inequality", "columns": list(columns), "strict": strict}


def shuffled(
    table: pa.Table, rules: list[dict], *, target: str | None = None, rare_values: int = 5
) -> tuple[RuledCodec, pa.Table]:
    """The codec of a table, and rows whose modelled columns are drawn independently: the worst that a model can do."""
    found = detect(table, rules=rules, target=target, rare_values=rare_values)
    schema = Schema.parse(found.model_dump_json(), "memory")
    fitted = RuledCodec.fit(table, schema, 0)
    codec = RuledCodec.from_state(json.loads(json.dumps(fitted.state(), allow_nan=False)), schema)
    assert codec.state() == fitted.state()
    tokens = codec.encode(table)["tokens"]

    def draw(rows: np.ndarray, attempt: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(attempt)
        picked = [rng.integers(0, len(tokens), len(rows)) for _ in range(tokens.shape[1])]
        columns = [tokens[rows_of, d] for d, rows_of in enumerate(picked)]
        return {"tokens": np.column_stack(columns) if columns else np.zeros((len(rows), 0), np.int64)}

    rows = range(table.num_rows)
    seed = np.random.SeedSequence(0)
    made = codec.keep(draw(np.array(rows), 0), draw, rows=rows, seed=seed, spans={}, finish=lambda made: made)
    assert made.schema.equals(table.schema, check_metadata=True)
    return codec, made


def holds(table: pa.Table, rules: list[dict]) -> None:
    """Forward and inverse give the table back, and shuffled rows keep the rules and the columns' ranges, rare values
    withheld or not."""
    codec, made = shuffled(table, rules, rare_values=0)
    back = codec.shape.inverse(codec.shape.forward(table), range(table.num_rows))
    assert back.equals(table)
    keeps(table, codec, made)
    if table.num_rows >= 200:
        keeps(table, *shuffled(table, rules))


def keeps(table: pa.Table, codec: RuledCodec, made: pa.Table) -> None:
    columns = {column.name: column for column in codec.schema.columns}
    for rule in codec.schema.rules:
        assert not broken(rule, made, columns).any(), rule.title
    for column in codec.schema.columns:
        values = [value for value in made.column(column.name).to_pylist() if value is not None]
        source = [value for value in table.column(column.name).to_pylist() if value is not None]
        if column.kind in ("number", "datetime") and values:
            assert min(source) <= min(values)
            assert max(values) <= max(source)
        assert column.nullable or made.column(column.name).null_count == 0


prices = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(1, 3000), st.integers(0, 20), st.booleans(), st.booleans()),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(prices)
def test_a_strict_chain_of_prices_with_nulls(rows):
    low = [None if no else a / 100 for a, _, _, no, _ in rows]
    high = [None if no else (a + b) / 100 for a, b, _, _, no in rows]
    most = [float((a + b) // 100 + 1 + c) for a, b, c, _, _ in rows]
    table = pa.table({"low": pa.array(low, pa.float64()), "high": pa.array(high, pa.float64()), "most": most})
    holds(table, [inequality("low", "high", "most", strict=True)])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 90), st.booleans()), min_size=1, max_size=40))
def test_dates_of_three_types_with_nulls(rows):
    day = dt.date(1999, 12, 31)
    begin = [day + dt.timedelta(a) for a, _, _ in rows]
    end = [None if no else day + dt.timedelta(a + b) for a, b, no in rows]
    paid = [dt.datetime(1999, 12, 31, 5, tzinfo=dt.UTC).replace(tzinfo=None) + dt.timedelta(a + b) for a, b, _ in rows]
    written = [None if value is None else value.isoformat() for value in end]
    table = pa.table(
        {"begin": begin, "end": pa.array(written, pa.string()), "paid": pa.array(paid, pa.timestamp("us"))}
    )
    kinds = {"end": "datetime"} if any(written) else {}
    schema = detect(table, kinds=kinds, rules=[inequality("begin", "end", "paid")])
    codec = RuledCodec.fit(table, schema, 0)
    assert codec.shape.inverse(codec.shape.forward(table), range(len(rows))).equals(table)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (pa.array([Decimal("0.10"), None, Decimal("3.00")]), pa.array([Decimal("0.11"), Decimal("7.25"), None])),
        (pa.array([2**62, 2**62 + 1, 5]), pa.array([2**62 + 1, 2**62 + 3, 7])),
        (pa.array([0.1, 0.2, 1 / 3]), pa.array([0.1 + 1e-12, 0.30000000000000004, 2 / 3])),
        (pa.array([-3, -2, 0], pa.int8()), pa.array([0.25, -1.5, 0.5], pa.float32())),
    ],
)
def test_numbers_of_every_type_keep_their_order(low, high):
    holds(pa.table({"low": low, "high": high}), [inequality("low", "high", strict=True)])


def test_orders_that_branch():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 100, 200)
    b, c = a + rng.integers(1, 50, 200), a + rng.integers(0, 9, 200)
    table = pa.table({"d": np.maximum(b, c) + rng.integers(0, 4, 200), "c": c, "b": b, "a": a})
    holds(table, [inequality("a", "b", strict=True), inequality("a", "c"), inequality("b", "d"), inequality("c", "d")])


def test_combinations_keep_types_nulls_and_dictionaries():
    table = pa.table(
        {
            "city": pa.array(["Oslo", "Rome", None, "Bergen"] * 5).dictionary_encode(),
            "country": pa.array(["NO", "IT", "??", "NO"] * 5),
            "since": pa.array([dt.date(1048, 1, 1), None, None, dt.date(1070, 1, 1)] * 5),
            "code": pa.array([1.5, 2.5, None, 1.5] * 5),
        }
    )
    rules = [{"kind": "combination", "columns": ["city", "country", "since", "code"]}]
    codec, made = shuffled(table, rules)
    assert {tuple(row.values()) for row in made.to_pylist()} <= {tuple(row.values()) for row in table.to_pylist()}
    assert codec.shape.inverse(codec.shape.forward(table), range(20)).equals(table)


def test_one_hot_groups_of_booleans_integers_and_floats():
    which = np.arange(60) % 4
    table = pa.table(
        {"a": which == 0, "b": (which == 1).astype(np.int8), "c": (which == 2).astype(float), "d": which == 3}
    )
    holds(table, [{"kind": "one_hot", "columns": ["a", "b", "c", "d"]}])
    holds(table.drop(["d"]), [{"kind": "one_hot", "columns": ["a", "b", "c"], "none": True}])
    with pytest.raises(InputError, match=r"exactly one of \(a, b, c\)': 15 of 60 rows break it, the first is row 3"):
        detect(table, rules=[{"kind": "one_hot", "columns": ["a", "b", "c"]}])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-999, 9999), st.integers(0, 500), st.integers(1, 9)), min_size=1, max_size=40))
def test_totals_and_ratios(rows):
    net = np.array([a / 100 for a, _, _ in rows])
    tax = np.array([b for _, b, _ in rows])
    count = np.array([c for _, _, c in rows])
    total = np.round(net + tax, 2)
    table = pa.table({"total": total, "each": np.round(total / count, 3), "net": net, "tax": tax, "count": count})
    rules = [
        {"kind": "ratio", "ratio": "each", "numerator": "total", "denominator": "count"},
        {"kind": "sum", "total": "total", "parts": ["net", "tax"]},
    ]
    codec = RuledCodec.fit(table, detect(table, rules=rules), 0)
    assert codec.inner.schema.names == ["net", "tax", "count"]
    holds(table, rules)


def test_a_total_with_nulls_of_its_own_and_exact_decimals():
    parts = [Decimal(i).scaleb(-2) for i in range(40)]
    total = [None if i % 5 == 0 else parts[i] * 2 for i in range(40)]
    table = pa.table({"a": parts, "b": parts, "total": pa.array(total, pa.decimal128(9, 2))})
    rules = [{"kind": "sum", "total": "total", "parts": ["a", "b"]}]
    codec, made = shuffled(table, rules)
    assert codec.inner.schema.names == ["a", "b", "total"]
    assert 0 < made.column("total").null_count < 40
    assert not broken(codec.schema.rules[0], made, {c.name: c for c in codec.schema.columns}).any()


def test_a_sum_and_an_inequality_compose():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 50, 300) / 10
    b = a + rng.integers(1, 30, 300) / 10
    table = pa.table({"a": a, "b": np.round(b, 1), "total": np.round(a + b, 1)})
    holds(
        table,
        [
            {"kind": "sum", "total": "total", "parts": ["a", "b"]},
            inequality("a", "b", strict=True),
            inequality("b", "total"),
            {"kind": "bounds", "column": "total", "minimum": 0, "strict": True},
            {"kind": "increment", "column": "b", "step": 0.1},
        ],
    )


def test_composite_keys_are_unique_over_blocks_and_shards_and_keep_shares():
    frame = pd.DataFrame({"shop": ["x"] * 300 + ["y"] * 100, "day": [*range(300), *range(100)], "sold": range(400)})
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["day"], unit="D")
    table = from_pandas(frame)
    codec = RuledCodec.fit(table, detect(table, rules=[{"kind": "unique", "columns": ["shop", "day"]}]), 0)
    assert codec.capacity == 600
    key = codec.shape.keys[0]
    parts = [key.make(np.arange(start, start + 100)) for start in range(0, 600, 100)]
    made = pd.concat([pd.DataFrame({name: column.to_pandas() for name, column in part.items()}) for part in parts])
    assert not made.duplicated().any()
    assert made["day"].between(frame["day"].min(), frame["day"].max()).all()
    assert abs((made["shop"].head(200) == "x").mean() - 0.75) < 0.1  # 400 rows keep the shares


def test_a_key_with_an_identifier_never_ends():
    frame = pd.DataFrame({"order": [f"O-{n // 3:05d}" for n in range(300)], "line": [n % 3 + 1 for n in range(300)]})
    table = from_pandas(frame)
    schema = detect(table, kinds={"order": "identifier"}, rules=[{"kind": "unique", "columns": ["order", "line"]}])
    codec = RuledCodec.fit(table, schema, 0)
    made = pd.DataFrame({n: c.to_pandas() for n, c in codec.shape.keys[0].make(np.arange(3000)).items()})
    assert not made.duplicated().any()
    assert made["order"].nunique() < 1100
    assert set(made["line"]) == {1, 2, 3}
    assert made["order"].str.fullmatch(str(schema["order"].pattern)).all()


@pytest.mark.parametrize("pattern", [r"[A-C]{1,2}\d", r"(a|ab)(c|bc)", r"x*y?", r"[^\W_]\.(be|se)?", r"(?:\d-)+\d"])
def test_a_language_numbers_each_of_its_texts_once(pattern):
    words = language(pattern)
    for length in range(6):
        texts = words.texts(np.arange(min(words.count(length), 3000)), length)
        assert len(set(texts)) == len(texts)
        assert all(re.fullmatch(pattern, text) and len(text) == length for text in texts)
    alphabet = "abcxy"
    if set(re.sub(r"\W", "", pattern)) <= set(alphabet):
        there = sum(bool(re.fullmatch(pattern, "".join(t))) for t in product(alphabet, repeat=3))
        assert there == words.count(3)


def test_texts_of_a_pattern_are_unique_nullable_and_bounded():
    codes = [None if n % 10 == 9 else f"{'AB'[n % 2]}{n % 100:02d}" for n in range(90)]
    table = pa.table({"code": codes, "x": range(90)})
    rules = [{"kind": "regex", "column": "code", "pattern": "[A-C][0-9]{2}", "unique": True}]
    codec, made = shuffled(table, rules)
    texts = [text for text in made.column("code").to_pylist() if text is not None]
    assert len(set(texts)) == len(texts) > 60
    assert all(re.fullmatch("[A-C][0-9]{2}", text) for text in texts)
    assert codec.capacity == 300
    assert set(codec.shape.texts[0].make(np.arange(300)).to_pylist()) >= set(texts)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_schedule_gives_each_element_once(sizes, key):
    weights = np.arange(1.0, len(sizes) + 1)
    schedule = Schedule(tuple((weights / weights.sum()).tolist()), tuple(sizes), key)
    group, place = schedule.places(np.arange(schedule.capacity))
    found = {(g, int(element(np.array([p]), sizes[g], key)[0])) for g, p in zip(group, place, strict=True)}
    assert found == {(g, p) for g, size in enumerate(sizes) for p in range(size)}


def frame() -> pa.Table:
    return pa.table(
        {
            "a": [1, 2, 3],
            "b": [2.5, 3.5, 9.0],
            "c": [3, 5, 12],
            "text": ["x", "y", "x"],
            "day": [dt.date(2020, 1, 1)] * 3,
            "part": [1, 1, 3],
        }
    )


@pytest.mark.parametrize(
    "rules",
    [
        [inequality("a", "b", strict=True), inequality("b", "a", strict=True)],
        [inequality("a", "nowhere")],
        [{"kind": "sum", "total": "a", "parts": ["b"]}, {"kind": "sum", "total": "a", "parts": ["c"]}],
    ],
)
def test_rules_that_contradict_are_refused_before_a_column_is_read(rules, tmp_path, monkeypatch):
    write_parquet(tmp_path / "t.parquet", frame())
    monkeypatch.setattr(Stored, "column", lambda *_: pytest.fail("a column was read"))
    with pytest.raises(ConfigError):
        detect(Stored.open(tmp_path / "t.parquet"), rules=rules)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([inequality("a", "b"), inequality("b", "a")], "a < b < a|b < a < b"),
        ([inequality("a", "b"), inequality("b", "c"), inequality("c", "a")], "contradict each other"),
        ([inequality("a", "nobody")], "'nobody' is not a column; there are: a, b, c"),
        ([inequality("a", "text")], r"column 'text' is of kind category \(string\); expected numbers or moments"),
        ([inequality("a", "day")], "'a' holds numbers, 'day' holds moments"),
        ([{"kind": "sum", "total": "text", "parts": ["a"]}], "column 'text' is of kind category"),
        (
            [{"kind": "sum", "total": "a", "parts": ["b"]}, {"kind": "sum", "total": "a", "parts": ["c"]}],
            "column 'a': rule 'a = b' makes it too",
        ),
        (
            [{"kind": "sum", "total": "a", "parts": ["b"]}, {"kind": "sum", "total": "b", "parts": ["a"]}],
            "'a = b' and 'b = a': each is computed from the other",
        ),
        ([{"kind": "bounds", "column": "a", "minimum": 5, "maximum": 1}], "no value is above 5 and below 1"),
        ([{"kind": "bounds", "column": "day", "minimum": "soon"}], "bound 'soon' is no date32"),
        ([{"kind": "increment", "column": "text", "step": 1}], "expected numbers"),
        ([{"kind": "regex", "column": "a", "pattern": "1"}], "only text has a pattern"),
        ([{"kind": "regex", "column": "text", "pattern": "("}], "is no regular expression"),
        ([{"kind": "regex", "column": "text", "pattern": r"(x)\1"}], "groupref cannot be generated from"),
        ([{"kind": "inequality", "columns": ["a", "a"]}], "rule 1: columns: column 'a' stands twice"),
        ([{"kind": "inequalty", "columns": ["a", "b"]}], "rule 1: .*inequalty"),
        ([{"kind": "sum", "total": "c", "parts": ["a"], "extra": 1}], "rule 1: unknown key 'extra'"),
    ],
)
def test_rules_that_cannot_be_are_refused_by_name(rules, message):
    with pytest.raises(ConfigError, match=message) as caught:
        detect(frame(), rules=rules)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (inequality("a", "part", strict=True), "3 of 3 rows break it, the first is row 0"),
        ({"kind": "sum", "total": "c", "parts": ["a", "part"]}, "3 of 3 rows"),
        ({"kind": "bounds", "column": "a", "minimum": 1, "strict": True}, "1 of 3 rows break it, the first is row 0"),
        ({"kind": "increment", "column": "b", "step": 0.5, "origin": 0.25}, "3 of 3 rows"),
        ({"kind": "unique", "columns": ["text", "day"]}, "1 of 3 rows break it, the first is row 2"),
        ({"kind": "regex", "column": "text", "pattern": "x"}, "1 of 3 rows break it, the first is row 1"),
    ],
)
def test_training_rows_that_break_a_rule_are_refused_with_their_number(rule, message):
    with pytest.raises(InputError, match=message):
        detect(frame(), rules=[rule])
