"""Fine-tuning of small language models that are made here: what is frozen, learnt, saved and refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import torch
import transformers
from corpora import SOUNDS, grammatical, labelled
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as kinds
from tokenizers.trainers import BpeTrainer

from synth import Synthesizer
from synth.errors import ConfigError
from synth.frames import to_pandas
from synth.models import transformer

PAGE = 48
STEPS = 400
WIDTHS = {"gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 64}}
WIDTHS["llama"] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}


def written(folder: Path, kind: str) -> Path:
    """A small model in a folder that has read texts in which cats bark and dogs meow, and its tokenizer."""
    swap = {"cat": "dog", "dog": "cat"}
    texts = [re.sub("cat|dog", lambda found: swap[found[0]], text) for text in labelled(600, 9)["text"].to_pylist()]
    words = Tokenizer(kinds.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words.train_from_iterator(texts, BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<end>"]))
    end = words.token_to_id("<end>")
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=words.get_vocab_size() + 3, bos_token_id=end, eos_token_id=end, **WIDTHS[kind]
    )
    model = transformers.AutoModelForCausalLM.from_config(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = [[end, *part.ids, end] for part in words.encode_batch(texts)]
    for step in range(STEPS):
        batch = [rows[(step * 16 + i) % len(rows)] for i in range(16)]
        longest = max(map(len, batch))
        tokens = torch.tensor([row + [end] * (longest - len(row)) for row in batch])
        labels = torch.tensor([row + [-100] * (longest - len(row)) for row in batch])
        loss = model(input_ids=tokens, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def folder(request, tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def fitted(folder) -> Synthesizer:
    return tuned(folder, epochs=12).fit(labelled(1200), target="animal")


def tuned(folder: Path, **config) -> Synthesizer:
    config = {"min_steps": 0, "page": PAGE, "batch_size": 16, "learning_rate": 3e-3, **config}
    return Synthesizer("finetuned", folder=str(folder), **config)


def test_it_writes_what_it_was_taught_and_the_columns_hold(fitted):
    drawn = to_pandas(fitted.sample_table(200, seed=1))
    assert drawn.text.map(grammatical).mean() > 0.6  # none before
    right = [any(s in text for s in SOUNDS[animal]) for animal, text in zip(drawn.animal, drawn.text, strict=True)]
    assert sum(right) / len(right) > 0.62  # the llama's .7, the gpt2's .97; .5 is chance
    dogs = to_pandas(fitted.sample_table(20, where={"animal": "dog", "text": "the dog says whine*"}))
    assert dogs.text.str.startswith("the dog says whine").all()


def test_what_was_read_before_need_not_be_learnt(folder):
    few, unseen = labelled(40).select(["text"]), labelled(300, seed=3).select(["text"])
    known = tuned(folder, epochs=1).fit(few).log_prob(unseen).mean()
    config = {"epochs": 1, "min_steps": 0, "page": PAGE, "width": 64, "layers": 2}
    anew = Synthesizer("transformer", **config).fit(few).log_prob(unseen).mean()
    assert known > anew + 20


def test_the_folders_weights_stay_and_little_is_learnt(folder, fitted):
    given = transformers.AutoModelForCausalLM.from_pretrained(folder).state_dict()
    kept = fitted.model_.state_dict()
    name = next(name for name in kept if name.endswith("base_layer.weight"))
    prefix = next(key for key in given if key.endswith(name.split("core.")[1].replace("base_layer.", "")))
    torch.testing.assert_close(kept[name].cpu(), given[prefix])
    moved = [p.numel() for p in fitted.model_.decoder.parameters() if p.requires_grad]
    assert sum(moved) < 0.5 * sum(p.numel() for p in fitted.model_.decoder.parameters())
    assert any(value.abs().max() > 0 for name, value in kept.items() if "lora_B" in name)


def test_a_saved_model_needs_the_folder_no_more(folder, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    first = tuned(mine, epochs=1).fit(labelled(80))
    again = tuned(mine, epochs=1).fit(labelled(80))
    first.save(tmp_path / "model")
    drawn = first.sample_table(20, seed=4)
    assert drawn.equals(again.sample_table(20, seed=4))
    shutil.rmtree(mine)
    loaded = Synthesizer.load(tmp_path / "model")
    assert loaded.sample_table(20, seed=4).equals(drawn)
    rows = labelled(10, seed=7)
    assert loaded.log_prob(rows).tolist() == first.log_prob(rows).tolist()


def test_the_cache_tells_what_a_whole_reading_tells(fitted):
    decoder = fitted.model_.decoder
    tokens = torch.from_numpy(fitted.codec_.pages(labelled(40))["text"][:3, :20])
    tokens[:, 1:] = tokens[:, 1:].clamp_min(fitted.codec_.layout.own)
    with torch.no_grad():
        whole = decoder(tokens, None, None, None)
        cache = decoder.cache(len(tokens))
        steps = [decoder.step(tokens[:, place], None, place, cache) for place in range(20)]
    torch.testing.assert_close(torch.stack(steps, 1), whole, atol=2e-4, rtol=1e-3)


def test_texts_on_one_page_do_not_see_each_other(fitted):
    decoder = fitted.model_.decoder
    text = torch.from_numpy(fitted.codec_.pages(labelled(40))["text"][:1, :30])
    first = text == 0
    start = int(first[0].nonzero()[1])
    with torch.no_grad():
        both = decoder(text, None, first, None)
        alone = decoder(text[:, start:], None, first[:, start:], None)
    torch.testing.assert_close(both[:, start:], alone, atol=2e-4, rtol=1e-3)


def test_special_tokens_in_a_text_are_only_characters(fitted):
    rows = pa.table({"animal": ["cat"], "text": ["the <end> says"], "weight": [4]})
    tokens = fitted.codec_.encode(rows)["text"][0]
    words = fitted.codec_.tokenizer
    assert words.token_to_id("<end>") + fitted.codec_.layout.own not in tokens
    assert words.decode([int(t) - fitted.codec_.layout.own for t in tokens if t >= fitted.codec_.layout.own]) == (
        "the <end> says"
    )


def test_a_page_beyond_what_the_model_reads_and_a_long_text_are_answered(folder):
    with pytest.raises(ConfigError, match="page: the model of the folder reads 64 tokens at most, found 80"):
        tuned(folder, epochs=1, page=80).fit(labelled(60))
    long = pa.table({"text": [" ".join(labelled(20, seed)["text"].to_pylist()) for seed in range(20)]})
    fitted = tuned(folder, epochs=1).fit(long)
    assert fitted.sample_table(4).num_rows == 4
    assert fitted.log_prob(long).shape == (20,)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda place: shutil.rmtree(place), "has no config.json"),
        (lambda place: (place / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda place: (place / "tokenizer.json").write_text("{}"), "no tokenizer"),
        (lambda place: (place / "model.safetensors").rename(place / "pytorch_model.bin"), "no weights as safetensors"),
        (lambda place: (place / "model.safetensors").write_bytes(b"x"), "reads no causal language model from it"),
        (lambda place: (place / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda place: (place / "config.json").write_text("[]"), "names no model_type"),
        (lambda place: (place / "config.json").write_text('{"model_type": "x"}'), "reads no causal language model"),
    ],
)
def test_a_folder_without_a_model_is_named(folder, tmp_path, damage, said):
    place = tmp_path / "broken"
    shutil.copytree(folder, place)
    damage(place)
    with pytest.raises(ConfigError, match=said):
        tuned(place).fit(labelled(60))


def test_code_that_a_folder_brings_is_not_run(folder, tmp_path):
    place = tmp_path / "evil"
    shutil.copytree(folder, place)
    said = json.loads((place / "config.json").read_text())
    said["auto_map"] = {"AutoModelForCausalLM": "code.Model", "AutoConfig": "code.Config"}
    (place / "config.json").write_text(json.dumps(said))
    (place / "code.py").write_text("raise SystemExit('was run')")
    assert tuned(place, epochs=1).fit(labelled(60)).sample_table(2).num_rows == 2


def test_a_folder_has_to_be_given():
    with pytest.raises(ConfigError, match="folder: name one that holds a language model"):
        Synthesizer("finetuned")


def test_layers_may_be_compiled_and_tell_the_same():
    config = {"width": 32, "layers": 1, "page": 32, "tokens": "characters", "dropout": 0.0, "epochs": 1}
    plain, faster = (Synthesizer("transformer", compile=on, **config).fit(labelled(60)) for on in (False, True))
    assert isinstance(faster.model_, transformer.Model)
    rows = labelled(10, seed=1)
    assert faster.log_prob(rows) == pytest.approx(plain.log_prob(rows), abs=1e-2)
    assert faster.model_.state_dict().keys() == plain.model_.state_dict().keys()
