"""Series step by step: what is learnt of a process that is known, likelihoods, and forecasts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from walks import walks

from synth import Synthesizer
from synth.errors import ConfigError, InputError
from synth.nest import nest
from synth.series_tools import forecast, quantiles

SMALL = {"width": 32, "layers": 1, "column_width": 32}


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    nested = nest(walks(1500), entity=["id"], time="at")
    return Synthesizer("series_autoregressive", epochs=10, min_steps=600, **SMALL).fit(nested, target="kind")


def test_what_is_drawn_follows_the_process(fitted):
    made, real = fitted.sample(1500), walks(1500, 1).to_pandas()
    assert made["id"].nunique() == 1500
    assert list(made) == list(real)
    lengths = [frame.groupby("id").size() for frame in (real, made)]
    assert abs(lengths[0].mean() - lengths[1].mean()) < 1.2
    assert lengths[1].min() == 1
    assert lengths[1].max() <= 24
    assert (made.groupby("id")["at"].diff().dropna() > pd.Timedelta(0)).all()
    spread = [frame.groupby("kind")["value"].agg(lambda x: x.diff().std()) for frame in (real, made)]
    assert abs(spread[1]["wild"] / spread[0]["wild"] - 1) < 0.25
    assert spread[1]["wild"] > 2 * spread[1]["calm"]
    agree = (made["state"] == np.where(made["value"] < 20, "low", "high")).mean()
    assert agree > 0.85
    assert abs(made["count"].isna().mean() - 0.1) < 0.03


def test_likelihood_tells_real_series_from_shuffled_ones(fitted):
    real = nest(walks(200, 2), entity=["id"], time="at")
    rng = np.random.default_rng(0)
    steps = walks(200, 2).to_pandas()
    for name in ("value", "state"):
        steps[name] = rng.permutation(steps[name])
    wrong = nest(
        pa.table({n: pa.array(steps[n], walks(1).schema.field(n).type) for n in steps}), entity=["id"], time="at"
    )
    assert fitted.log_prob(real).mean() > fitted.log_prob(wrong).mean() + 5


def test_conditions_hold_and_the_same_seed_gives_the_same_bytes(fitted, tmp_path):
    wild = fitted.sample(300, where={"kind": "wild"})
    assert set(wild["kind"]) == {"wild"}
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model", device="cpu")
    assert again.sample_table(20, seed=3).equals(fitted.sample_table(20, seed=3))
    assert not again.sample_table(20, seed=3).equals(fitted.sample_table(20, seed=4))
    first = fitted.sample_table(300, seed=3).to_pandas()
    few = fitted.sample_table(20, seed=3).to_pandas()
    pd.testing.assert_frame_equal(first[first["id"].isin(set(few["id"]))], few)


def test_a_step_is_told_nothing_of_itself_nor_when_its_series_begins(fitted):
    model, generator = fitted.model_.eval(), torch.Generator().manual_seed(0)
    made = model.sample(6, generator)
    tokens, steps = made["tokens"], made["steps"]
    states = torch.randn((*steps.shape[:2], model.layout.states))
    other = steps.clone()
    other[:, 5:] = 0
    with torch.no_grad():
        hidden, same = (model._hidden(tokens, part, states, None) for part in (steps, other))
    torch.testing.assert_close(hidden[:, :6], same[:, :6])
    assert not torch.allclose(hidden[:, 6], same[:, 6])
    begun = tokens.clone()
    beside = set(range(tokens.shape[1])) - {*model.layout.known, model.layout.length}
    for d in beside:
        begun[:, d] = (begun[:, d] + 1) % model.layout.cardinalities[d]
    with torch.no_grad():
        assert torch.equal(hidden, model._hidden(begun, steps, states, None))
    assert beside
    exact = fitted.codec_.encode(nest(walks(30, 5), entity=["id"], time="at"))
    batch = {name: torch.from_numpy(part) for name, part in exact.items()}
    assert torch.isfinite(model.log_prob(batch)).all()


def test_the_cache_tells_each_step_what_the_whole_pass_tells(fitted, monkeypatch):
    model, heard = fitted.model_.eval(), []
    draw = model.each.sample

    def listening(n, generator, condition=None, told=None):
        heard.append(told)
        return draw(n, generator, condition, told)

    monkeypatch.setattr(model.each, "sample", listening)
    made = model.sample(6, torch.Generator().manual_seed(0))
    observer, steps, places = model.layout.observer, made["steps"], made["step_places"]
    states, seen = [observer.begin(made["tokens"].numpy(), made["places"].numpy())], []
    for t in range(steps.shape[1]):
        seen.append(torch.from_numpy(observer.seen(states[t])))
        states.append(observer.after(states[t], steps[:, t].numpy(), places[:, t].numpy()))
    path = torch.stack(seen, 1)
    with torch.no_grad():
        whole = model._hidden(made["tokens"], steps, path, None)
    assert steps.shape[1] > 6
    torch.testing.assert_close(torch.stack(heard, 1), whole, rtol=1e-4, atol=1e-4)
    heard.clear()
    known = {"steps": steps[:, :5], "states": path[:, :5]}
    model.continued(made["tokens"], known, states[5], 2, torch.Generator().manual_seed(1))
    torch.testing.assert_close(heard[0], whole[:, 5], rtol=1e-4, atol=1e-4)


def test_forecasts_go_on_from_the_last_step(fitted):
    history = walks(40, 3)
    sizes = history.to_pandas().groupby("id", sort=False).size()
    made = forecast(fitted, history, 6, paths=50, seed=1)
    frame = made.to_pandas()
    assert frame.groupby(["id", "path"], sort=False).size().eq(6).all()
    assert len(frame) == 40 * 50 * 6
    assert len(sizes) == frame["id"].nunique()
    last = history.to_pandas().groupby("id", sort=False).last()
    first = frame.groupby(["id", "path"], sort=False).first().reset_index()
    joined = first.merge(last, left_on="id", right_index=True, suffixes=("", " before"))
    assert (joined["at"] > joined["at before"]).all()
    wild, calm = (joined[joined["kind"] == kind] for kind in ("wild", "calm"))
    off = [np.abs(part["value"] - (20 + 0.9 * (part["value before"] - 20))).mean() for part in (calm, wild)]
    assert off[0] < 1.0 < off[1] < 3.5
    assert forecast(fitted, history, 6, paths=50, seed=1).equals(made)
    told = quantiles(made, fitted.schema_.arrow_schema).to_pandas()
    assert len(told) == 40 * 6
    assert (told["value 0.05"] <= told["value 0.95"]).all()


def test_a_forecast_that_cannot_be_made_is_named(fitted):
    with pytest.raises(InputError, match="horizon 24: the longest series that the model has learnt has 24 steps"):
        forecast(fitted, walks(3), 24)
    table = Synthesizer("baseline").fit(walks(50).select(["kind", "value"]))
    with pytest.raises(ConfigError, match="'baseline' learns no series"):
        forecast(table, walks(3), 2)


@pytest.mark.parametrize("change", [lambda t: t.slice(0, 0), lambda t: t.select(["id", "at"])])
def test_what_is_no_history_is_named(fitted, change):
    with pytest.raises(InputError):
        forecast(fitted, change(walks(5)), 2)


def test_single_steps_are_series_too():
    rows = walks(200).to_pandas().groupby("id").first().reset_index()
    nested = nest(pa.Table.from_pandas(rows, preserve_index=False), entity=["id"], time="at", steps=["at", "value"])
    made = Synthesizer("series_autoregressive", epochs=1, min_steps=0, **SMALL).fit(nested).sample(50)
    assert len(made) == 50
