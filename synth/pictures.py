"""Pictures from where users keep them: a folder with a sub-folder for each class, one with a table of labels, or rows
of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from synth.codecs.image import from_levels
from synth.errors import InputError
from synth.imaging import IMAGE
from synth.sources import read_table

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
TABLE = "metadata.csv"  # of labels, by the convention of Hugging Face's folders of images
FILE, PICTURE, LABEL = "file_name", "image", "label"


def has_pictures(folder: Path) -> bool:
    """Whether a folder holds pictures, right in it or in its sub-folders."""
    return folder.is_dir() and ((folder / TABLE).is_file() or any(_files(part) for part in (folder, *_classes(folder))))


def read_folder(folder: str | Path) -> pa.Table:
    """A column `image`, and the labels: a column `label` with the names of the sub-folders, or the columns of
    `metadata.csv`, whose `file_name` says which picture each row has. Pictures are not decoded.

    InputError names a class without pictures, a picture that is not there, and a folder that has both kinds.
    """
    place = Path(folder)
    if (place / TABLE).is_file():
        return _listed(place)
    classes, loose = _classes(place), _files(place)
    if classes and loose:
        raise InputError(
            f"{folder}: pictures lie in it ({loose[0].name}) and in its sub-folders ({classes[0].name}); keep one of "
            f"both, or add a {TABLE} with a column {FILE!r}"
        )
    if not classes:
        return pa.table({PICTURE: _pictures(place, loose)})
    parts = []
    for name in classes:
        files = _files(name)
        if not files:
            raise InputError(f"{name}: a class without pictures; add some or remove the folder")
        parts.append(pa.table({PICTURE: _pictures(place, files), LABEL: pa.array([name.name] * len(files))}))
    return pa.concat_tables(parts)


def read_pixels(location: str | Path, height: int, width: int, columns: tuple[str, ...] | None) -> pa.Table:
    """Pictures out of a CSV without a header whose lines begin with the levels of height x width pixels, 0 to 255, row
    after row of the picture, and end with labels.

    columns: names of the labels; `label` where there is one. InputError where lines have another length or no levels.
    """
    values = height * width
    names = (LABEL,) if columns is None else columns
    table = read_table(location, columns=(*(str(i) for i in range(values)), *names))
    pixels = table.select(table.column_names[:values])
    if any(not pa.types.is_integer(dtype) for dtype in pixels.schema.types):
        raise InputError(f"{location}: its first {values:,} columns are no levels of pixels, 0 to 255")
    levels = np.stack([column.to_numpy() for column in pixels.columns], 1)
    if levels.min() < 0 or levels.max() > 255:
        raise InputError(f"{location}: levels from {levels.min()} to {levels.max()}; expected 0 to 255")
    images = from_levels(levels.astype(np.uint8).reshape(-1, 1, height, width), range(len(levels)))
    labels = (pa.compute.cast(table.column(name), pa.string()) for name in names)
    return pa.table([images, *labels], names=[PICTURE, *names])


def _listed(folder: Path) -> pa.Table:
    table = read_table(folder / TABLE)
    if FILE not in table.column_names:
        raise InputError(f"{folder / TABLE}: has no column {FILE!r}; there are: {', '.join(table.column_names)}")
    files = [folder / name for name in table.column(FILE).cast(pa.string()).to_pylist()]
    inside = folder.resolve()
    for file in files:
        if not file.is_file() or inside not in file.resolve().parents:
            raise InputError(f"{folder / TABLE}: {file.relative_to(folder)} is not in the folder")
    place = table.column_names.index(FILE)
    return table.set_column(place, PICTURE, _pictures(folder, files))


def _classes(folder: Path) -> list[Path]:
    return sorted(part for part in folder.iterdir() if part.is_dir() and not part.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )


def _pictures(folder: Path, files: list[Path]) -> pa.Array:
    paths = pa.array([file.relative_to(folder).as_posix() for file in files], pa.string())
    raw = pa.array([file.read_bytes() for file in files], pa.binary())
    return pa.StructArray.from_arrays([raw, paths], fields=list(IMAGE))
