"""The decoder: its cache says what the whole says, and texts do not see each other."""

from __future__ import annotations

import pytest
import torch

from synth.nets.decoder import Decoder, nucleus

V, PAGE, WIDTH = 40, 24, 64


@pytest.fixture
def decoder() -> Decoder:
    """With every weight random, those that begin at 0 as well."""
    generator = torch.Generator().manual_seed(0)
    made = Decoder(V, PAGE, WIDTH, 2, 0.0, torch.float32, generator)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return made.requires_grad_(False)


@pytest.fixture
def tokens() -> torch.Tensor:
    found = torch.randint(1, V, (3, PAGE), generator=torch.Generator().manual_seed(1))
    found[:, 0] = 0
    return found


def test_step_by_step_with_the_cache_is_the_same_as_all_at_once(decoder, tokens):
    told = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(2))
    whole = decoder(tokens, told[:, None].expand(-1, PAGE, -1), tokens == 0, None)
    cache = decoder.cache(3)
    for place in range(PAGE):
        step = decoder.step(tokens[:, place], told, place, cache)
        torch.testing.assert_close(step, whole[:, place], atol=1e-5, rtol=1e-5)


def test_no_token_is_told_from_a_later_one(decoder, tokens):
    other = tokens.clone()
    other[:, 10:] = 5
    before, after = (decoder(x, None, None, None)[:, :10] for x in (tokens, other))
    torch.testing.assert_close(before, after)


def test_texts_on_one_page_do_not_see_each_other(decoder, tokens):
    both = torch.cat([tokens[:, :9], tokens], 1)
    alone, behind = decoder(tokens, None, tokens == 0, None), decoder(both, None, both == 0, None)
    torch.testing.assert_close(behind[:, 9:], alone, atol=1e-5, rtol=1e-5)
    seeing = decoder(both, None, None, None)
    assert (seeing[:, 9:] - alone).abs().max() > 0.01


def test_a_text_longer_than_the_page_is_told_from_its_last_tokens_alone(decoder, tokens):
    """The ring of keys forgets the oldest, and only how far apart places are counts."""
    one_layer = Decoder(V, PAGE, WIDTH, 1, 0.0, torch.float32, torch.Generator().manual_seed(0)).requires_grad_(False)
    one_layer.load_state_dict({k: v for k, v in decoder.state_dict().items() if not k.startswith("layers.1")})
    long = torch.cat([tokens.flip(1), tokens], 1)
    cache = one_layer.cache(3)
    for place in range(2 * PAGE):
        step = one_layer.step(long[:, place], None, place, cache)
    torch.testing.assert_close(step, one_layer(tokens, None, None, None)[:, -1], atol=1e-4, rtol=1e-4)


def test_the_nucleus_keeps_the_likeliest_tokens_of_a_share():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.05, 0.15, 0.3, 0.5]]).log()
    kept = nucleus(logits, 0.75).isfinite()
    assert kept.tolist() == [[True, True, False, False], [False, False, True, True]]
    assert nucleus(logits, 1.0) is logits
    assert nucleus(logits, 1e-9).isfinite().sum(1).tolist() == [1, 1]
