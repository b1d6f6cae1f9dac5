"""Encoded images: what is one, and what of it can be decoded."""

from __future__ import annotations

import importlib
import io
from typing import Any

import pyarrow as pa

from synth.errors import ConfigError, InputError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # as the readers of Hugging Face datasets take it
MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}  # of files -> what they are learnt as
CHANNELS = {"L": 1, "RGB": 3}


def is_image(dtype: pa.DataType) -> bool:
    """Whether a column holds encoded images."""
    return bool(
        pa.types.is_struct(dtype)
        and {dtype.field(i).name for i in range(dtype.num_fields)} == {"bytes", "path"}
        and pa.types.is_binary(dtype.field("bytes").type)
    )


def pillow() -> Any:
    """Pillow's module of images; ConfigError says how to install it."""
    try:
        return importlib.import_module("PIL.Image")
    except ModuleNotFoundError:
        raise ConfigError("pictures need Pillow, which is missing: pip install 'synth[images]'") from None


def opened(raw: bytes | None, name: str) -> Any:
    """A decoded `PIL.Image`; InputError names what cannot be decoded, or has a mode that is not learnt."""
    Image = pillow()
    if not raw:
        raise InputError(f"{name}: an empty file; expected a picture")
    try:
        picture = Image.open(io.BytesIO(raw))
        picture.load()
    except Image.UnidentifiedImageError:
        raise InputError(f"{name}: not a picture that can be read; expected PNG, JPEG or the like") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{name}: a broken picture ({str(error).splitlines()[0]})") from None
    if picture.mode not in MODES:
        raise InputError(
            f"{name}: its mode is {picture.mode}; expected grey (L) or colour (RGB), of 8 bits: convert it"
        )
    return picture
