"""Measurements of pictures: known distances, the fixed network, and real digits against noise and mixed-up labels."""

from __future__ import annotations

import numpy as np
import pytest
from digits import levels, table

from synth.codecs.image import from_levels
from synth.detection import detect
from synth.errors import FormatError
from synth.evaluation import likeness, picture_features
from synth.evaluation.measurements import evaluate
from synth.evaluation.tables import Tables


@pytest.fixture(scope="module")
def parts() -> dict:
    """Digits in four parts, the last in the place of the synthetic ones."""
    frame = table().to_pandas()
    return {"train": frame[:700], "holdout": frame[700:1050], "test": frame[1050:1400], "synthetic": frame[1400:]}


def tables(parts: dict, **changes) -> Tables:
    return Tables(**{**parts, **changes}, schema=detect(table(700), target="label"))


def test_the_distance_of_two_gaussians_is_the_known_one():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (200_000, 3)), rng.normal([1, 0, 0], [1, 2, 1], (200_000, 3))
    assert likeness.frechet(a, b) == pytest.approx(1 + (2 - 1) ** 2, rel=0.02)
    assert likeness.frechet(a, a) == pytest.approx(0, abs=1e-6)


def test_the_kernel_distance_of_the_same_distribution_is_chance_around_nothing():
    rng = np.random.default_rng(0)
    found = [likeness.kernel(rng.normal(size=(300, 8)), rng.normal(size=(300, 8))) for _ in range(40)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(40)
    assert likeness.kernel(rng.normal(size=(300, 8)), rng.normal(0.5, 1, (300, 8))) > 10 * np.std(found)


def test_features_tell_digits_apart_and_do_not_depend_on_how_pictures_are_encoded():
    from sklearn.linear_model import LogisticRegression

    images, digits = levels()
    found = picture_features.features(table().column("image"))
    assert found.shape == (1797, picture_features.FEATURES)
    assert LogisticRegression(max_iter=500).fit(found[:1000], digits[:1000]).score(found[1000:], digits[1000:]) > 0.85
    coloured = from_levels(images[:10].repeat(3, axis=1), range(10))
    np.testing.assert_allclose(picture_features.features(coloured), found[:10], atol=1e-5)


def test_weights_that_were_changed_are_refused(tmp_path, monkeypatch):
    (tmp_path / "other.safetensors").write_bytes(picture_features.WEIGHTS.read_bytes() + b" ")
    monkeypatch.setattr(picture_features, "WEIGHTS", tmp_path / "other.safetensors")
    picture_features._weights.cache_clear()
    with pytest.raises(FormatError, match=r"other\.safetensors: its digest"):
        picture_features.features(table(5).column("image"))
    picture_features._weights.cache_clear()


def test_unseen_digits_are_as_real_as_the_floor_and_noise_is_not(parts):
    found = evaluate(tables(parts), repeats=2)
    shown = found["likeness"]
    assert shown["frechet_distance"]["value"] < 1.6 * shown["frechet_distance"]["floor"]
    assert shown["agreement"]["value"] > 0.85
    assert found["quality"]["tstr"]["value"] > 0.9
    assert found["undefined"] == {}

    rng = np.random.default_rng(0)
    noise = from_levels(rng.integers(0, 256, (397, 1, 8, 8), dtype=np.uint8), range(397))
    made = parts["synthetic"].assign(image=noise.to_pylist(), label=rng.permutation(parts["synthetic"]["label"]))
    worse = evaluate(tables(parts, synthetic=made), repeats=2)["likeness"]
    assert worse["frechet_distance"]["value"] > 5 * shown["frechet_distance"]["value"]
    assert worse["kernel_distance"]["value"] > 20
    assert worse["agreement"]["value"] < 0.25


def test_a_copy_of_the_training_pictures_is_caught(parts):
    found = evaluate(tables(parts, synthetic=parts["train"]), repeats=2)
    assert found["privacy"]["dcr_share"]["value"] > 0.95
    assert found["attacks"]["membership_auc"]["low"] > 0.9
