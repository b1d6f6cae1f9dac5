"""Keys and names: new ones in the source's format, unique where it was, none of its values kept."""

from __future__ import annotations

import json
import re
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from synth.codecs.table import TableCodec
from synth.detection import detect
from synth.patterns import permute

N = 600
RNG = np.random.default_rng(1)
EMPTY = np.zeros((0, 0), dtype=np.int64)


def uuids():
    """Random UUIDs of version 4."""
    return [str(uuid.UUID(bytes=RNG.bytes(16), version=4)) for _ in range(N)]


UNIQUE = {
    "padded codes": [f"{i:05d}" for i in RNG.permutation(10**5)[:N]],
    "e-mails": [f"{RNG.bytes(4).hex()}@mail{i % 5}.org" for i in range(N)],
    "phones": [f"+49 {i} {j}" for i, j in zip(RNG.integers(100, 999, N), RNG.permutation(10**7)[:N], strict=True)],
    "uuids": uuids(),
    "running keys": [f"ORD-{i:06d}/x" for i in range(N)],
    "running keys without zeros": [f"user{i}" for i in range(N)],
    "multi-byte names": [f"Zoë {chr(0x3041 + i % 60)}{chr(0x4E00 + i)}" for i in range(N)],
    "free text": [
        " ".join(["lorem", "ipsum", "dolor"][j % 3] * (j % 4) for j in range(i % 40)) + str(i) for i in range(N)
    ],
    "integers": list(range(5000, 5000 + N)),
    "integers at the top": list(range(2**63 - N, 2**63)),
}


def made(values, rows=range(N), dtype=None):
    """Schema, codec and generated values of a table with this one column."""
    table = pa.table({"id": pa.array(values, dtype)})
    schema = detect(table, kinds={"id": "identifier"})
    codec = TableCodec.fit(table, schema, 0)
    tokens = codec.encode(table)["tokens"]
    tokens = np.zeros((len(rows), tokens.shape[1]), dtype=np.int64)
    return (
        schema,
        codec,
        codec.decode({"tokens": tokens}, rows=rows, rng=np.random.default_rng(0)).column(0).to_pylist(),
    )


@pytest.mark.parametrize("name", UNIQUE)
def test_unique_in_the_sources_format_and_not_from_the_source(name):
    values = UNIQUE[name]
    schema, codec, texts = made(values, range(5000))
    assert schema["id"].kind == "identifier"
    assert schema.primary_key == "id"
    assert len(set(texts)) == 5000
    pattern = schema["id"].pattern
    if pattern is not None:
        assert all(re.search(pattern, text) for text in texts)
    assert not set(values) & set(texts)
    state = json.dumps(codec.state(), ensure_ascii=False) + schema.model_dump_json()
    assert not [value for value in values if isinstance(value, str) and f'"{value}"' in state]


def test_a_fixed_width_is_kept_and_running_keys_go_on():
    assert {len(text) for text in made(UNIQUE["padded codes"])[2]} == {5}
    assert made(UNIQUE["running keys"])[2][:2] == ["ORD-000600/x", "ORD-000601/x"]
    assert made(UNIQUE["running keys without zeros"])[2][0] == "user600"
    assert made(UNIQUE["integers"])[2][0] == 5600
    assert made(UNIQUE["integers at the top"])[2][0] == 2**63 - N - 1
    assert all(text[14] == "4" for text in made(UNIQUE["uuids"])[2])


@pytest.mark.parametrize("name", ["padded codes", "e-mails", "running keys", "integers"])
def test_a_row_number_has_its_identifier_whatever_the_block(name):
    whole = made(UNIQUE[name], range(4000))[2]
    assert made(UNIQUE[name], range(1500, 2500))[2] == whole[1500:2500]


def test_texts_that_were_not_unique_stay_in_their_format_for_ever():
    values = [f"v{i}" for i in RNG.integers(1000, 9999, 20_000)]
    schema, _, texts = made(values, range(30_000))
    assert schema["id"].kind == "identifier"
    assert not schema["id"].unique
    assert {len(text) for text in texts} == {5}
    assert all(re.search(schema["id"].pattern, text) for text in texts)


def test_unique_texts_go_on_with_more_digits_when_their_format_is_used_up():
    values = [f"{i:03d}" for i in RNG.permutation(999)[:100]]
    schema, _, texts = made(values, range(2500))
    assert len(set(texts)) == 2500
    assert {len(text) for text in texts[:150]} == {3}
    assert {len(text) for text in texts[1000:]} <= {4, 5}
    assert not set(values) & set(texts)
    assert all(re.search(schema["id"].pattern, text) for text in texts)


def test_short_formats_that_are_used_up_leave_their_rows_to_the_longest():
    values = [f"user{i}@example.org" for i in RNG.permutation(10**5)[:500]]
    schema, _, texts = made(values, range(60_000))
    assert len(set(texts)) == 60_000
    assert all(re.fullmatch(r"user[0-9]+@example\.org", text) for text in texts)
    assert all(re.search(schema["id"].pattern, text) for text in texts)


def test_formats_keep_their_shares():
    values = [f"A{i:06d}" if i % 4 else f"B-{i:06d}-{i * 37 % 1000:03d}" for i in RNG.permutation(10**6)[:2000]]
    real = np.mean([text[0] == "A" for text in values])
    assert abs(np.mean([text[0] == "A" for text in made(values, range(4000))[2]]) - real) < 0.01


def test_a_narrow_integer_starts_anew_when_it_is_used_up():
    texts = made(np.arange(200, dtype=np.int16), range(70_000), pa.int16())[2]
    assert len(set(texts)) == 2**16
    assert texts[:2] == [200, 201]


def test_nulls_keep_their_rate():
    values = [None if i % 3 == 0 else text for i, text in enumerate(UNIQUE["e-mails"])]
    table = pa.table({"id": values})
    codec = TableCodec.fit(table, detect(table, kinds={"id": "identifier"}), 0)
    assert codec.layout.cardinalities == [2]
    out = codec.decode(codec.encode(table), rows=range(N), rng=np.random.default_rng(0)).column(0)
    assert out.null_count == 200
    assert pc.count_distinct(out).as_py() == 400


@pytest.mark.parametrize("size", [1, 2, 10, 1000, 26**3, 36**4])
def test_the_permutation_is_one(size):
    rows = np.arange(min(size, 50_000))
    out = permute(rows, size, key=123456789)
    assert len(set(out.tolist())) == len(rows)
    assert 0 <= out.min() <= out.max() < size
