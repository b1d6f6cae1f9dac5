"""boolean: false, true and null as tokens, as for any other category."""

from synth.codecs.columns.category import Codec

__all__ = ["Codec"]
