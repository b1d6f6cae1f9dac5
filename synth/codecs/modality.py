"""Which codec a schema asks for."""

from __future__ import annotations

from typing import TypeAlias

from synth.codecs.corpus import TextCodec
from synth.codecs.image import ImageCodec
from synth.codecs.rules.codec import RuledCodec
from synth.codecs.series import SeriesCodec
from synth.codecs.table import TableCodec
from synth.schema import Schema

AnyCodec: TypeAlias = TableCodec | RuledCodec | ImageCodec | TextCodec | SeriesCodec


def codec_of(
    schema: Schema,
) -> type[TableCodec] | type[RuledCodec] | type[ImageCodec] | type[TextCodec] | type[SeriesCodec]:
    """The codec of a schema's modality, one that keeps its rules where there are any."""
    if schema.modality == "image":
        return ImageCodec
    if schema.modality == "text":
        return TextCodec
    if schema.modality == "series":
        return SeriesCodec
    return RuledCodec if schema.rules else TableCodec
