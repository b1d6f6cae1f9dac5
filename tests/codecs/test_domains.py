"""Domains: what is declared is checked, what follows from it alone knows no row, what is not is asked with noise."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from synth.codecs.domains import declared_codec, measured, private_schema
from synth.codecs.table import TableCodec
from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.privacy import Ledger, Privacy
from synth.schema import Domain, Schema

PROMISE = Privacy(epsilon=1.0, delta=1e-5)
DOMAINS = {
    "age": Domain(min=0, max=120),
    "amount": Domain(min=0, max=50_000, apart=(0,), decimals=2),
    "price": Domain(min=0, max=99_999, nulls=True),
    "since": Domain(min="2000-01-01", max="2029-12-31"),
    "born": Domain(min="01.01.1900", max="31.12.2026"),
    "at": Domain(min="2020-01-01 00:00:00", max="2026-01-01 00:00:00", nulls=True),
    "sex": Domain(values=("f", "m", "x"), nulls=True),
    "member": Domain(values=(False, True)),
}


def table(rows: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 10_000, rows)
    return pa.table(
        {
            "id": pa.array([f"C-{i:06d}" for i in rng.permutation(10 * rows)[:rows]]),
            "age": pa.array(rng.integers(0, 121, rows)),
            "amount": pa.array(np.where(rng.random(rows) < 0.6, 0.0, np.round(rng.random(rows) * 50_000, 2))),
            "price": pa.array(
                [Decimal(int(v)).scaleb(-2) for v in rng.integers(0, 9_999_900, rows)], pa.decimal128(9, 2)
            ),
            "since": pa.array([dt.date(2000, 1, 1) + dt.timedelta(int(d)) for d in days]),
            "born": pa.array([(dt.date(1900, 1, 1) + dt.timedelta(int(d))).strftime("%d.%m.%Y") for d in days]),
            "at": pa.array(1_577_836_800 * 10**6 + rng.integers(0, 10**8, rows) * 10**6, pa.timestamp("us")),
            "sex": pa.array(rng.choice(["f", "m", "x", None], rows, p=[0.5, 0.4, 0.05, 0.05]).tolist(), pa.string()),
            "member": pa.array(rng.random(rows) < 0.3),
        }
    )


def codec_of(rows: pa.Table, ledger: Ledger) -> tuple[Schema, TableCodec]:
    schema = private_schema(detect(rows, domains=DOMAINS), rows, ledger)
    return schema, declared_codec(schema, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(60, 200), st.integers(0, 2**16), st.integers(0, 59))
def test_neighbouring_tables_give_the_same_codec(rows, seed, gone):
    whole = table(rows, seed)
    less = pa.concat_tables([whole.slice(0, gone), whole.slice(gone + 1)])
    ledgers = (Ledger(PROMISE, np.random.default_rng(seed)) for _ in range(2))
    states = [json.dumps(codec_of(*both)[1].state()) for both in zip((whole, less), ledgers, strict=True)]
    assert states[0] == states[1]


class Silent(Ledger):
    """A ledger whose every answer is zero: what differs between two tables came past it."""

    def gaussian(self, values, rho, what, sensitivity=1.0):
        return np.zeros(np.shape(values))


def test_nothing_of_the_schema_comes_past_the_ledger():
    schemas = [codec_of(table(rows, seed), Silent(PROMISE))[0] for rows, seed in ((100, 0), (300, 1))]
    assert schemas[0].model_dump_json() == schemas[1].model_dump_json()


def test_values_of_the_domain_come_back_from_their_tokens():
    rows = table(500)
    schema, codec = codec_of(rows, Ledger(PROMISE))
    arrays = codec.encode(rows)
    back = codec.decode(arrays, rows=range(500), rng=np.random.default_rng(0))
    assert back.schema.equals(rows.schema)
    for name in ("age", "sex", "member"):
        assert back.column(name).equals(rows.column(name))
    amounts, exact = (np.array(each.column("amount")) for each in (back, rows))
    assert np.array_equal(amounts == 0, exact == 0)
    assert np.abs(amounts - exact).max() <= 50_000 / 128 + 1
    assert np.array_equal(amounts, np.round(amounts, 2))
    ages = [
        abs(a.toordinal() - b.toordinal())
        for a, b in zip(*(t.column("since").to_pylist() for t in (back, rows)), strict=True)
    ]
    assert max(ages) <= 10_957 / 128 + 1
    assert back.column("at").null_count == 0
    assert codec.layout.cardinalities == [121, 129, 129, 128, 128, 129, 4, 2]
    assert schema["price"].nullable
    assert not schema["age"].nullable


def test_made_up_identifiers_and_people_do_not_follow_the_source():
    rows = pa.table({"id": ["K-1000", "K-1001"] * 50, "who": ["Ada Byron", "Alan Turing"] * 50, "n": range(100)})
    schema = detect(rows, kinds={"id": "identifier"}, personal={"who": "name"}, domains={"n": Domain(min=0, max=99)})
    private = private_schema(schema, rows, Ledger(PROMISE))
    codec = declared_codec(private, 0)
    back = codec.decode(codec.encode(rows), rows=range(100), rng=np.random.default_rng(0))
    assert len(set(back.column("id").to_pylist())) == 100
    assert not set(back.column("who").to_pylist()) & {"Ada Byron", "Alan Turing"}
    assert "K-1" not in json.dumps(codec.state())


def test_what_is_not_declared_is_learnt_with_noise_and_paid():
    rng = np.random.default_rng(0)
    rows = pa.table(
        {
            "size": rng.normal(100, 20, 20_000),
            "count": rng.integers(3, 900, 20_000),
            "when": pa.array((rng.integers(0, 3000, 20_000) + 15_000).astype("datetime64[D]")),
            "what": [*rng.choice(["often", "seldom"], 19_999, p=[0.9, 0.1]).tolist(), "once"],
            "paid": rng.choice(["yes", "no"], 20_000).tolist(),
            "member": rng.random(20_000) < 0.3,
        }
    )
    ledger = Ledger(PROMISE, np.random.default_rng(0))
    found = private_schema(detect(rows, kinds={"paid": "boolean"}, rare_values=0), rows, ledger)
    assert found["paid"].categories == ("no", "yes")
    assert found["member"].categories == (False, True)
    assert (found["size"].minimum, found["size"].maximum) == (32.0, 256.0)
    assert 2 <= found["count"].minimum <= 32
    assert found["count"].maximum == 1024
    assert found["when"].minimum == "2011-01-01"
    assert found["what"].categories == ("often", "seldom")
    assert found.rows != 20_000
    assert abs(found.rows - 20_000) < 500
    assert 0 < ledger.rho - ledger.left < 0.15 * ledger.rho
    assert ledger.delta_spent == pytest.approx(PROMISE.delta / 10)
    assert {"domain of 'size'", "categories of 'what'", "number of rows and of nulls"} <= {s.what for s in ledger.spent}


def test_noise_alone_makes_no_column_nullable():
    rows = pa.table({f"id {i}": [f"C-{j:06d}" for j in range(300)] for i in range(40)})
    schema = detect(rows, kinds=dict.fromkeys(rows.column_names, "identifier"))
    for seed in range(50):
        told = private_schema(schema, rows, Ledger(PROMISE, np.random.default_rng(seed)))
        assert not [column.name for column in told.columns if column.null_rate]


def test_noisy_frequencies_are_counts_again():
    rows = table(20_000)
    ledger = Ledger(PROMISE, np.random.default_rng(0))
    _, codec = codec_of(rows, ledger)
    tokens = codec.encode(rows)["tokens"]
    known = measured(codec, tokens, ledger)
    for d, column in enumerate(known.layout.columns):
        exact = np.bincount(tokens[:, d], minlength=column.cardinality) / len(tokens)
        assert column.frequency.min() >= 0
        assert np.abs(column.frequency - exact).sum() / 2 < 0.15
    assert known.layout.cardinalities == codec.layout.cardinalities


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (Domain(min=10, max=120), r"column 'age': \d+ of 300 values are outside of its declared domain"),
        (Domain(values=(1, 2, 3)), r"column 'age': \d+ of 300 values are outside"),
        (Domain(min="2000-01-01", max="2001-01-01"), "domains: 'age': its int64 values cannot be of the domain"),
    ],
)
def test_a_domain_that_misses_values_is_refused_by_name(domain, message):
    with pytest.raises((InputError, ConfigError), match=message):
        detect(table(300), domains={"age": domain})


def test_nulls_that_a_domain_does_not_allow_are_refused_by_name():
    with pytest.raises(InputError, match=r"column 'sex': \d+ of 300 values are null"):
        detect(table(300), domains={"sex": Domain(values=("f", "m", "x"))})


def test_a_domain_of_no_column_is_refused_by_name():
    with pytest.raises(ConfigError, match="'agee' is not a column"):
        detect(table(10), domains={"agee": Domain(min=0, max=1)})


@pytest.mark.parametrize(
    "wrong", [{}, {"min": 1}, {"values": [1], "min": 0, "max": 2}, {"values": []}, {"values": [1, 1]}, {"mix": 1}]
)
def test_a_domain_says_values_or_both_ends(wrong):
    with pytest.raises(ValidationError):
        Domain.model_validate(wrong)


def test_a_declared_domain_bounds_an_ordinary_schema_too():
    found = detect(table(300), domains=DOMAINS)
    assert (found["age"].minimum, found["age"].maximum) == (0, 120)
    assert found["sex"].categories == ("f", "m", "x")
    assert found["born"].format == "%d.%m.%Y"
    assert Schema.parse(found.model_dump_json(), "here") == found
