"""What every family of pictures keeps to, whichever it is."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch
from digits import levels, table

from synth import Synthesizer, models
from synth.codecs.image import to_levels
from synth.errors import ConfigError
from synth.layout import ColumnLayout, ImageLayout
from synth.models.base import ImageModel
from synth.training import train

CPU = torch.device("cpu")
SMALL = {"patch": 1, "widths": (32, 48), "blocks": 1, "epochs": 1}
TINY = {
    "image_flow": {"widths": (32,), "steps": (4,), "small_width": 64, "small_steps": 6, "blocks": 1, "epochs": 1},
    "image_autoregressive": {**SMALL, "width": 64, "layers": 2, "codebook": 64},
    "image_vae": {**SMALL, "latents": 24, "prior_width": 128, "prior_blocks": 2},
    "image_diffusion": {**SMALL, "steps": 6},
    "stylegan": {**SMALL, "style": 64},
}
DRAWING = [name for name in models.available("image") if models.family(name).Model.draws]
PASSES = {"image_gan": 45, "stylegan": 45, "image_flow": 30}  # epochs in which a family learns the digits


def layout(digits: np.ndarray) -> ImageLayout:
    shares = (np.bincount(digits, minlength=10) / len(digits)).astype(np.float32)
    nominal = np.full(10, np.nan, np.float32)
    column = ColumnLayout("label", np.zeros((10, 0), np.float32), np.ones(10, dtype=bool), nominal, shares)
    return ImageLayout((column,), 0, channels=1, height=8, width=8)


def build(name: str, seed: int = 0, **config) -> ImageModel:
    family = models.family(name)
    settings = {**TINY.get(name, SMALL), **config}
    return family.Model(family.Config(**settings), layout(levels()[1]), torch.Generator().manual_seed(seed))


def fit(model: ImageModel, rows: int | None = None, seed: int = 0) -> ImageModel:
    images, digits = levels()
    train(model, {"images": images[:rows], "tokens": digits[:rows, None]}, seed=seed, device=CPU)
    return model


@pytest.fixture(params=DRAWING)
def name(request) -> str:
    return request.param


def test_pictures_of_a_label_are_nearer_to_its_real_ones_than_to_those_of_others(name):
    model = fit(build(name, epochs=PASSES.get(name, 25)))
    drawn = model.sample(600, torch.Generator().manual_seed(0))
    images, digits = levels()
    real = np.stack([images[digits == digit].mean((0, 1)) for digit in range(10)])  # (10, 8, 8)
    made, asked = drawn["images"].numpy()[:, 0].astype(float), drawn["tokens"].numpy()[:, 0]
    apart = ((made[:, None] - real) ** 2).mean((2, 3))  # (600, 10)
    floor = ((images[:, 0][:, None].astype(float) - real) ** 2).mean((2, 3))
    assert (floor.argmin(1) == digits).mean() > 0.85
    assert (apart.argmin(1) == asked).mean() > 0.6
    assert apart.min(1).mean() < 1.5 * floor.min(1).mean()
    spread = [made[asked == digit].std(0).mean() / images[digits == digit].std(0).mean() for digit in range(10)]
    assert np.mean(spread) > 0.5


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(name):
    states = []
    for seed in (0, 0, 1):
        model = fit(build(name, seed), rows=128, seed=seed)
        drawn = model.sample(20, torch.Generator().manual_seed(0))
        states.append((safetensors.torch.save(model.state_dict()), drawn["images"].numpy().tobytes()))
    assert states[0] == states[1]
    assert states[0][0] != states[2][0]
    again = model.sample(20, torch.Generator().manual_seed(1))
    assert again["images"].numpy().tobytes() != states[2][1]


def test_labels_are_kept_saved_and_loaded(name, tmp_path):
    synthesizer = Synthesizer(name, seed=1, **TINY.get(name, SMALL)).fit(table(300), target="label")
    drawn = synthesizer.sample_table(20, where={"label": ["3", "5"]})
    assert set(drawn.column("label").to_pylist()) == {"3", "5"}
    assert drawn.schema.equals(table(1).schema)
    assert to_levels(drawn.column("image"), synthesizer.schema_["image"]).shape == (20, 1, 8, 8)
    even = synthesizer.sample_table(20, balance="label").column("label").to_pylist()
    assert {label: even.count(label) for label in set(even)} == {str(digit): 2 for digit in range(10)}
    synthesizer.save(tmp_path / "model")
    assert Synthesizer.load(tmp_path / "model", device="cpu").sample_table(20).equals(synthesizer.sample_table(20))


def test_colour_without_labels_is_learnt(name):
    images = np.repeat(levels()[0][:64], 3, axis=1)
    family = models.family(name)
    plain = ImageLayout((), None, channels=3, height=8, width=8)
    model = family.Model(family.Config(**TINY.get(name, SMALL)), plain, torch.Generator().manual_seed(0))
    train(model, {"images": images, "tokens": np.zeros((64, 0), np.int64)}, seed=0, device=CPU)
    drawn = model.sample(5, torch.Generator().manual_seed(0))
    assert drawn["images"].shape == (5, 3, 8, 8)
    assert drawn["tokens"].shape == (5, 0)


def test_tables_are_not_for_them_nor_pictures_for_the_others(frame, name):
    with pytest.raises(ConfigError, match=f"{name!r} does not learn data of the modality 'table'; these do: autoregre"):
        Synthesizer(name).fit(frame)
    with pytest.raises(
        ConfigError,
        match="'vae' does not learn data of the modality 'image'; these do: cyclegan, dee",
    ):
        Synthesizer("vae").fit(table(50))
