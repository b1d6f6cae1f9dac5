"""Pictures held against the suite of their training rows: whole, of one shape, with a contrast, and no copies."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from digits import levels, table

from synth.codecs.image import from_levels
from synth.detection import detect
from synth.storage import write_parquet
from synth.validation import suite, validate


def held(tmp_path, made: pa.Table) -> dict:
    train = table(300)
    write_parquet(tmp_path / "made.parquet", made)
    return validate(tmp_path / "made.parquet", suite(detect(train, target="label"), train), None)


def test_unseen_real_pictures_pass(tmp_path):
    result = held(tmp_path, table().slice(300, 300))
    assert result["success"], result["critical_failures"]
    assert {check["expectation"] for check in result["expectations"] if check["columns"] == ["image"]} == {
        "expect_column_arrow_type_to_be",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_between",
        "expect_column_values_to_not_be_in_set",
    }


def with_picture(raw: bytes | None) -> pa.Table:
    good = table().slice(300, 300)
    pictures = good.column("image").to_pylist()
    pictures[7] = None if raw is None else {"bytes": raw, "path": "7.png"}
    return good.set_column(0, good.schema.field(0), pa.array(pictures, good.schema.field(0).type))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: with_picture(b"no picture"), "'image': column values to be in set"),
        (lambda: with_picture(None), "'image': column values to not be null"),
        (
            lambda: with_picture(from_levels(np.full((1, 1, 8, 8), 90, np.uint8), range(1))[0].as_py()["bytes"]),
            "'image': column values to be between",
        ),
        (
            lambda: with_picture(from_levels(levels()[0][:1].repeat(2, axis=2), range(1))[0].as_py()["bytes"]),
            "'image': column values to be in set .*8 x 16 L",
        ),
        (lambda: table(300), "'image': column values to not be in set"),
    ],
    ids=["broken", "missing", "constant", "another size", "copies"],
)
def test_what_is_wrong_with_a_picture_is_a_critical_failure(tmp_path, made, message):
    result = held(tmp_path, made())
    assert not result["success"]
    assert any(re.search(message, line) for line in result["critical_failures"])
