"""Samples of any length to Parquet shards, in flat memory.

Rows come in blocks that depend on (seed, block number) alone. A shard is a run of whole blocks, so the rows
are the same for any number of shards and for any worker that makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import InputError
from synth.requests import BLOCK, Request
from synth.series import flatten, long_schema
from synth.storage import EXPOSED, check_file, check_replaceable, dictionaries, replacing
from synth.synthesizer import Synthesizer

ROW_GROUP = 8  # blocks per Parquet row group
PARTS = "part-*.parquet"  # all that a folder of a sample holds


def part_name(shard: int, shards: int) -> str:
    """File name of one shard, for example part-00000-of-00004.parquet."""
    return f"part-{shard:05d}-of-{shards:05d}.parquet"


def shard_blocks(rows: int, shard: int, shards: int, block: int = BLOCK) -> range:
    """Numbers of the blocks of `block` rows that shard `shard` of `shards` holds."""
    blocks = -(-rows // block)
    return range(shard * blocks // shards, (shard + 1) * blocks // shards)


def write_samples(
    synthesizer: Synthesizer,
    rows: int,
    out: str | Path,
    *,
    seed: int | None = None,
    shards: int = 1,
    request: Request | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> None:
    """Write `rows` rows as a directory of part files; `out` is replaced as a whole when all are there.

    request: what every row has to keep, from `Synthesizer.request`
    on_rows: called with the number of rows written so far
    """
    _check(rows, shards)
    check_replaceable(out, PARTS)
    request = request or synthesizer.request()
    blocks = _blocks(synthesizer, rows, seed, request, shard_blocks(rows, 0, 1, request.block))
    with replacing(out) as temporary:
        temporary.mkdir()
        done = 0
        for shard in range(shards):
            part = islice(blocks, len(shard_blocks(rows, shard, shards, request.block)))
            for count in _write(synthesizer, part, temporary / part_name(shard, shards), seed, request):
                done += count
                if on_rows is not None:
                    on_rows(done)


def write_shard(
    synthesizer: Synthesizer,
    rows: int,
    out: str | Path,
    *,
    shard: int = 0,
    shards: int = 1,
    seed: int | None = None,
    request: Request | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> None:
    """Write one shard of a sample of `rows` rows to the file `out`, atomically."""
    _check(rows, shards)
    if not 0 <= shard < shards:
        raise InputError(f"shard: expected 0 to {shards - 1} of {shards}, found {shard}")
    check_file(out)
    request = request or synthesizer.request()
    blocks = _blocks(synthesizer, rows, seed, request, shard_blocks(rows, shard, shards, request.block))
    with replacing(out) as temporary:
        done = 0
        for count in _write(synthesizer, blocks, temporary, seed, request):
            done += count
            if on_rows is not None:
                on_rows(done)


def _check(rows: int, shards: int) -> None:
    if rows < 1:
        raise InputError(f"rows: expected 1 or more, found {rows}")
    if shards < 1:
        raise InputError(f"shards: expected 1 or more, found {shards}")


def _blocks(
    synthesizer: Synthesizer, rows: int, seed: int | None, request: Request, numbers: range
) -> Iterator[pa.Table]:
    """Blocks of these numbers, the last of a sample cut to its `rows`."""
    synthesizer.check_room(rows)
    drawn = synthesizer.blocks(numbers, seed=seed, request=request)
    cut = (block.slice(0, rows - number * request.block) for number, block in zip(numbers, drawn, strict=True))
    return map(flatten, cut)


def _write(
    synthesizer: Synthesizer, blocks: Iterator[pa.Table], path: Path, seed: int | None, request: Request
) -> Iterator[int]:
    """Write the blocks to one file; the number of rows of each row group, once it is there."""
    schema = long_schema(synthesizer.schema_.arrow_schema)
    facts = {
        "synthetic": "true",
        "generator": f"synth {synthesizer.model}",
        "seed": str(synthesizer.seed if seed is None else seed),
        "version": version("synth"),
        **request.facts,
        **({EXPOSED: synthesizer.exposed} if synthesizer.exposed else {}),
    }
    metadata = {
        **(schema.metadata or {}),
        **dictionaries(flatten(synthesizer.codec_.empty())),
        **{key.encode(): value.encode() for key, value in facts.items()},
    }
    with pq.ParquetWriter(path, schema.with_metadata(metadata), compression="zstd") as writer:
        while group := list(islice(blocks, ROW_GROUP)):
            table = pa.concat_tables(group)
            writer.write_table(table.replace_schema_metadata(metadata))
            yield table.num_rows
