"""DeepDream: a classifier of the pictures, and its activations pushed up in pictures that it is shown.

Gradient ascent over octaves with jitter (Mordvintsev et al. 2015): the picture is dreamt at a small size first, what
was added is brought to the next one, and added there. A layer or channel of it is excited, or the class that is asked
for. It changes pictures and draws none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from synth.errors import ConfigError
from synth.layout import ImageLayout
from synth.models.base import Batch, ImageConfig, ImageModel, levels, scaled
from synth.nets.classifier import Classifier
from synth.nets.critic import shifted
from synth.nets.draws import rand


class Config(ImageConfig):
    """Hyper-parameters of DeepDream.

    widths: channels of each level of the classifier, two convolutions each
    shift: share of the sides by which it sees pictures moved while it learns
    layer: convolution that is excited where no class is asked for, counted from 0; channel: of it, None for all
    octaves: sizes at which is dreamt, the last the picture's own; ratio: of each to the one before
    steps: of the ascent at each; rate: of a step, of values from -1 to 1
    jitter: share of the sides by which a step moves the picture
    smoothing: pixels of the Gaussian that the gradient is smoothed with
    """

    epochs: int = Field(8, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    widths: tuple[int, ...] = (32, 64, 96)
    shift: float = Field(0.07, ge=0, le=0.5)
    layer: int = Field(3, ge=0)
    channel: int | None = Field(None, ge=0)
    octaves: int = Field(3, ge=1)
    ratio: float = Field(1.3, gt=1)
    steps: int = Field(20, ge=1)
    rate: float = Field(0.02, gt=0)
    jitter: float = Field(0.07, ge=0, le=0.5)
    smoothing: float = Field(0.5, ge=0)


class Model(ImageModel):
    """A classifier of the target."""

    draws = False
    transforms = ("dream",)

    config: Config

    def __init__(self, config: Config, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        if layout.target is None or layout.cardinalities[layout.target] < 2:
            raise ConfigError("deepdream: needs a target with two or more labels, which its network learns to tell")
        if config.layer >= 2 * len(config.widths):
            raise ConfigError(f"deepdream: layer {config.layer}: the network has {2 * len(config.widths)}, from 0 on")
        width = config.widths[config.layer // 2]
        if config.channel is not None and config.channel >= width:
            raise ConfigError(f"deepdream: channel {config.channel}: layer {config.layer} has {width}, from 0 on")
        classes = layout.cardinalities[layout.target]
        self.target = layout.target
        self.classifier = Classifier(layout.channels, config.widths, classes, self.precision, generator)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Cross-entropy of the target."""
        x = scaled(batch["images"])
        x = shifted(x, self.config.shift, generator) if self.training else x
        return F.cross_entropy(self.classifier(x), batch["tokens"][:, self.target])

    def pictures(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """There are none without pictures to dream of."""
        raise ConfigError("deepdream changes pictures and draws none; give it some: `synth transform --how dream`")

    def transform(self, how: str, batch: Batch, wanted: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The pictures dreamt; labels that are asked for, (B, D) in `wanted` and -1 elsewhere, are what of."""
        label, x = wanted[:, self.target], scaled(batch["images"])
        sides = [x.shape[2:]]
        for _ in range(self.config.octaves - 1):
            high, wide = (max(round(side / self.config.ratio), 2 ** len(self.config.widths)) for side in sides[0])
            sides.insert(0, torch.Size((high, wide)))
        added = torch.zeros_like(x)
        for size in sides:
            shown = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            added = F.interpolate(added, size=size, mode="bilinear", align_corners=False)
            added = self._climbed((shown + added).clamp(-1, 1), label, generator) - shown
        tokens = torch.where(wanted >= 0, wanted, batch["tokens"])
        return {"images": levels((x + added).clamp(-1, 1)), "tokens": tokens}

    def excitement(self, x: Tensor, label: Tensor) -> Tensor:
        """(B,) what a dream raises: the logit of a label (B,), or half the mean square of the layer where it is -1."""
        layers = self.classifier.layers(x)
        chosen = layers[self.config.layer].float()
        if self.config.channel is not None:
            chosen = chosen[:, self.config.channel : self.config.channel + 1]
        logits = self.classifier.told(layers[-1])
        of_label = logits.gather(1, label.clamp_min(0)[:, None]).squeeze(1) - logits.logsumexp(1)
        return torch.where(label >= 0, of_label, chosen.square().mean((1, 2, 3)) / 2)

    def _climbed(self, x: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures after the steps of an octave."""
        high, wide = x.shape[2:]
        for _ in range(self.config.steps):
            move = [
                int((2 * float(share) - 1) * self.config.jitter * side)
                for share, side in zip(rand((2,), generator, torch.device("cpu")), (high, wide), strict=True)
            ]
            with torch.enable_grad():
                moved = x.roll(move, (2, 3)).requires_grad_(True)
                (gradient,) = torch.autograd.grad(self.excitement(moved, label).sum(), moved)
            gradient = smoothed(gradient.roll([-m for m in move], (2, 3)), self.config.smoothing)
            size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
            x = (x + self.config.rate * gradient / size).clamp(-1, 1)
        return x


def smoothed(x: Tensor, deviation: float) -> Tensor:
    """(B, C, H, W) under a Gaussian of so many pixels; the border is repeated."""
    if not deviation:
        return x
    reach = max(round(3 * deviation), 1)
    place = torch.arange(-reach, reach + 1, device=x.device)
    weight = (-(place**2) / (2 * deviation**2)).exp()
    weight = (weight / weight.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    x = F.conv2d(x, weight, groups=x.shape[1])
    return F.conv2d(x, weight.transpose(2, 3), groups=x.shape[1])
