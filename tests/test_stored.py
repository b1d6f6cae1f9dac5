"""Parquet files as a table: the same rows, types and model as in memory, and rows drawn at random."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import people

from synth import Synthesizer, encoded, stored
from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.frames import from_pandas
from synth.storage import read_parquet, write_parquet
from synth.stored import Stored, blocks, drawn, learnt_rows


@pytest.fixture
def rich() -> pa.Table:
    """Types that Parquet itself does not keep, in 500 rows."""
    table = pa.Table.from_pandas(people(500), preserve_index=False)
    numbers = pa.DictionaryArray.from_arrays(pa.array(np.arange(500) % 3), pa.array([30, 10, 20]), ordered=True)
    moments = pa.array(np.arange(500) * 3600, pa.timestamp("s"))
    return table.append_column("level", numbers).append_column("hour", moments).append_column("a.b", numbers)


@pytest.fixture
def place(rich, tmp_path):
    """The same in a folder of two parts."""
    (tmp_path / "parts").mkdir()
    for number, part in enumerate((rich.slice(0, 300), rich.slice(300))):
        write_parquet(tmp_path / f"parts/part-{number}.parquet", part)
    return tmp_path / "parts"


def test_it_is_the_table_that_was_written(rich, place, monkeypatch):
    monkeypatch.setattr(stored, "BLOCK", 64)
    found, whole = Stored.open(place), read_parquet(place)
    assert (found.num_rows, found.column_names) == (500, rich.column_names)
    assert found.schema.equals(whole.schema, check_metadata=True)
    assert found.read().equals(whole)
    pieces = list(blocks(found))
    assert max(piece.num_rows for piece in pieces) == 64
    for name in rich.column_names:
        column = pa.chunked_array([chunk for piece in pieces for chunk in piece.column(name).chunks])
        assert column.to_pylist() == rich.column(name).to_pylist()
    assert detect(found) == detect(whole)


def test_some_rows_are_the_same_ones_in_memory_and_in_files(rich, place, monkeypatch):
    monkeypatch.setattr(stored, "BLOCK", 64)
    from_files, in_memory = drawn(Stored.open(place), 77, seed=3), drawn(rich, 77, seed=3)
    assert from_files.num_rows == in_memory.num_rows == 77
    assert from_files.read().to_pylist() == in_memory.to_pylist()
    assert pa.concat_tables(blocks(from_files)).to_pylist() == in_memory.to_pylist()
    assert drawn(from_files, 5, seed=0).read().to_pylist() == drawn(in_memory, 5, seed=0).to_pylist()
    assert drawn(rich, 77, seed=4).to_pylist() != in_memory.to_pylist()
    assert drawn(rich, 500, seed=3) is rich


def test_every_row_is_as_likely_as_any_other():
    table = pa.table({"x": np.arange(20)})
    counts = np.bincount(np.concatenate([drawn(table, 5, seed)["x"].to_numpy() for seed in range(2000)]), minlength=20)
    assert (np.abs(counts / 2000 - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)).all()


@pytest.mark.parametrize("max_rows", [None, 400])
def test_a_model_of_files_is_that_of_the_table_in_memory(tmp_path, monkeypatch, max_rows):
    """By blocks, with narrow arrays in a file, and of some rows alone."""
    frame = people(700)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "t.parquet", row_group_size=100)
    settings = {"epochs": 2, "width": 8, "seed": 5, "max_rows": max_rows}
    Synthesizer(**settings).fit(frame, target="churned").save(tmp_path / "memory")
    monkeypatch.setattr(stored, "BLOCK", 64)
    monkeypatch.setattr(encoded, "IN_MEMORY", 0)
    Synthesizer(**settings).fit(tmp_path / "t.parquet", target="churned").save(tmp_path / "files")
    for file in ("model.safetensors", "synthesizer.json"):
        assert (tmp_path / "files" / file).read_bytes() == (tmp_path / "memory" / file).read_bytes()


def test_nothing_of_the_other_rows_is_learnt(tmp_path):
    frame = people(400)
    frame.loc[0, ["city", "age", "income"]] = ["Nowhere", 999, np.nan]
    seed = next(s for s in range(99) if drawn(pa.table({"x": np.arange(400)}), 100, s)["x"].to_numpy().min() > 0)
    found = Synthesizer(epochs=1, width=4, max_rows=100, seed=seed).fit(frame, schema=detect(from_pandas(frame)))
    assert (found.schema_.rows, found.source_rows_, found.history_.rows) == (100, 400, 100)
    assert found.schema_["age"].maximum < 100
    assert "Nowhere" not in found.schema_["city"].categories
    assert not found.schema_["income"].nullable
    found.save(tmp_path / "m")
    loaded = Synthesizer.load(tmp_path / "m")
    assert (loaded.max_rows, loaded.source_rows_, loaded.get_params()["max_rows"]) == (100, 400, 100)
    assert loaded.sample(500)["income"].notna().all()


def test_with_rules_many_rows_are_cut_to_what_fits_in_memory(tmp_path, monkeypatch, caplog):
    frame = people(300).assign(later=lambda rows: rows["joined"] + np.timedelta64(5, "D"))
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "t.parquet")
    monkeypatch.setattr(stored, "RULED", 200)
    assert (learnt_rows(300, None, True), learnt_rows(300, 50, True), learnt_rows(300, None, False)) == (200, 50, 300)
    rules = [{"kind": "inequality", "columns": ["joined", "later"]}]
    found = Synthesizer(epochs=1, width=4).fit(tmp_path / "t.parquet", rules=rules)
    assert found.schema_.rows == 200
    assert "200 of 300 rows are learnt from" in caplog.text
    sample = found.sample(100)
    assert (sample["joined"] <= sample["later"]).all()


@pytest.mark.parametrize(("cardinality", "kind"), [(1, "uint8"), (256, "uint8"), (257, "int16"), (40_000, "int32")])
def test_tokens_take_the_narrowest_integers(cardinality, kind):
    assert np.dtype(encoded.narrowest(cardinality)).name == kind


def test_what_is_no_parquet_is_refused_by_name(tmp_path, place):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"a\.csv: not a Parquet file"):
        Synthesizer(epochs=1).fit(tmp_path / "a.csv")
    with pytest.raises(InputError, match="no Parquet file there"):
        Stored.open(tmp_path / "none.parquet")
    pq.write_table(pa.table({"x": [1]}), place / "part-9.parquet")
    with pytest.raises(InputError, match="different columns"):
        Stored.open(place)
    with pytest.raises(ConfigError, match="max_rows: expected 1 or more, found 0"):
        Synthesizer(max_rows=0)


def test_files_that_break_later_are_refused_by_name(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": np.random.default_rng(0).random(20_000)}), path)
    raw = bytearray(path.read_bytes())
    raw[4:3000] = bytes(2996)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"t\.parquet: not a Parquet file that can be read"):
        Synthesizer(epochs=1).fit(path)
