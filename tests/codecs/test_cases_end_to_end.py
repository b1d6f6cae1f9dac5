"""The cases that break tools of this kind, as a user meets them: fit, sample, save, load, write and read."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth import Synthesizer, models
from synth.errors import ConfigError, InputError
from synth.frames import to_pandas
from synth.sampling import write_samples
from synth.storage import read_parquet

TINY = {"epochs": 1, "width": 4}


def tiny(family: str) -> Synthesizer:
    """A family at its smallest: what a case asks of it has nothing to do with how well it learns."""
    fields = models.family(family).Config.model_fields
    return Synthesizer(family, epochs=1, min_steps=0, **({"width": 4} if "width" in fields else {}))


def odd(rows: int) -> pd.DataFrame:
    """Columns of awkward dtypes, a few values each, and identifiers."""
    few = [
        ("nan", [1.0, np.nan, 3.0], "float64"),
        ("Int64", [1, None, 2**62 + 1], "Int64"),
        ("uint64", [0, 2**64 - 1, 5], "uint64"),
        ("boolean", [True, None, False], "boolean"),
        ("string", ["", None, "é"], "string"),
        ("str", ["yes", None, "no"], "str"),
        ("object", ["0311", None, "0047"], object),
        ("Decimal", [Decimal("1.10"), None, Decimal("123456789012345678901.25")], object),
        ("category", ["low", None, "high"], pd.CategoricalDtype(["low", "mid", "high"], ordered=True)),
        ("numbers", [3, 1, 1], pd.CategoricalDtype([3, 2, 1])),
        ("list", [[1, 2], None, []], pd.ArrowDtype(pa.list_(pa.int16()))),
        ("zoned", [pd.Timestamp("2020-07-01", tz="UTC"), pd.NaT, pd.Timestamp("2020-07-03", tz="UTC")], None),
        ("wait", [pd.Timedelta("1s"), pd.NaT, pd.Timedelta("3h")], "timedelta64[ms]"),
        ("day", [dt.date(9999, 12, 31), None, dt.date(1600, 1, 1)], pd.ArrowDtype(pa.date32())),
        ("written", ["31.12.9999", None, "01.01.1600"], "str"),
        ("one", ["only"] * 3, "str"),
        ("none", [None] * 3, "Float64"),
        (7, [1.25, 0.5, 0.75], "float32"),
    ]
    columns = {name: pd.Series((values * rows)[:rows], dtype=dtype) for name, values, dtype in few}
    return pd.DataFrame({**columns, "mail": [f"user{i * 7919 % 99991}@example.org" for i in range(rows)]})


@pytest.fixture(scope="module")
def source() -> pd.DataFrame:
    """120 odd rows."""
    return odd(120)


@pytest.fixture(scope="module", params=models.available("table"))
def fitted(request, source) -> Synthesizer:
    """A tiny model of them, of each family."""
    return tiny(request.param).fit(source, target="str")


def test_every_dtype_and_domain_is_kept(source, fitted):
    made = fitted.sample(500)
    pd.testing.assert_series_equal(made.dtypes, source.dtypes)
    for name in source:
        if name != "mail":
            assert set(map(repr, made[name])) <= set(map(repr, source[name])), name


def test_a_saved_model_gives_the_same_rows(fitted, tmp_path):
    fitted.save(tmp_path / "m")
    pd.testing.assert_frame_equal(Synthesizer.load(tmp_path / "m").sample(60), fitted.sample(60))


def test_identifiers_are_new_and_none_is_in_the_model(source, fitted, tmp_path):
    made = fitted.sample(1000)["mail"]
    assert made.is_unique
    assert made.str.fullmatch(r"[a-z]+\.[a-z]+\d*@example\.(com|net|org)").all()
    assert not set(made) & set(source["mail"])
    fitted.save(tmp_path / "m")
    content = b"".join(file.read_bytes() for file in (tmp_path / "m").iterdir())
    assert not [value for value in source["mail"] if value.encode() in content]


def test_a_family_that_cannot_keep_a_condition_or_score_a_row_says_so_by_name(source, fitted):
    asked = [
        lambda: fitted.sample(3, where={"str": "yes"}),
        lambda: fitted.sample(3, balance="str"),
        lambda: fitted.impute(source),
    ]
    if fitted.model in ("autoregressive", "marginals"):
        assert [len(ask()) for ask in asked] == [3, 3, len(source)]
    else:
        for ask in asked:
            with pytest.raises(
                ConfigError, match=f"family '{fitted.model}' cannot keep conditions; these can: autoreg"
            ):
                ask()
    if fitted.model in ("autoregressive", "flow", "marginals"):
        assert np.isfinite(fitted.log_prob(source)).all()
    else:
        with pytest.raises(ConfigError, match=f"log_prob: the family '{fitted.model}' has no exact likelihood"):
            fitted.log_prob(source)


@pytest.mark.parametrize("draws", [1, 4])
def test_gaps_of_every_dtype_are_filled_within_its_domain(source, draws):
    empty = {
        "counts": "Int64",
        "moments": "datetime64[us]",
        "words": "category",
        "lists": pd.ArrowDtype(pa.list_(pa.int8())),
    }
    frame = source.assign(**{name: pd.Series([None] * len(source), dtype=dtype) for name, dtype in empty.items()})
    filled = tiny("autoregressive").fit(frame, target="str").impute(frame, draws=draws)
    pd.testing.assert_series_equal(filled.dtypes, frame.dtypes)
    for name in ("none", *empty):
        assert filled.pop(name).isna().all(), name
    assert not filled.isna().any().any()
    for name in filled:
        there = frame[name].notna()
        assert list(map(repr, filled[name][there])) == list(map(repr, frame[name][there])), name
        if draws == 1 or name not in ("nan", "Int64", "uint64"):  # of which the mean is taken
            assert set(map(repr, filled[name][~there])) <= set(map(repr, frame[name][there])), name


def test_shards_restore_the_schema_and_the_dictionaries(source, fitted, tmp_path):
    write_samples(fitted, 9000, tmp_path / "s", shards=2)
    table = read_parquet(tmp_path / "s")
    assert table.schema.equals(fitted.schema_.arrow_schema)
    made = to_pandas(table)
    pd.testing.assert_series_equal(made.dtypes, source.dtypes)
    pd.testing.assert_frame_equal(made, fitted.sample(9000))
    assert fitted.sample(0).dtypes.equals(source.dtypes)


@pytest.mark.parametrize("family", models.available("table"))
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_few_rows_are_enough(rows, family):
    made = tiny(family).fit(odd(rows)).sample(20)
    assert made["one"].tolist() == ["only"] * 20


@pytest.mark.parametrize("family", models.available("table"))
@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": np.linspace(0, 1, 90)}),
        pd.DataFrame({"x": list("abc") * 30}),
        pd.DataFrame({"x": [f"{i * 7919 % 10007:05d}" for i in range(90)]}),
        pd.DataFrame({"x": [None] * 90}),
        pd.DataFrame({"x": np.arange(90) + 5}),
        pd.DataFrame({f"x{i}": np.arange(8) % (i % 5 + 1) for i in range(500)}),
    ],
    ids=["numbers", "categories", "identifiers", "nulls", "keys", "500 columns"],
)
def test_tables_of_one_kind_alone(frame, family, tmp_path):
    if family == "marginals" and frame.shape[1] > 100:
        with pytest.raises(ConfigError, match="marginals: 400 columns are more than the 100"):
            tiny(family).fit(frame)
        return
    fitted = tiny(family).fit(frame)
    made = fitted.sample(100)
    pd.testing.assert_series_equal(made.dtypes, frame.dtypes)
    fitted.save(tmp_path / "m")
    pd.testing.assert_frame_equal(Synthesizer.load(tmp_path / "m").sample(100), made)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.inf], "column 'x': 1 of 2 values are infinite"),
        (["a", 1], "column 'x': mixes int and str"),
        ([1j, 2j], "column 'x'"),
    ],
)
def test_what_cannot_be_learnt_is_refused_at_fit(values, message):
    with pytest.raises(InputError, match=message):
        Synthesizer(**TINY).fit(pd.DataFrame({"x": values}))
