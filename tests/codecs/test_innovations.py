"""Numbers of series as ranks of innovations: exact on the way back, alike at all times, orders and copies kept."""

from __future__ import annotations

import json

import numpy as np
from walks import prices

from synth.codecs.innovations import Innovations


def windows(steps: int, length: int = 30) -> dict[str, np.ndarray]:
    table = prices(steps)
    return {
        name: np.lib.stride_tricks.sliding_window_view(table.column(name).to_numpy().astype(float), length).copy()
        for name in table.column_names
    }


def encoded(found: Innovations, values: dict[str, np.ndarray]) -> tuple[dict, dict]:
    ranks, states = found.encode(values)
    return ranks, {name: state[:, 0] for name, state in states.items()}


def test_equal_and_ordered_columns_are_found_and_kept():
    values = windows(1500)
    found = Innovations.fit(values, 5)
    assert found.copies == {"adjusted": "close"}
    relations = {track.name: track.relation for track in found.tracks}
    assert relations["high"] == "above"
    assert relations["low"] == "below"
    assert (relations["open"], relations["close"]) == ("after", "beside")
    assert not any(track.log for track in found.tracks if track.name != "volume")
    assert relations["volume"] == "own"
    rng = np.random.default_rng(0)
    ranks, states = encoded(found, values)
    anything = {name: rng.random(part.shape) for name, part in ranks.items()}
    made = found.decode(anything, states)
    assert (made["high"] >= np.maximum(made["open"], made["close"])).all()
    assert (made["low"] <= np.minimum(made["open"], made["close"])).all()
    assert (made["adjusted"] == made["close"]).all()


def gapped(series: int = 300, length: int = 40) -> dict[str, np.ndarray]:
    """A market that opens with a jump from its last close, small or large, and closes after a day's moves."""
    rng = np.random.default_rng(0)
    gaps = 0.5 * rng.standard_t(3, size=(series, length))
    days = rng.normal(size=(series, length))
    close = 500 + (gaps + days).cumsum(1)
    values = {"close": close, "open": close - days}
    holes = rng.random(close.shape) < 0.1
    return {name: np.where(holes, np.nan, part) for name, part in values.items()}


def test_a_column_that_begins_where_another_ended_is_told_from_that():
    values = gapped()
    found = Innovations.from_state(json.loads(json.dumps(Innovations.fit(values, 5).state())))
    tracks = {track.name: track for track in found.tracks}
    assert [(track.name, track.relation, track.bases) for track in found.tracks] == [
        ("open", "after", ("close",)),
        ("close", "beside", ("open",)),
    ]
    assert not any(tracks["close"].mix)
    assert found.states[:2] == ["open before", "open scale"]
    ranks, states = found.encode(values)
    first, last = states["open before"][:, 0], found.ends(values)["open before"]
    known = ~np.isnan(values["open"])
    np.testing.assert_array_equal(first, values["open"][np.arange(300), known.argmax(1)])
    np.testing.assert_array_equal(last, values["close"][np.arange(300), 39 - known[:, ::-1].argmax(1)])
    made = found.decode(ranks, {name: state[:, 0] for name, state in states.items()})
    for name, part in values.items():
        assert (np.isnan(made[name]) == np.isnan(part)).all()
        assert np.nanmedian(np.abs(made[name] - part)) < 1e-9
    gaps = made["open"][:, 1:] - made["close"][:, :-1]
    assert np.nanstd(gaps) < 0.7 * np.nanstd(np.diff(made["open"], axis=1))


def test_no_step_is_larger_than_any_that_was_learnt():
    rng = np.random.default_rng(0)
    calm = rng.normal(size=(400, 40)) * np.exp(rng.normal(0, 0.7, size=(400, 1)))
    values = {"walk": calm.cumsum(1)}
    found = Innovations.fit(values, 5)
    _, states = encoded(found, values)
    stormy = {name: np.full(400, state.max()) for name, state in states.items()}
    made = found.decode({"walk": rng.random((400, 40)) ** 4}, stormy)["walk"]
    largest = np.abs(np.diff(values["walk"], axis=1)).max()
    assert 0.5 * largest < np.abs(np.diff(made, axis=1)).max() <= largest


def test_what_was_encoded_comes_back_but_for_the_outermost():
    values = windows(1500)
    found = Innovations.from_state(json.loads(json.dumps(Innovations.fit(values, 5).state())))
    made = found.decode(*encoded(found, values))
    for name, part in values.items():
        off = np.abs(made[name] / part - 1)
        assert np.median(off) < 1e-12
        assert np.quantile(off, 0.9) < 1e-3, name


def test_ranks_are_uniform_and_storms_are_gone():
    values = windows(3000)
    ranks, _ = Innovations.fit(values, 5).encode(values)
    close = np.log(values["close"])
    moves = np.abs(np.diff(close, axis=1))
    own = np.abs(ranks["close"][:, 1:] - 0.5)

    def memory(sizes: np.ndarray) -> float:
        centred = sizes - sizes.mean()
        return float((centred[:, 1:] * centred[:, :-1]).mean() / (centred**2).mean())

    assert memory(moves) > 0.1
    assert abs(memory(own)) < 0.6 * memory(moves)
    for name, part in ranks.items():
        edges = np.histogram(part, bins=10, range=(0, 1))[0] / part.size
        assert np.abs(edges - 0.1).max() < 0.02, name


def momentum(kept: float, noise: np.random.Generator, shape: tuple[int, int] = (400, 40)) -> np.ndarray:
    """Sums of moves, of each of which so much is kept by the next one; the noise has a deviation of 1."""
    moves = np.zeros(shape)
    for t in range(1, shape[1]):
        moves[:, t] = kept * moves[:, t - 1] + noise.normal(size=shape[0])
    return moves.cumsum(1)


def test_a_trend_is_learnt_where_moves_go_on_and_nowhere_else():
    rng = np.random.default_rng(0)
    values = {"carried": momentum(0.8, rng), "walk": momentum(0.0, rng)}
    holes = rng.random(values["carried"].shape) < 0.1
    values["carried"][holes] = np.nan
    found = Innovations.fit(values, 5)
    trends = {track.name: track.filter.gamma for track in found.tracks}
    assert trends["carried"] > 0 == trends["walk"]
    assert "carried trend" in found.states
    assert "walk trend" not in found.states
    made = found.decode(*encoded(found, values))
    off = np.abs(made["carried"] - values["carried"])
    assert (np.isnan(off) == holes).all()
    assert np.nanmedian(off) < 1e-9
    moved = np.nanmean(np.abs(np.diff(values["carried"], axis=1)[:, 20:]))
    track = next(track for track in found.tracks if track.name == "carried")
    innovations, states, _ = track.filter.run(values["carried"], np.zeros_like(values["carried"]))
    assert np.nanmean(np.abs(innovations * states.scale)[:, 20:]) < 0.75 * moved


def test_only_what_explains_much_is_taken_out_of_a_column():
    rng = np.random.default_rng(0)
    first, second, own, noise = (rng.normal(size=(400, 40)) for _ in range(4))
    steps = {"first": first, "second": second, "both": first + second + 0.3 * noise, "hardly": 0.2 * first + own}
    found = Innovations.fit({name: part.cumsum(1) for name, part in steps.items()}, 5)
    mixes = {track.name: track.mix for track in found.tracks}
    assert min(mixes["both"]) > 0.3
    assert not any(mixes["hardly"])


def test_states_after_a_step_are_those_from_which_the_next_one_goes_on():
    values = windows(800)
    found = Innovations.fit(values, 5)
    ranks, states = found.encode(values)
    following = {name: part[:, 11] for name, part in states.items()}
    last = {name: part[:, -1] for name, part in states.items()}
    ends = found.ends(values)
    for step, known, then in ((10, {n: part[:, 10] for n, part in states.items()}, following), (-1, last, ends)):
        _, after = found.step(known, {name: part[:, step] for name, part in ranks.items()})
        for name, part in then.items():  # but for the outermost ranks, which are cut
            assert np.quantile(np.abs(after[name] - part), 0.9) < 1e-9, name


def test_columns_that_stay_together_are_all_taken_by_their_logarithm_or_none():
    rng = np.random.default_rng(0)
    first = np.exp(rng.normal(0, 0.05, size=(300, 40)).cumsum(1) + rng.normal(0, 1.5, size=(300, 1)))
    second = first * np.exp(rng.normal(0, 0.01, size=first.shape))
    found = Innovations.fit({"first": first, "second": second}, 5)
    assert [track.log for track in found.tracks] == [True, True]
    assert {track.relation for track in found.tracks} == {"own", "beside"}


def test_nulls_change_no_state_and_stay():
    values = windows(800)
    holes = np.random.default_rng(0).random(values["volume"].shape) < 0.2
    values["volume"][holes] = np.nan
    found = Innovations.fit(values, 5)
    made = found.decode(*encoded(found, values))
    assert (np.isnan(made["volume"]) == holes).all()
    assert np.nanmedian(np.abs(made["volume"] / values["volume"] - 1)) < 1e-12


def test_what_does_not_go_on_from_step_to_step_is_left_out():
    rng = np.random.default_rng(0)
    noise = {"noise": rng.normal(size=(200, 20)), "few": rng.integers(0, 9, (200, 20)).cumsum(1) % 7.0}
    assert not Innovations.fit(noise, 5).tracks


def test_levels_that_come_back_are_told_from_walks():
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(300, 60))
    back = np.zeros_like(steps)
    for t in range(1, 60):
        back[:, t] = 0.9 * back[:, t - 1] + steps[:, t]
    found = {track.name: track.filter for track in Innovations.fit({"walk": steps.cumsum(1), "back": back}, 5).tracks}
    assert found["walk"].phi >= 0.99
    assert found["walk"].alpha >= 0.8
    assert found["back"].phi <= 0.95


def test_states_follow_step_by_step():
    values = windows(800)
    found = Innovations.fit(values, 5)
    ranks, states = found.encode(values)
    middle = {name: np.clip(part, 0.05, 0.95) for name, part in ranks.items()}
    values = found.decode(middle, {name: state[:, 0] for name, state in states.items()})
    again, path = found.encode(values)
    now = {name: state[:, 0] for name, state in path.items()}
    for t in range(29):
        _, now = found.step(now, {name: part[:, t] for name, part in again.items()})
        for name in found.states:
            np.testing.assert_allclose(now[name], path[name][:, t + 1], rtol=1e-3, atol=1e-3)
    ends = found.ends(values)
    _, last = found.step(now, {name: part[:, 29] for name, part in again.items()})
    for name in found.states:
        np.testing.assert_allclose(last[name], ends[name], rtol=1e-3, atol=1e-3)


def test_smoothing_is_chosen_on_series_of_all_kinds_and_needs_no_certain_steps():
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(1200, 60)).cumsum(1)
    walk[1::2] = 0.1 * rng.normal(size=(600, 60)) + rng.normal(size=(600, 1))
    mixed, wild = (Innovations.fit({"x": part}, 5).tracks[0].filter for part in (walk, walk[::2]))
    assert wild.scale > 0.7
    assert 0.3 * wild.scale < mixed.scale < 0.8 * wild.scale
    walk[::2] = np.nan
    walk[1::2] = walk[1::2].cumsum(1)
    assert Innovations.fit({"x": walk}, 5).tracks[0].filter.scale > 0
    ones = np.full((1000, 20), np.nan)
    ones[:, 0] = rng.normal(size=1000)
    ones[[1, 2, 4]] = rng.normal(size=(3, 20)).cumsum(1)
    assert np.isfinite(Innovations.fit({"x": ones}, 5).tracks[0].filter.scale)


def test_a_column_that_always_begins_where_another_ended_does_so_in_any_unit():
    rng = np.random.default_rng(0)
    for unit in (1e-4, 1e4):
        close = unit * (50 + rng.normal(size=(300, 30)).cumsum(1))
        values = {"open": np.concatenate([close[:, :1], close[:, :-1]], 1), "close": close}
        found = Innovations.fit(values, 5)
        ranks, states = encoded(found, values)
        made = found.decode({name: rng.random(part.shape) for name, part in ranks.items()}, states)
        assert {track.name: track.relation for track in found.tracks} == {"open": "after", "close": "beside"}
        np.testing.assert_allclose(made["open"][:, 1:], made["close"][:, :-1], rtol=1e-9)


def test_a_value_that_has_no_logarithm_keeps_its_group_from_any():
    rng = np.random.default_rng(0)
    first = np.exp(rng.normal(0, 0.05, size=(300, 40)).cumsum(1) + rng.normal(0, 1.5, size=(300, 1)))
    values = {name: first * np.exp(rng.normal(0, 0.01, size=first.shape)) for name in "abcd"}
    values["d"][3, 5] = 0.0
    found = Innovations.fit(values, 5)
    assert len(found.tracks) == 4
    assert not any(track.log for track in found.tracks)


def test_what_is_told_from_a_null_is_null_and_moves_nothing():
    values = gapped()
    found = Innovations.fit(values, 5)
    ranks, states = found.encode(values)
    now = {name: part[:, 7] for name, part in states.items()}
    step = {name: np.full(300, 0.9) for name in ranks} | {"open": np.full(300, np.nan)}
    made, then = found.step(now, step)
    assert np.isnan(made["close"]).all()
    for name, part in now.items():
        np.testing.assert_array_equal(then[name], part)


def test_a_series_without_any_value_begins_where_others_are():
    values = gapped()
    for part in values.values():
        part[:6] = np.nan
    found = Innovations.fit(values, 5)
    _, states = found.encode(values)
    before = states["open before"]
    assert abs(before[:6].mean() - before[6:].mean()) < before[6:].std()
    made, _ = found.step({n: part[:, 0] for n, part in states.items()}, {n: np.full(300, 0.5) for n in values})
    assert abs(made["close"][:6] - 500).max() < 50


def test_orders_are_kept_where_columns_have_fewer_decimals_than_others():
    rng = np.random.default_rng(0)
    middle = 500 + 5 * rng.normal(size=(300, 30)).cumsum(1)
    low, high = np.round(middle, 2), np.ceil(middle + rng.exponential(3, size=middle.shape))
    values = {"low": low, "high": high, "top": np.round(high + rng.exponential(0.3, size=high.shape) + 0.05, 1)}
    found = Innovations.fit(values, 5)
    assert ("low", "high") in found.orders
    ranks, states = encoded(found, values)
    anything = {name: rng.random(part.shape) for name, part in ranks.items()}
    made = found.decode(anything, states, {"low": 2, "high": 0, "top": 1})
    for one, other in found.orders:
        assert (made[one] <= made[other]).all()
    assert (made["high"] == np.round(made["high"])).all()
    assert np.abs(made["low"] * 100 - np.round(made["low"] * 100)).max() < 1e-6
