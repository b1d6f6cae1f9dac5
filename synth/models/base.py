"""The contract of a generative model: tensors in, a loss, tensors out.

A family is one module of this package with two names: `Config`, a subclass of `TrainingConfig` with a
docstring per field, and `Model`, a subclass of `GenerativeModel`. Its first docstring line is what
`synth models` prints.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from synth.layout import Condition, ImageLayout, TableLayout, TextLayout
from synth.nets.captions import Writer
from synth.nets.critic import Critic
from synth.nets.draws import randn
from synth.nets.game import Game, GameConfig
from synth.nets.grown import Grown
from synth.nets.labels import Labels, LabelVector
from synth.nets.pyramids import Fold
from synth.privacy import Ledger

Batch = Mapping[str, Tensor]
DRAWN = 256  # pictures drawn at once
LEVELS = 256  # of a value of a picture
WRITER = 128  # width of the network that draws captions
PRIVATE: Mapping[str, Any] = {  # of a family that learns by private gradients: large batches, few passes, no peeping
    "batch_size": 1024,
    "epochs": 24,
    "gradient_clip": 1.0,
    "weight_decay": 0.0,
    "validation_share": 0.0,
}


class Descend(Protocol):
    """One clipped optimiser step of `parameters`, all by default, down the gradient of `loss`; returns its value."""

    def __call__(self, loss: Tensor, parameters: Iterable[nn.Parameter] | None = None) -> float: ...


class TrainingConfig(BaseModel):
    """How the one training loop treats a model; families override the defaults.

    epochs: passes over the training rows at most, each of `synth.training.EPOCH_STEPS` steps at most
    min_steps: optimisation steps at least; few rows are passed over several times an epoch
    batch_size: rows per step
    learning_rate: peak of the schedule (linear warm-up, cosine decay)
    weight_decay: AdamW's, on matrices only
    betas: AdamW's moments
    warmup_steps: steps until the peak, shortened on small data
    final_learning_rate: last learning rate as a share of the peak
    gradient_clip: largest global norm of a step's gradient
    ema_decay: decay per step of the averaged weights that sample and validate
    validation_share: rows of train kept for early stopping, 0 to 0.5
    patience: epochs without a better validation loss before the training stops
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(24, ge=1)
    min_steps: int = Field(400, ge=0)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.99)
    warmup_steps: int = Field(100, ge=0)
    final_learning_rate: float = Field(0.02, ge=0, le=1)
    gradient_clip: float = Field(5.0, gt=0)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    validation_share: float = Field(0.08, ge=0, le=0.5)
    patience: int = Field(6, ge=1)

    @property
    def codec(self) -> dict[str, Any]:
        """What the codec of the data is fitted with."""
        return {}


class GenerativeModel(Grown, ABC):
    """Base of all families; initial weights are drawn from the generator alone.

    A batch is {"tokens": (B, D) int64, "places": (B, D) float32}: which token a value has, and where inside it the
    value lies, 0 to 1 (0.5 where the token is one single value). Places may be missing; a family that does not model
    them ignores them, and the codec then draws them uniformly.

    draws: whether it draws rows out of nothing; one that does not changes those that it is given
    conditional: whether `sample` keeps a condition
    places: whether the family models places; one that does not is trained without
    private: how it can keep a privacy budget: by noise on the gradients of `losses`, or by noise on what it measures
        (`measure`); None where it cannot
    private_config: hyper-parameters that have other defaults under a budget
    """

    modalities: ClassVar[tuple[str, ...]] = ("table",)
    draws: ClassVar[bool] = True
    conditional: ClassVar[bool] = False
    places: ClassVar[bool] = True
    private: ClassVar[Literal["gradients", "measurements"] | None] = None
    private_config: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        config: TrainingConfig,
        layout: TableLayout,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.config = config
        self.layout = layout

    @property
    def exposed(self) -> str | None:
        """Why rows of the source stand in the model file and may come out, where that is so; None where they do not."""
        return None

    def observe(self, batches: Iterable[Batch], generator: torch.Generator) -> None:
        """See all training rows once, those kept for validation included, before the first step.

        What is learnt here stays in buffers. A family without parameters learns here alone.
        """

    def measure(self, batches: Iterable[Batch], ledger: Ledger, generator: torch.Generator) -> None:
        """Learn all rows through the answers of the ledger alone, out of what is left in it.

        The one way in which a family whose `private` is "measurements" sees rows under a promise; the layout tells
        nothing of them then, and its frequencies are uniform.
        """
        raise NotImplementedError(f"{type(self).__module__} does not learn by measurements")

    @abstractmethod
    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Scalar that training lowers."""

    def judged(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """On validation rows, in evaluation mode: the scalar that decides which state is kept.

        A family whose modules share no weights may judge each by itself, as one learns long after another has begun to
        learn by heart: the module's name -> what decides on its weights, "" on all others.
        """
        return {"": self.loss(batch, generator)}

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """(B,) loss of each row, which depends on no other row and no dropout: what DP-SGD lowers.

        Of a family whose `private` is "gradients".
        """
        raise NotImplementedError(f"{type(self).__module__} does not learn by private gradients")

    def settle(self, generator: torch.Generator) -> None:
        """Make good, after the last private step and without any row, what noise has done to the frequencies that the
        layout tells. Nothing by default."""

    def finish(self, batches: Iterable[Batch]) -> None:
        """After the last step, in the state that is kept, see all training rows once more: learn what takes trained
        networks, forget what only the training needs. Nothing by default."""

    def step(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """Learn from one batch; returns the figure that stands for it in the training curve.

        A family whose parts follow losses of their own (a generator and its critic) overrides this and calls
        `descend(loss, parameters)` for each.
        """
        return descend(self.loss(batch, generator))

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows: {"tokens": (n, D) int64} and, of a family that models them, {"places": (n, D) float32}.

        condition: what each row must keep; given to a `conditional` family only
        """

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log-likelihood of each row in nats, where the family has one: the probability of its tokens, times
        the density of the places inside them with respect to the uniform one."""
        raise NotImplementedError(f"{type(self).__module__} has no likelihood")


class ImageConfig(TrainingConfig):
    """What all families of pictures have in common.

    precision: type in which networks compute, see `synth.nets.precision`; auto for the one that the device is fast in
    """

    validation_share: float = Field(0.0, ge=0, le=0.5)
    weight_decay: float = Field(0.01, ge=0)
    batch_size: int = Field(64, ge=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class ImageModel(GenerativeModel):
    """Base of the families of pictures.

    A batch is {"images": (B, C, H, W) uint8, "tokens": (B, D) int64}, the tokens those of the labels. Labels are drawn
    as the training rows have them together, pictures given their labels. The last columns may be the words of a caption
    (`ImageLayout.caption`), which are drawn one after the other given the labels.

    transforms: what it can do to given pictures, see `transform`
    """

    transforms: ClassVar[tuple[str, ...]] = ()
    modalities = ("image",)
    conditional = True
    places = False

    config: ImageConfig
    layout: ImageLayout

    def __init__(self, config: ImageConfig, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.labels = Labels(layout.labels)
        self.writer: Writer | None = None
        if layout.caption:
            self.addressed = LabelVector(layout.labels, WRITER, generator)
            used = torch.from_numpy(layout.columns[-1].frequency > 0)
            self.writer = Writer(used, layout.caption, WRITER, generator)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture."""
        return self.layout.channels, self.layout.height, self.layout.width

    @property
    def precision(self) -> torch.dtype | None:
        """Type in which networks compute; None for the one that the device is fast in."""
        return None if self.config.precision == "auto" else getattr(torch, self.config.precision)

    def fold(self, patch: int, widths: Sequence[int]) -> Fold:
        """How pictures become grids of so many levels."""
        return Fold(self.layout, patch, len(widths), self.precision)

    def observe(self, batches: Iterable[Batch], generator: torch.Generator) -> None:
        """Count the labels."""
        count = len(self.layout.columns) - self.layout.caption
        self.labels.observe({"tokens": batch["tokens"][:, :count]} for batch in batches)

    def step(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """Learn which captions there are, and then from the pictures, see `learn`."""
        if self.writer is not None:
            labels, words = batch["tokens"].tensor_split([-self.layout.caption], 1)
            parameters = [*self.writer.parameters(), *self.addressed.parameters()]
            descend(self.writer.loss(words, self.addressed(labels)), parameters)
        return self.learn(batch, generator, descend)

    def learn(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """As `GenerativeModel.step`, of the pictures given what is told of them."""
        return descend(self.loss(batch, generator))

    @property
    def noise_shape(self) -> tuple[int, ...] | None:
        """Of the normal noise that one picture is made of; None where it is made otherwise."""
        return None

    def from_noise(self, noise: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W) pictures from -1 to 1 with labels (n, D), made of noise (n, *noise_shape)."""
        raise NotImplementedError(f"{type(self).__module__} makes no pictures of noise")

    def pictures(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W) pictures from -1 to 1 with labels (n, D)."""
        return self.from_noise(self._noise(len(tokens), generator, tokens.device), tokens, generator)

    def _noise(self, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
        return randn((n, *(self.noise_shape or ())), generator, device)

    @torch.no_grad()
    def walk(self, n: int, frames: int, generator: torch.Generator) -> Tensor:
        """(n, frames, C, H, W) uint8: pictures whose noise goes a quarter of a circle from one draw to another, so that
        it is as likely on the way; all else that is drawn is the same for every frame."""
        tokens = self.told(n, generator, None)
        first, last = (self._noise(n, generator, tokens.device) for _ in range(2))
        state, found = generator.get_state(), []
        for angle in torch.linspace(0, math.pi / 2, frames).tolist():
            generator.set_state(state)
            made = self.from_noise(math.cos(angle) * first + math.sin(angle) * last, tokens, generator)
            found.append(levels(made))
        return torch.stack(found, 1)

    def told(self, n: int, generator: torch.Generator, condition: Condition | None) -> Tensor:
        """(n, D) labels, and the words of a caption after them."""
        tokens = self.labels.draw(n, generator, condition)
        if self.writer is None:
            return tokens
        return torch.cat([tokens, self.writer.draw(self.addressed(tokens), condition, generator)], 1)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, condition: Condition | None = None) -> dict[str, Tensor]:
        """Draw n rows: {"tokens": (n, D) int64, "images": (n, C, H, W) uint8}."""
        tokens = self.told(n, generator, condition)
        parts = [levels(self.pictures(part, generator)) for part in torch.split(tokens, DRAWN)]
        empty = torch.zeros((0, *self.shape), dtype=torch.uint8, device=tokens.device)
        return {"tokens": tokens, "images": torch.cat([empty, *parts])}

    def transform(self, how: str, batch: Batch, wanted: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Given pictures after one of `transforms`, and their labels then: {"images", "tokens"} as in a batch.

        wanted: (B, D) labels that are asked for, -1 where none is
        """
        raise NotImplementedError(f"{type(self).__module__} changes no pictures")

    def encode(self, batch: Batch) -> Tensor:
        """(B, Z) float32, pictures as codes, where the family has such."""
        raise NotImplementedError(f"{type(self).__module__} has no codes")

    def anomaly_score(self, batch: Batch) -> Tensor:
        """(B,) nats, the higher the less a picture is like the training ones; of the likelihood where there is one."""
        return -self.log_prob(batch)


class TextConfig(TrainingConfig):
    """What all families of texts have in common.

    page: tokens of a training row, and how far a token is told from
    longest: tokens of a drawn text at most
    precision: type in which it computes, see `synth.nets.precision`; auto for the one that the device is fast in
    """

    epochs: int = Field(30, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    page: int = Field(256, ge=8)
    longest: int = Field(2048, ge=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @property
    def codec(self) -> dict[str, Any]:
        """How texts become tokens."""
        return {"page": self.page, "longest": self.longest}


class NewTextConfig(TextConfig):
    """What the families of texts have in common that begin without knowing any.

    tokens: characters, or pieces of words (byte-pair encoding); vocabulary: pieces at most
    width, layers, dropout: of the network
    compile: have torch compile its layers, which pays in long trainings only and may give other last bits
    """

    tokens: Literal["characters", "pieces"] = "pieces"
    vocabulary: int = Field(4096, ge=256)
    width: int = Field(192, ge=32, multiple_of=32)
    layers: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    compile: bool = False

    @property
    def codec(self) -> dict[str, Any]:
        """As of `TextConfig`."""
        return {"tokens": self.tokens, "vocabulary_size": self.vocabulary, **super().codec}


class TextModel(GenerativeModel):
    """Base of the families of texts.

    A batch is {"text": (B, L + 1), "tokens": (B, L, D)} int64, pages on which texts stand one after the other: see
    `synth.codecs.corpus.TextCodec.pages`. That of `log_prob`, `encode` and the like has every text on pages of its own,
    see `TextCodec.encode`.

    used: (V,) bool, tokens that came among the training texts, of which others are drawn
    """

    modalities = ("text",)
    places = False

    config: TextConfig
    layout: TextLayout
    used: Tensor

    def __init__(self, config: TextConfig, layout: TextLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        self.register_buffer("used", torch.from_numpy(layout.frequency > 0), persistent=False)

    @property
    def precision(self) -> torch.dtype | None:
        """As of `ImageModel`."""
        return None if self.config.precision == "auto" else getattr(torch, self.config.precision)

    def encode(self, batch: Batch) -> Tensor:
        """(N, W) float32, texts as vectors, where the family has such."""
        raise NotImplementedError(f"{type(self).__module__} has no vectors of texts")

    def classify(self, batch: Batch) -> list[Tensor]:
        """Of each column beside the text (N, K) chances of its tokens, where the family tells them."""
        raise NotImplementedError(f"{type(self).__module__} tells no columns of texts")

    def infill(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The pages (P, L + 1) with every TEXT_GAP filled, where the family can."""
        raise NotImplementedError(f"{type(self).__module__} fills no gaps")


class AdversarialConfig(GameConfig, ImageConfig):
    """What the adversarial families of pictures have in common, beside the game.

    noise: normal variables that a picture is made of
    patch: pixels of a side that are folded into channels
    widths: channels of each level, the finest first; blocks: of each level of the generator
    critic_blocks: of each level of the critic, which learns few pictures by heart where it has many
    """

    epochs: int = Field(60, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.0, 0.99)
    gradient_clip: float = Field(100.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    noise: int = Field(64, ge=1)
    patch: int = Field(2, ge=1)
    widths: tuple[int, ...] = (64, 128)
    blocks: int = Field(1, ge=1)
    critic_blocks: int = Field(1, ge=1)


class AdversarialModel(ImageModel):
    """A generator of pictures and a critic; the averaged generator draws."""

    config: AdversarialConfig

    def __init__(self, config: AdversarialConfig, layout: ImageLayout, generator: torch.Generator) -> None:
        super().__init__(config, layout, generator)
        fold = self.fold(config.patch, config.widths)
        self.generator = self.build(fold, generator)
        self.game = Game(Critic(fold, config.widths, config.critic_blocks, generator), config)

    @abstractmethod
    def build(self, fold: Fold, generator: torch.Generator) -> nn.Module:
        """The generator: noise (B, Z), labels (B, D) and a random generator -> pictures from -1 to 1."""

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """There is none that both networks lower."""
        raise NotImplementedError("generator and critic follow losses of their own, see `step`")

    def learn(self, batch: Batch, generator: torch.Generator, descend: Descend) -> float:
        """A turn of the game; returns the critic's loss."""
        tokens = batch["tokens"]
        make = lambda: self.pictures(tokens, generator)  # noqa: E731 - what both sides ask for
        return self.game.play(scaled(batch["images"]), tokens, make, self.generator, descend, generator)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """A vector."""
        return (self.config.noise,)

    def from_noise(self, noise: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """(n, C, H, W), in one pass."""
        made: Tensor = self.generator(noise, tokens, generator)
        return made


def scaled(images: Tensor) -> Tensor:
    """uint8 pictures as float32 from -1 to 1."""
    return images.float() / 127.5 - 1


def levels(pictures: Tensor) -> Tensor:
    """Pictures from -1 to 1 as uint8."""
    return ((pictures.float() + 1) * 127.5).round().clamp(0, 255).byte()
