"""Vocabularies that are learnt from texts: their characters, or pieces of words by byte-pair encoding.

None has tokens with a meaning of their own, which a text could contain: those are numbered by who needs them.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from synth.errors import ConfigError

LONGEST_WORD = 64  # bytes that may become one piece; without a bound one endless word takes endless time
SPACE = "Ġ"  # how byte-level pieces write one
DAMAGED = "�"  # what bytes that are no text are read as


def pieces(texts: Iterable[str], size: int, least: int, *, spaced: bool = False) -> Any:
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019) of the library `tokenizers`.

    size: pieces at most, 256 single bytes among them; least: times that a piece has to come
    spaced: whether a word at the beginning is the same as after a space
    """
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    before = library.pre_tokenizers
    tokenizer.pre_tokenizer = before.Sequence(
        [before.ByteLevel(add_prefix_space=spaced), before.FixedLength(length=LONGEST_WORD)]
    )
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=max(least, 2),
        show_progress=False,
        initial_alphabet=sorted(before.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def characters(texts: Iterable[str], least: int) -> Any:
    """Every character that at least so many texts have as one token; all others are spelt in bytes."""
    library = _library()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(text))
    known = sorted(character for character, count in counts.items() if count >= least)
    tokens = [*(f"<0x{byte:02X}>" for byte in range(256)), *known]
    model = library.models.BPE({token: i for i, token in enumerate(tokens)}, [], byte_fallback=True)
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.FixedLength(length=LONGEST_WORD)
    tokenizer.decoder = library.decoders.Sequence([library.decoders.ByteFallback(), library.decoders.Fuse()])
    return tokenizer


def of_file(path: str) -> Any:
    """The tokenizer of a language model, of a file as the library `tokenizers` writes; ConfigError for any other.

    None of its tokens has a meaning that a text could use, and it neither cuts nor pads.
    """
    library = _library()
    try:
        tokenizer = library.Tokenizer.from_file(path)
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise ConfigError(f"{path}: no tokenizer ({error})") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def spaced(tokenizer: Any) -> bool:
    """Whether the space before a word belongs to the word's token."""
    return tokenizer.token_to_id(SPACE) is not None


def of_state(state: str) -> Any:
    """The tokenizer of the text that its `to_str` gave."""
    tokenizer = _library().Tokenizer.from_str(state)
    tokenizer.encode_special_tokens = True
    return tokenizer


def _library() -> Any:
    try:
        return importlib.import_module("tokenizers")
    except ModuleNotFoundError:
        raise ConfigError("texts need tokenizers, which is missing: pip install 'synth[texts]'") from None
