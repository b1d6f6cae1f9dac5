"""The type in which networks of pictures compute; weights are float32 in any."""

from __future__ import annotations

import torch
from torch import Tensor

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # a processor's instructions, as torch names them


def working(x: Tensor, precision: torch.dtype | None) -> Tensor:
    """x in a type; None for the one that its device is fast in."""
    return x.to(precision or fast_type(x.device))


def fast_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the device has instructions for it, which is twice as fast as float32, and float32 where it would
    be imitated, which is ten times as slow."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        found = torch.cpu.get_capabilities()
        fast = any(found.get(name, False) for name in BFLOAT16)
    return torch.bfloat16 if fast else torch.float32
