"""Families that make all steps of a series at once: what they learn of a process that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from walks import walks

from synth import Synthesizer
from synth.errors import ConfigError
from synth.nest import nest
from synth.series_tools import forecast

FAMILIES = ("series_diffusion", "series_vae", "series_flow", "series_gan")
AGREE = {"series_vae": 0.4}  # its columns of a step are independent given the code, by what it is
SMALL = {"width": 32, "layers": 1, "epochs": 25, "min_steps": 800}


@pytest.fixture(scope="module", params=FAMILIES)
def fitted(request) -> Synthesizer:
    nested = nest(walks(1200), entity=["id"], time="at")
    return Synthesizer(request.param, **SMALL).fit(nested, target="kind")


def test_what_is_drawn_follows_the_process(fitted, tmp_path):
    made, real = fitted.sample(1000), walks(1000, 1).to_pandas()
    assert made["id"].nunique() == 1000
    assert (made.groupby("id")["at"].diff().dropna() > pd.Timedelta(0)).all()
    lengths = [frame.groupby("id").size().mean() for frame in (real, made)]
    assert abs(lengths[0] - lengths[1]) < 1.5
    spread = [frame.groupby("kind")["value"].agg(lambda x: x.diff().std()) for frame in (real, made)]
    assert 0.6 < spread[1]["wild"] / spread[0]["wild"] < 1.5
    assert spread[1]["wild"] > 1.7 * spread[1]["calm"]
    agree = (made["state"] == np.where(made["value"] < 20, "low", "high")).mean()
    assert agree > AGREE.get(fitted.model, 0.52)
    assert abs(made["count"].isna().mean() - 0.1) < 0.06
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model", device="cpu")
    assert again.sample_table(20, seed=3).equals(fitted.sample_table(20, seed=3))
    assert set(fitted.sample(50, where={"kind": "wild"})["kind"]) == {"wild"}
    with pytest.raises(ConfigError, match="tells no steps that follow"):
        forecast(fitted, walks(3), 2)
