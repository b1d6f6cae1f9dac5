"""The same rows for any number of shards, whole files, flat memory."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.errors import InputError
from synth.sampling import part_name, write_samples, write_shard
from synth.storage import parquet_files, read_parquet

ROWS = 20_001


def digest(table: pa.Table) -> str:
    """sha256 of the rows, whatever the chunks."""
    sink = pa.BufferOutputStream()
    table = table.combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


@pytest.fixture(scope="module")
def one(fitted, tmp_path_factory):
    """A sample in one shard."""
    place = tmp_path_factory.mktemp("one") / "s"
    write_samples(fitted, ROWS, place)
    return place


@pytest.mark.parametrize("shards", [2, 4, 7])
def test_any_number_of_shards_gives_the_same_rows(fitted, one, tmp_path, shards):
    seen = []
    write_samples(fitted, ROWS, tmp_path / "s", shards=shards, on_rows=seen.append)
    files = parquet_files(tmp_path / "s")
    assert [file.name for file in files] == [part_name(i, shards) for i in range(shards)]
    assert seen[-1] == ROWS
    assert digest(read_parquet(tmp_path / "s")) == digest(read_parquet(one))


def test_a_worker_makes_its_shard_alone(fitted, one, tmp_path):
    for shard in (2, 0, 1):
        write_shard(fitted, ROWS, tmp_path / "s" / part_name(shard, 3), shard=shard, shards=3)
    assert digest(read_parquet(tmp_path / "s")) == digest(read_parquet(one))


def test_identifiers_are_unique_over_all_shards(one):
    ids = read_parquet(one).column("id").to_pylist()
    assert len(set(ids)) == ROWS


def test_the_files_say_what_they_are_and_keep_the_schema(fitted, one):
    schema = pq.read_schema(parquet_files(one)[0])
    assert schema.metadata[b"synthetic"] == b"true"
    assert schema.metadata[b"generator"] == b"synth autoregressive"
    assert schema.metadata[b"seed"] == b"0"
    assert schema.remove_metadata().equals(fitted.schema_.arrow_schema.remove_metadata())
    assert read_parquet(one).to_pandas().dtypes.equals(fitted.sample(1).dtypes)


def test_an_interrupted_sampling_leaves_the_former_sample(fitted, tmp_path):
    write_samples(fitted, 10, tmp_path / "s")

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(fitted, 30, tmp_path / "s", on_rows=stop)
    assert read_parquet(tmp_path / "s").num_rows == 10
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_wrong_numbers_are_named(fitted, tmp_path):
    with pytest.raises(InputError, match="rows: expected 1 or more"):
        write_samples(fitted, 0, tmp_path / "s")
    with pytest.raises(InputError, match="shards: expected 1 or more"):
        write_samples(fitted, 5, tmp_path / "s", shards=0)
    with pytest.raises(InputError, match="shard: expected 0 to 1 of 2"):
        write_shard(fitted, 5, tmp_path / "s", shard=2, shards=2)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_where_a_folder_is_is_refused_before_a_row_is_drawn(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(type(fitted), "block", lambda *_, **__: pytest.fail("rows were drawn"))
    with pytest.raises(InputError, match="a folder is there"):
        write_shard(fitted, 5, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_flat_in_the_number_of_rows(fitted, tmp_path):
    fitted.save(tmp_path / "m")
    script = (
        "import resource, sys\nfrom synth import Synthesizer\nfrom synth.sampling import write_samples\n"
        "model = Synthesizer.load(sys.argv[1])\nwrite_samples(model, int(sys.argv[2]), sys.argv[3])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for rows in (100_000, 1_000_000):
        command = [sys.executable, "-c", script, str(tmp_path / "m"), str(rows), str(tmp_path / "s")]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        assert sum(pq.read_metadata(file).num_rows for file in parquet_files(tmp_path / "s")) == rows
    assert peaks[1] <= 1.2 * peaks[0]
