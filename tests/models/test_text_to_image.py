"""Pictures from captions: the digit that a caption names is drawn, captions are written anew, in turn as asked for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from digits import levels, table

from synth import Synthesizer
from synth.codecs.image import to_levels
from synth.errors import ConfigError
from synth.picture_learning import learn

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SMALL = {"patch": 1, "widths": (32, 48), "blocks": 1}
TINY = {
    "image_diffusion": {**SMALL, "steps": 6, "epochs": 26},
    "image_diffusion in codes": {**SMALL, "codes": 4, "encoder_widths": (32, 48), "steps": 6, "epochs": 36},
    "image_autoregressive": {**SMALL, "width": 64, "layers": 2, "codebook": 64, "epochs": 32},
}


def captioned() -> pa.Table:
    """Digits; in which words a caption names one differs from row to row."""
    ways = ("a handwritten {}", "the digit {} by hand", "{} as someone wrote it")
    chosen = np.random.default_rng(0).integers(len(ways), size=len(levels()[1]))
    texts = [ways[way].format(NAMES[digit]) for way, digit in zip(chosen, levels()[1], strict=True)]
    return pa.table({"image": table().column("image"), "caption": texts})


@pytest.fixture(scope="module", params=list(TINY))
def model(request) -> Synthesizer:
    return Synthesizer(request.param.split()[0], **TINY[request.param]).fit(captioned())


def test_the_digit_that_a_caption_names_is_drawn(model):
    images, digits = levels()
    judge = learn(images, digits, 10, steps=400)
    asked = np.repeat(np.arange(10), 20)
    texts = [f"the digit {NAMES[digit]} by hand" for digit in asked]
    drawn = model.sample_table(len(texts), where={"caption": texts})
    assert drawn.column("caption").to_pylist() == texts
    found = judge.chances(to_levels(drawn.column("image"), model.schema_["image"])).argmax(1)
    assert (found == asked).mean() > 0.6
    assert (found == np.roll(asked, 20)).mean() < 0.2


def test_captions_are_written_anew_in_the_words_of_the_training_ones(model):
    drawn = model.sample_table(300).column("caption").to_pylist()
    known = set(captioned().column("caption").to_pylist())
    assert np.mean([text in known for text in drawn]) > 0.8
    assert len(set(drawn)) > 15


def test_a_caption_that_was_never_there_is_drawn_and_one_that_is_too_long_refused(model, tmp_path):
    wanted = {"caption": "a handwritten seven by hand"}
    drawn = model.sample_table(4, where=wanted)
    assert set(drawn.column("caption").to_pylist()) == {wanted["caption"]}
    model.save(tmp_path / "model")
    assert Synthesizer.load(tmp_path / "model", device="cpu").sample_table(4, where=wanted).equals(drawn)
    with pytest.raises(ConfigError, match="words and pieces of words; captions of at most"):
        model.sample(1, where={"caption": "seven " * 30})
    with pytest.raises(ConfigError, match="column 'caption' holds captions, which are no labels"):
        model.sample(1, balance="caption")
