"""Outputs are whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest

from synth.errors import InputError
from synth.storage import read_json, read_parquet, replacing, sha256, write_json, write_parquet


def test_an_error_leaves_the_former_file(tmp_path):
    place = tmp_path / "a.json"
    write_json(place, {"a": 1})

    def fail() -> None:
        with replacing(place) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(place) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_directory_is_replaced_as_a_whole(tmp_path):
    place = tmp_path / "d"
    for name in ("one", "two"):
        with replacing(place) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert [p.name for p in place.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_killed_writer_leaves_no_output_under_the_name(tmp_path):
    script = (
        "import sys, time\nfrom synth.storage import replacing\n"
        "with replacing(sys.argv[1]) as t:\n"
        "    t.mkdir(); (t / 'part').write_text('half'); print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "out")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(0.05)
    assert not (tmp_path / "out").exists()
    with replacing(tmp_path / "out") as temporary:
        temporary.mkdir()
    assert list((tmp_path / "out").iterdir()) == []


def test_broken_json_is_named_with_its_line(tmp_path):
    place = tmp_path / "a.json"
    place.write_text('{\n"a": }')
    with pytest.raises(InputError, match=r"a\.json: line 2"):
        read_json(place)


def test_parquet_parts_are_read_in_order_and_nan_is_refused_in_json(tmp_path):
    for i in (1, 0):
        write_parquet(tmp_path / "d" / f"part-{i}.parquet", pa.table({"a": [i]}), {"k": "v"})
    table = read_parquet(tmp_path / "d")
    assert table.column("a").to_pylist() == [0, 1]
    assert table.schema.metadata[b"k"] == b"v"
    with pytest.raises(ValueError):
        write_json(tmp_path / "n.json", {"a": float("nan")})
    with pytest.raises(InputError, match="no Parquet"):
        read_parquet(tmp_path / "nothing")


def test_sha256_is_the_published_digest_of_abc(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
