"""The working type: bfloat16 only where the device computes in it."""

from __future__ import annotations

import pytest
import torch

from synth.nets.labels import guidance_of
from synth.nets.precision import fast_type, working

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"architecture": "x86_64", "avx2": True}, torch.float32),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"architecture": "x86_64", "avx512_bf16": True}, torch.bfloat16),
        ({"architecture": "x86_64", "amx_bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "neon": True}, torch.float32),
    ],
)
def test_a_processor_computes_in_the_type_that_it_has_instructions_for(monkeypatch, found, wanted):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert fast_type(CPU) == wanted
    assert working(torch.zeros(2), None).dtype == wanted
    assert working(torch.zeros(2), torch.float64).dtype == torch.float64


@pytest.mark.parametrize(("fast", "wanted"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_that_imitates_bfloat16_computes_in_float32(monkeypatch, fast, wanted):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: fast or including_emulation)
    assert fast_type(CUDA) == wanted


def test_captions_are_guided_more_than_labels_unless_guidance_is_asked_for():
    assert [guidance_of(None, captioned, (1.1, 2.5)) for captioned in (False, True)] == [1.1, 2.5]
    assert [guidance_of(asked, True, (1.1, 2.5)) for asked in (0.0, 3.0)] == [0.0, 3.0]
