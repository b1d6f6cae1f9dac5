"""A transformer over tokens that looks both ways (Devlin et al. 2019), of the layers that `synth.nets.decoder` has."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.decoder import Layer, turn
from synth.nets.precision import working


class Encoder(nn.Module):
    """Tokens 0 .. V-1 -> a vector of each in the light of all others of its text; layers compute in `precision`."""

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        dropout: float,
        precision: torch.dtype | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.precision = precision
        self.embedding = nn.Parameter(torch.randn((vocabulary, width), generator=generator))
        self.layers = nn.ModuleList(Layer(width, dropout, generator) for _ in range(layers))

    def forward(self, tokens: Tensor, text: Tensor, generator: torch.Generator | None) -> Tensor:
        """tokens: (B, T); text: (B, T) number of the text that each belongs to. Returns (B, T, W) float32.

        generator: of the dropout while training, None otherwise
        """
        x = F.embedding(tokens, self.embedding)
        x = working(F.rms_norm(x, x.shape[-1:]), self.precision)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        turned = turn(places, x.shape[-1], x.dtype)
        allowed = (text[:, :, None] == text[:, None, :])[:, None]
        for layer in self.layers:
            x = layer(x, turned, allowed, generator)
        return F.rms_norm(x.float(), x.shape[-1:])
