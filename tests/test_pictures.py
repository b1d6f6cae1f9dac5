"""Folders of pictures and rows of pixels as tables, and the answers to what cannot be learnt."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from digits import levels
from PIL import Image

from synth.codecs.image import to_levels
from synth.detection import detect
from synth.errors import InputError
from synth.pictures import read_folder, read_pixels
from synth.sources import read_table
from synth.storage import read_parquet, write_parquet


@pytest.fixture
def folder(tmp_path) -> Path:
    """30 digits in sub-folders of three classes."""
    images, digits = levels()
    for digit in range(3):
        (tmp_path / "digits" / str(digit)).mkdir(parents=True)
        for number, image in enumerate(images[digits == digit][:10]):
            Image.fromarray(image[0]).save(tmp_path / "digits" / str(digit) / f"{number}.png")
    return tmp_path / "digits"


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    sink = io.BytesIO()
    picture.save(sink, form)
    return sink.getvalue()


def test_a_folder_of_classes_becomes_pictures_and_labels(folder, tmp_path):
    table = read_table(folder)
    assert table.column_names == ["image", "label"]
    assert table.column("label").to_pylist() == ["0"] * 10 + ["1"] * 10 + ["2"] * 10
    schema = detect(table, target="label", rare_values=0)
    assert schema.modality == "image"
    assert (schema["image"].mode, schema["image"].width, schema["image"].height) == ("L", 8, 8)
    images, digits = levels()
    np.testing.assert_array_equal(to_levels(table.column("image"), schema["image"])[10:20], images[digits == 1][:10])
    write_parquet(tmp_path / "train.parquet", table)
    assert read_parquet(tmp_path / "train.parquet").equals(table)


def test_a_table_of_labels_names_the_pictures(folder):
    lines = [f"{digit}/{number}.png,{digit},{number % 2 == 0}" for digit in (2, 0) for number in range(5)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,digit,even", *lines]))
    table = read_folder(folder)
    assert table.column_names == ["image", "digit", "even"]
    assert table.column("digit").to_pylist() == [2] * 5 + [0] * 5


def test_rows_of_pixels_become_pictures(tmp_path):
    images, digits = levels()
    rows = np.column_stack([images[:20].reshape(20, 64), digits[:20]])
    np.savetxt(tmp_path / "pixels.csv", rows, fmt="%d", delimiter=",")
    table = read_pixels(tmp_path / "pixels.csv", 8, 8, None)
    schema = detect(table, rare_values=0)
    np.testing.assert_array_equal(to_levels(table.column("image"), schema["image"]), images[:20])
    assert table.column("label").to_pylist() == [str(digit) for digit in digits[:20]]
    with pytest.raises(InputError, match=r"pixels\.csv: line 1 has 65 fields where 50 are expected"):
        read_pixels(tmp_path / "pixels.csv", 7, 7, None)


def broken(folder: Path) -> None:
    whole = (folder / "1/3.png").read_bytes()
    (folder / "1/3.png").write_bytes(whole[: len(whole) // 2])


def no_picture(folder: Path) -> None:
    (folder / "1/3.png").write_text("a note")


def another_size(folder: Path) -> None:
    Image.new("L", (9, 8)).save(folder / "1/3.png")


def cmyk(folder: Path) -> None:
    Image.new("CMYK", (8, 8)).save(folder / "1/3.jpg")


def sixteen_bits(folder: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "1/3.png")


def see_through(folder: Path) -> None:
    Image.new("RGBA", (8, 8)).save(folder / "1/3.png")


def empty_file(folder: Path) -> None:
    (folder / "1/3.png").write_bytes(b"")


def empty_class(folder: Path) -> None:
    (folder / "9").mkdir()


def loose(folder: Path) -> None:
    Image.new("L", (8, 8)).save(folder / "loose.png")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (broken, r"1/3\.png: a broken picture"),
        (no_picture, r"1/3\.png: not a picture that can be read"),
        (another_size, r"1/3\.png: 9 x 8 pixels, where 0/0\.png has 8 x 8 pixels"),
        (cmyk, r"1/3\.jpg: its mode is CMYK; expected grey \(L\) or colour \(RGB\)"),
        (sixteen_bits, r"1/3\.png: its mode is I;16; expected grey"),
        (see_through, r"1/3\.png: its mode is RGBA; expected grey"),
        (empty_file, r"1/3\.png: an empty file"),
        (empty_class, "9: a class without pictures"),
        (loose, r"pictures lie in it \(loose\.png\) and in its sub-folders"),
    ],
)
def test_what_cannot_be_learnt_is_refused_by_name(folder, harm, message):
    harm(folder)
    with pytest.raises(InputError, match=message):
        detect(read_table(folder), rare_values=0)


def test_a_table_that_names_a_picture_elsewhere_is_refused(folder):
    (folder / "metadata.csv").write_text("file_name\n../../secret.png\n")
    with pytest.raises(InputError, match=r"metadata\.csv: .* is not in the folder"):
        read_folder(folder)


def test_two_columns_of_pictures_are_refused():
    picture = pa.array([{"bytes": encoded(Image.new("L", (8, 8))), "path": None}] * 5)
    with pytest.raises(InputError, match="columns 'a' and 'b' both hold pictures"):
        detect(pa.table({"a": picture, "b": picture}))


def test_grey_and_colour_together_are_learnt_as_colour():
    grey, colour = (encoded(Image.new(mode, (8, 8))) for mode in ("L", "RGB"))
    picture = pa.array([{"bytes": raw, "path": None} for raw in (grey, colour) * 3])
    schema = detect(pa.table({"image": picture}))
    assert schema["image"].mode == "RGB"
    assert to_levels(pa.chunked_array([picture]), schema["image"]).shape == (6, 3, 8, 8)
