"""What models of pictures do with given ones: translate, dream, denoise, encode, find what is unlike, compress."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from digits import levels, table
from scipy.ndimage import median_filter
from sklearn.metrics import roc_auc_score

from synth import Synthesizer
from synth.codecs.image import from_levels, to_levels
from synth.compression import compress, decompress
from synth.errors import ConfigError, FormatError, InputError
from synth.models.base import levels as as_levels
from synth.models.base import scaled
from synth.models.cyclegan import History
from synth.models.deepdream import smoothed
from synth.picture_learning import learn
from synth.picture_tools import anomaly_scores, encode, transform

SMALL = {"patch": 1, "widths": (32, 48), "blocks": 1}
UNSEEN = 1500  # digits from here on are not learnt


def pictures(images: np.ndarray, **columns: list[str]) -> pa.Table:
    return pa.table({"image": from_levels(images, range(len(images))), **columns})


def seen(model: Synthesizer, rows: pa.Table) -> np.ndarray:
    return to_levels(rows.column("image"), model.schema_["image"])


@pytest.fixture(scope="module")
def autoencoder() -> Synthesizer:
    config = {**SMALL, "latents": 32, "divergence": 0.5, "prior_width": 64, "prior_blocks": 1, "epochs": 60}
    return Synthesizer("image_vae", **config).fit(table(UNSEEN).select(["image"]))


@pytest.fixture(scope="module")
def unseen() -> np.ndarray:
    return levels()[0][UNSEEN:]


@pytest.fixture(scope="module")
def translator() -> Synthesizer:
    images = levels()[0][:UNSEEN]
    half = UNSEEN // 2
    both = np.concatenate([images[:half], faded(images[half:])])
    rows = pictures(both, domain=["plain"] * half + ["faded"] * half)
    config = {"patch": 1, "widths": (24, 32), "blocks": 1, "learning_rate": 2e-3}
    return Synthesizer("cyclegan", **config, epochs=14).fit(rows, target="domain")


def faded(images: np.ndarray) -> np.ndarray:
    """On grey, with less contrast."""
    return (110 + 0.4 * images).round().astype(np.uint8)


def psnr(made: np.ndarray, real: np.ndarray) -> float:
    return 10 * np.log10(255**2 / ((made.astype(float) - real) ** 2).mean())


def test_plain_digits_fade_and_come_back(translator, unseen):
    there = transform(translator, pictures(unseen, domain=["plain"] * len(unseen)))
    assert set(there.column("domain").to_pylist()) == {"faded"}
    wanted = faded(unseen).astype(float)
    far = np.abs(seen(translator, there) - wanted).mean()
    assert far < 0.6 * np.abs(np.roll(wanted, 1, 0) - wanted).mean()  # another digit, faded
    assert far < 0.2 * np.abs(unseen - wanted).mean()  # nothing done
    back = transform(translator, there)
    assert set(back.column("domain").to_pylist()) == {"plain"}
    assert np.abs(seen(translator, back).astype(float) - unseen).mean() < 15


def test_the_domain_that_is_asked_for_is_made(translator, unseen):
    rows = pictures(unseen[:40], domain=["plain", "faded"] * 20)
    made = transform(translator, rows, where={"domain": "faded"})
    assert set(made.column("domain").to_pylist()) == {"faded"}
    assert made.schema.equals(rows.schema)
    assert transform(translator, rows, seed=1).slice(0, 10).equals(transform(translator, rows.slice(0, 10), seed=1))


def test_a_translator_keeps_no_picture_and_draws_none(translator):
    assert all(not game.kept.any() for game in translator.model_.histories)
    with pytest.raises(ConfigError, match="cyclegan translates pictures and draws none"):
        translator.sample(3)
    with pytest.raises(ConfigError, match="needs a target with two values, which are the domains; found 10"):
        Synthesizer("cyclegan").fit(table(100), target="label")
    with pytest.raises(ConfigError, match="the family 'cyclegan' cannot dream; it can: translate"):
        transform(translator, table(3), "dream")


def test_labels_that_are_known_are_asked_of_a_translation_and_nulls_are_not(translator):
    images, digits = levels()
    half = 150
    labels = [*map(str, digits[:half]), *[None] * half]
    both = np.concatenate([images[:half], faded(images[half : 2 * half])])
    rows = pictures(both, domain=["plain"] * half + ["faded"] * half, label=labels)
    fitted = Synthesizer("cyclegan", widths=(16, 16), sight=(16,), epochs=1).fit(rows, target="domain")
    made = transform(fitted, rows)
    assert made.column("label").to_pylist() == labels
    model, batch = fitted.model_, fitted.batch(rows)
    tokens = batch["tokens"]
    logits = torch.randn((2 * half, 11), generator=torch.Generator().manual_seed(0))  # of ten digits and null
    known = torch.nn.functional.cross_entropy(logits[:half], tokens[:half, 1 - model.target])
    assert torch.allclose(model._label_loss(logits, tokens), known)
    assert model._label_loss(logits[half:], tokens[half:]) == 0
    assert translator.model_.classifier is None


def test_the_history_shows_former_pictures_in_the_place_of_some():
    history = History(4, translator_layout())
    generator = torch.Generator().manual_seed(0)
    first = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    assert history.swap(first, generator) is first
    shown = history.swap(first + 10, generator)[:, 0, 0, 0]
    former = shown < 4
    assert 0 < former.sum() < 4
    assert torch.equal(history.kept[:, 0, 0, 0].sort().values[-int(former.sum()) :], (10 + torch.arange(4.0))[former])


def translator_layout():
    from synth.layout import ImageLayout

    return ImageLayout((), None, channels=1, height=8, width=8)


def test_a_dream_of_a_label_looks_like_it_to_another_network(unseen):
    images, digits = levels()
    model = Synthesizer("deepdream", widths=(16, 32), epochs=12).fit(table(UNSEEN), target="label")
    judge = learn(images[:UNSEEN], digits[:UNSEEN], 10, steps=300)
    rows = table().slice(UNSEEN)
    assert judge.accuracy(unseen, digits[UNSEEN:]) > 0.9
    dreamt = transform(model, rows, where={"label": "3"})
    assert set(dreamt.column("label").to_pylist()) == {"3"}
    before, after = (judge.chances(x)[:, 3].mean() for x in (unseen, seen(model, dreamt)))
    assert after > before + 0.3
    batch = scaled(torch.from_numpy(unseen))
    nothing = torch.full((len(batch),), -1)
    free = scaled(torch.from_numpy(seen(model, transform(model, rows))))
    with torch.no_grad():
        raised = model.model_.excitement(free, nothing) > model.model_.excitement(batch, nothing)
    assert raised.float().mean() > 0.95
    assert transform(model, rows).column("label").equals(rows.column("label"))


def test_what_cannot_be_dreamt_of_is_refused():
    with pytest.raises(ConfigError, match="deepdream: needs a target with two or more labels"):
        Synthesizer("deepdream").fit(table(100).select(["image"]))
    with pytest.raises(ConfigError, match="deepdream: layer 9: the network has 4, from 0 on"):
        Synthesizer("deepdream", widths=(16, 32), layer=9).fit(table(100), target="label")
    with pytest.raises(ConfigError, match="deepdream: channel 16: layer 0 has 16, from 0 on"):
        Synthesizer("deepdream", widths=(16, 32), layer=0, channel=16).fit(table(100), target="label")


def test_a_smoothed_picture_keeps_its_sum_inside():
    x = torch.zeros((1, 1, 9, 9))
    x[0, 0, 4, 4] = 1
    smooth = smoothed(x, 0.7)
    assert smooth.sum().item() == pytest.approx(1, abs=1e-5)
    assert smooth[0, 0, 4, 4] == smooth.max() < 0.5
    assert smoothed(x, 0.0) is x


def test_noise_is_taken_away_better_than_by_a_median(autoencoder, unseen):
    noisy = unseen + np.random.default_rng(0).normal(0, 0.3 * 255, unseen.shape)
    noisy = noisy.round().clip(0, 255).astype(np.uint8)
    clean = psnr(seen(autoencoder, transform(autoencoder, pictures(noisy), "denoise")), unseen)
    assert clean > psnr(noisy, unseen) + 2
    assert clean > psnr(median_filter(noisy, size=(1, 1, 3, 3)), unseen) + 1
    again = psnr(seen(autoencoder, transform(autoencoder, pictures(unseen))), unseen)
    assert again > clean


def test_codes_and_anomaly_scores(autoencoder, unseen):
    codes = encode(autoencoder, pictures(unseen))
    assert codes.shape == (len(unseen), 32)
    assert codes.std(0).min() > 0.1
    turned = np.rot90(unseen, axes=(2, 3))
    scores = [anomaly_scores(autoencoder, pictures(np.ascontiguousarray(x))) for x in (unseen, turned)]
    assert roc_auc_score(np.repeat([0, 1], len(unseen)), np.concatenate(scores)) > 0.8


def test_pictures_are_compressed_without_loss_and_below_png(autoencoder, unseen):
    rows = pictures(unseen)
    found = compress(autoencoder, rows)
    streams = [entry["bytes"] for entry in found.table.column("image").to_pylist()]
    assert found.bits_per_dim == pytest.approx(8 * sum(map(len, streams)) / unseen.size)
    png = sum(len(entry["bytes"]) for entry in rows.column("image").to_pylist())
    assert found.bits_per_dim < 5 < 8 * png / unseen.size
    back = decompress(autoencoder, found.table)
    assert back.schema.equals(rows.schema, check_metadata=True)
    assert np.array_equal(seen(autoencoder, back), unseen)
    part = decompress(autoencoder, found.table.slice(5, 3))
    assert np.array_equal(seen(autoencoder, part), unseen[5:8])


def test_streams_of_others_and_damaged_ones_are_refused(autoencoder, unseen):
    rows = pictures(unseen[:5])
    with pytest.raises(InputError, match="holds no pictures that `synth compress` wrote"):
        decompress(autoencoder, rows)
    found = compress(autoencoder, rows).table
    other = Synthesizer("image_vae", **SMALL, epochs=1, seed=3).fit(table(64).select(["image"]))
    with pytest.raises(InputError, match="compressed by another model"):
        decompress(other, found)
    entries = found.column("image").to_pylist()
    entries[2]["bytes"] = entries[2]["bytes"][:4] + bytes(reversed(entries[2]["bytes"][4:]))
    broken = found.set_column(0, found.schema.field(0), pa.array(entries, found.schema.field(0).type))
    with pytest.raises(FormatError, match=r"00000002.png: its stream gives another picture than went in"):
        decompress(autoencoder, broken.replace_schema_metadata(found.schema.metadata))


def test_families_without_a_tool_say_which_have_it():
    model = Synthesizer("image_gan", **SMALL, epochs=1).fit(table(64), target="label")
    with pytest.raises(ConfigError, match="'image_gan' changes no pictures; these do: cyclegan, deepdream, image_vae"):
        transform(model, table(3))
    with pytest.raises(ConfigError, match="encode: the family 'image_gan' has no codes"):
        encode(model, table(3))
    with pytest.raises(ConfigError, match="anomaly scores: the family 'image_gan' has none"):
        anomaly_scores(model, table(3))
    with pytest.raises(ConfigError, match="compress: the family 'image_gan' cannot; image_vae can"):
        compress(model, table(3))


def test_pictures_and_levels_are_each_others_inverse():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_levels(scaled(every)), every)
