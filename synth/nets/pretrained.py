"""A language model of a Hugging Face folder that is taught by low-rank adapters (LoRA, Hu et al. 2022).

The library `transformers` has the architectures and `peft` the adapters. Weights are read from safetensors files alone;
nothing is unpickled, downloaded, or run that the folder brings.
"""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from synth.errors import ConfigError
from synth.nets.decoder import own_text
from synth.nets.precision import fast_type

LOUD = 8.0  # how much what is told moves, in deviations of the folder's own vectors, so that it is soon heard
log = logging.getLogger(__name__)
ARCHITECTURE, VOCABULARY = "config.json", "tokenizer.json"
NEEDED = (ARCHITECTURE, VOCABULARY)


def architecture(folder: str) -> dict[str, Any]:
    """What the folder's `config.json` says; ConfigError where the folder lacks a file that is needed."""
    place = Path(folder)
    for name in NEEDED:
        if not (place / name).is_file():
            raise ConfigError(f"folder: {folder!r} has no {name}; expected a saved model and its fast tokenizer")
    if not list(place.glob("*.safetensors")):
        raise ConfigError(f"folder: {folder!r} has no weights as safetensors; no other files of weights are read")
    try:
        found = json.loads((place / ARCHITECTURE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"folder: {folder!r}: {ARCHITECTURE} is not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("model_type"), str):
        raise ConfigError(f"folder: {folder!r}: {ARCHITECTURE} names no model_type")
    return found


class Pretrained(nn.Module):
    """Tokens 0 .. V-1 -> logits of the next one, as `synth.nets.decoder.Decoder`.

    The first `own` tokens are not in the folder's vocabulary and have vectors that are learnt; the rest are its tokens,
    in its order. All else is frozen, but for the adapters. Weights are random until `read`, or until saved ones are
    loaded.

    shape: of `architecture`; own, vocabulary: numbers of tokens; end: the one that ends a text
    """

    def __init__(
        self,
        shape: dict[str, Any],
        *,
        own: int,
        vocabulary: int,
        end: int,
        page: int,
        rank: int,
        precision: torch.dtype | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.page, self.own, self.known, self.end = page, own, vocabulary - own, end
        self.rank, self.precision = rank, precision
        library = _library("transformers")
        plain = {name: value for name, value in shape.items() if name not in ("model_type", "auto_map")}
        with _said():
            config = library.AutoConfig.for_model(shape["model_type"], **plain)
            model = library.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
        self._take(model, generator)

    def read(self, folder: str, generator: torch.Generator) -> None:
        """Take the weights of a folder."""
        library, device = _library("transformers"), self.marks.device
        with _said():
            model = library.AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                attn_implementation="sdpa",
            )
        self._take(model, torch.Generator().manual_seed(generator.initial_seed()))
        self.to(device)

    def _take(self, model: Any, generator: torch.Generator) -> None:
        entry, head = model.get_input_embeddings().weight, model.get_output_embeddings()
        most = getattr(model.config, "max_position_embeddings", None) or self.page
        if self.page > most:
            raise ConfigError(f"page: the model of the folder reads {most} tokens at most, found {self.page}")
        if len(entry) < self.known:
            raise ConfigError(f"folder: its tokenizer has {self.known} tokens, but its model knows {len(entry)}")
        self.core = model.base_model
        self.head = None if head.weight is entry else head
        self.width = entry.shape[1]
        self.register_buffer("scale", entry.detach().std())
        stop = model.config.eos_token_id
        stop = stop[0] if isinstance(stop, list) else stop
        with torch.no_grad():
            noise = torch.randn((self.own, self.width), generator=generator)
            marks, exits = entry.mean(0) + self.scale * noise, head.weight[: self.known].mean(0).repeat(self.own, 1)
            if isinstance(stop, int) and 0 <= stop < len(entry):
                marks[self.end], exits[self.end] = entry[stop], head.weight[stop]
        self.marks, self.exits = nn.Parameter(marks), nn.Parameter(exits)
        peft = _library("peft")
        adapters = peft.LoraConfig(r=self.rank, lora_alpha=2 * self.rank, target_modules="all-linear")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a matrix is stored transposed, which it sees by itself
            peft.inject_adapter_in_model(adapters, self.core)
        for name, parameter in self.named_parameters():
            parameter.requires_grad = "lora_" in name or name in ("marks", "exits")
            if "lora_A" in name:
                bound = parameter.shape[1] ** -0.5
                with torch.no_grad():
                    parameter.uniform_(-bound, bound, generator=generator)
        self.eval()

    scale: Tensor

    def train(self, mode: bool = True) -> Pretrained:
        """Dropout of the folder's model stays off: it draws from no generator of ours."""
        super().train(False)
        self.training = mode
        return self

    def forward(
        self, tokens: Tensor, told: Tensor | None, first: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """tokens: (B, T); told: (B, T, W) added to them. Returns (B, T, V); first: as of `Decoder`."""
        places = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        allowed = own_text(first)
        if first is not None and allowed is not None:
            places = places - torch.where(first, places, 0).cummax(1).values
        found = self._core(self._entered(tokens, told), attention_mask=allowed, position_ids=places, use_cache=False)
        return self._logits(found.last_hidden_state)

    def cache(self, rows: int) -> list[Tensor]:
        """As of `Decoder`."""
        start = torch.zeros((1, 1), dtype=torch.long, device=self.marks.device)
        past = self._past([], 0)
        self._core(self._entered(start, None), use_cache=True, cache=past)
        shapes = [(2, rows, layer.keys.shape[1], self.page, layer.keys.shape[3]) for layer in past.layers]
        return [layer.keys.new_zeros(shape) for layer, shape in zip(past.layers, shapes, strict=True)]

    def step(self, tokens: Tensor, told: Tensor | None, place: int, cache: list[Tensor]) -> Tensor:
        """As of `Decoder`, up to the end of a page."""
        places = torch.full((len(tokens), 1), place, device=tokens.device)
        past = self._past(cache, place)
        entered = self._entered(tokens[:, None], None if told is None else told[:, None])
        found = self._core(entered, position_ids=places, use_cache=True, cache=past)
        for (keys, values), layer in zip(cache, past.layers, strict=True):
            keys[:, :, place], values[:, :, place] = layer.keys[:, :, -1], layer.values[:, :, -1]
        return self._logits(found.last_hidden_state)[:, 0]

    def _past(self, cache: list[Tensor], place: int) -> Any:
        past = _library("transformers").DynamicCache()
        for number, (keys, values) in enumerate(cache):
            if place:
                past.update(keys[:, :, :place], values[:, :, :place], number)
        return past

    def _core(self, entered: Tensor, **settings: Any) -> Any:
        kind = self.precision or fast_type(entered.device)
        with torch.autocast(entered.device.type, dtype=kind, enabled=kind != torch.float32):
            return self.core(inputs_embeds=entered, **settings)

    def _entered(self, tokens: Tensor, told: Tensor | None) -> Tensor:
        theirs = self.core.get_input_embeddings()((tokens - self.own).clamp_min(0))
        ours = self.marks[tokens.clamp_max(self.own - 1)]
        x = torch.where((tokens < self.own)[..., None], ours, theirs)
        return x if told is None else x + LOUD * self.scale * told

    def _logits(self, hidden: Tensor) -> Tensor:
        head = self.core.get_input_embeddings() if self.head is None else self.head
        x = hidden.float()
        theirs = x @ head.weight[: self.known].T
        bias = getattr(head, "bias", None)
        return torch.cat([x @ self.exits.T, theirs if bias is None else theirs + bias[: self.known]], -1)


@contextmanager
def _said() -> Iterator[None]:
    """Whatever the library says of a folder, as one line."""
    library = _library("transformers")
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    try:
        yield
    except Exception as error:
        log.debug("transformers", exc_info=True)
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"folder: transformers reads no causal language model from it ({said})") from None


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        message = f"finetuned needs {name}, which is missing: pip install 'synth[finetune]'"
        raise ConfigError(message) from None
