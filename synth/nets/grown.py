"""Modules with buffers whose shapes the rows decide."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn


class Grown(nn.Module):
    """grown: names of buffers that take the shapes of a state that is loaded."""

    grown: ClassVar[tuple[str, ...]] = ()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Make room for what the state has of them."""
        for name in self.grown:
            if hasattr(self, name) and prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args)
