"""Learn a dataset with a generative model; release a synthetic one that is valid, measured and private."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth.synthesizer import Synthesizer

__all__ = ["Synthesizer"]


def __getattr__(name: str) -> Any:
    """Import `Synthesizer`, and torch with it, when it is first asked for."""
    if name == "Synthesizer":
        from synth.synthesizer import Synthesizer

        return Synthesizer
    raise AttributeError(f"module 'synth' has no attribute {name!r}")
