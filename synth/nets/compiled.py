"""Networks whose layers torch compiles; their weights and what is saved of them stay as they are."""

from __future__ import annotations

from torch import nn


def compiled(layers: nn.ModuleList) -> None:
    """Have each layer compiled at its first call, for shapes that change; a copy of the network is not."""
    for layer in layers:
        layer.compile(dynamic=True)
