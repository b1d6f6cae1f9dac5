"""Rare values: what is withheld at which threshold, and that no file tells it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import typer.testing

from synth import Synthesizer
from synth.card import CardInfo
from synth.cli import app
from synth.codecs.grid import Grid, thin
from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.evaluation.measurements import evaluate
from synth.evaluation.tables import Tables
from synth.expectations import suite
from synth.frames import from_pandas
from synth.gate import Verdict
from synth.release import release
from synth.report import render
from synth.sampling import write_samples
from synth.schema import least_rows
from synth.storage import read_parquet
from synth.validation import validate

TINY = {"epochs": 1, "width": 8, "min_steps": 0}
SECRETS = ("Xanadu", "93847", "1877-03", "09.11.2093", "543.21", "Zeppelin")


def staff(rows: int = 1000) -> pd.DataFrame:
    """A table with one, two or three rows of values that tell of somebody."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Oslo", "Rome", "Lima"], rows),
            "salary": rng.integers(20_000, 60_000, rows),
            "born": pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 15_000, rows), unit="D"),
            "since": (pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 6000, rows), unit="D")).strftime(
                "%d.%m.%Y"
            ),
            "rate": np.round(rng.normal(20, 2, rows), 2),
            "level": rng.integers(1, 9, rows),
            "team": rng.choice(["a", "b"], rows),
        }
    )
    frame.loc[:2, "city"] = "Xanadu"
    frame.loc[5, "salary"] = 93847
    frame.loc[6, "born"] = pd.Timestamp("1877-03-04")
    frame.loc[7, "since"] = "09.11.2093"
    frame.loc[8, "rate"] = 543.21
    frame.loc[9:11, "level"] = 77
    frame.loc[12, "team"] = "Zeppelin"
    return frame


def told(place: Path) -> list[str]:
    """Which of the secrets stand in a file under `place`, in its bytes or as values of its rows."""
    found = []
    for file in [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]:
        content = file.read_bytes()
        if file.suffix == ".parquet":
            content += read_parquet(file).to_pandas().astype(str).to_csv().encode()
        found += [f"{secret} in {file.name}" for secret in SECRETS if secret.encode() in content]
    return found


def test_no_file_tells_a_rare_value(tmp_path):
    frame = staff()
    assert sorted(told_in_csv(frame, tmp_path)) == sorted(SECRETS)
    fitted = Synthesizer("autoregressive", **TINY).fit(frame, target="team")
    fitted.save(tmp_path / "model")
    write_samples(fitted, 3000, tmp_path / "samples")
    assert told(tmp_path / "model") == []
    assert told(tmp_path / "samples") == []

    table, schema = from_pandas(frame), fitted.schema_
    validation = validate(tmp_path / "samples", suite(schema, table), None)
    assert validation["critical_failures"] == []
    made = read_parquet(tmp_path / "samples").to_pandas()
    metrics = evaluate(Tables(frame, frame[:300], frame[300:600], made, schema), repeats=2)
    (tmp_path / "report.html").write_text(render(title="Staff", schema=schema, metrics=metrics, validation=validation))
    release(
        tmp_path / "release",
        samples=tmp_path / "samples",
        schema=schema,
        verdict=Verdict(True, (), ()),
        metrics=metrics,
        lift=None,
        validation=validation,
        report=tmp_path / "report.html",
        card_info=CardInfo("staff", "Staff"),
        provenance={},
    )
    assert told(tmp_path / "release") == []
    card = (tmp_path / "release" / "README.md").read_text()
    assert "fewer than 5 training rows have is" in card
    assert "| 1 (3) |" in card


def told_in_csv(frame: pd.DataFrame, place: Path) -> list[str]:
    frame.to_csv(place / "staff.csv", index=False)
    return [secret for secret in SECRETS if secret in (place / "staff.csv").read_text()]


def test_the_schema_counts_what_it_withholds():
    schema = detect(from_pandas(staff()))
    assert {column.name: (column.withheld, column.withheld_rows) for column in schema.columns} == {
        "city": (1, 3),
        "salary": pytest.approx((8, 8), abs=1),  # where the fifth has company, fewer lie beyond it
        "born": pytest.approx((8, 8), abs=1),
        "since": pytest.approx((8, 8), abs=1),
        "rate": pytest.approx((8, 8), abs=2),
        "level": (1, 3),
        "team": (1, 1),
    }
    assert schema["city"].categories == ("Lima", "Oslo", "Rome")
    assert (schema["level"].minimum, schema["level"].maximum) == (1, 8)
    salary = np.sort(staff()["salary"])
    assert (schema["salary"].minimum, schema["salary"].maximum) == (salary[4], salary[-5])


@pytest.mark.parametrize(
    ("asked", "rows", "least"),
    [(5, 10**7, 5), (5, 500, 5), (5, 499, 4), (5, 200, 2), (5, 199, 1), (5, 3, 1), (0, 1000, 1), (1, 1000, 1)],
)
def test_a_small_table_has_a_lower_threshold(asked, rows, least):
    assert least_rows(asked, rows) == least


def test_off_reproduces_everything():
    frame = staff()
    fitted = Synthesizer("baseline", kind="bootstrap").fit(frame, rare_values=0)
    made = fitted.sample(20_000, seed=1)
    assert {"Xanadu"} < set(made["city"])
    assert made["salary"].max() == 93847
    assert fitted.schema_["team"].categories == ("Zeppelin", "a", "b")


def test_a_small_table_says_that_its_threshold_is_lower(caplog):
    detect(from_pandas(staff(250)))
    assert "rare_values: 5 is lowered to 2 for 250 rows" in caplog.text


@pytest.mark.parametrize(
    "dtype",
    [pd.CategoricalDtype(["Oslo", "Rome", "Lima", "Xanadu", "Nowhere"]), "boolean"],
    ids=["category", "boolean"],
)
def test_declared_values_are_kept_however_rare(dtype):
    frame = staff()[["city", "level"]]
    frame["city"] = (frame["city"] == "Xanadu").astype("boolean") if dtype == "boolean" else frame["city"].astype(dtype)
    fitted = Synthesizer("baseline", kind="bootstrap").fit(frame)
    made = fitted.sample(20_000)
    rare = True if dtype == "boolean" else "Xanadu"
    assert (made["city"] == rare).sum() == pytest.approx(60, abs=30)
    assert fitted.schema_["city"].withheld == 0


def test_a_withheld_category_comes_out_as_another_by_frequency():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": np.where(rng.random(5000) < 0.8, "often", "seldom"), "y": rng.integers(0, 3, 5000)})
    frame.loc[::20, "x"] = [f"rare {i}" for i in range(250)]
    fitted = Synthesizer("baseline", kind="independent").fit(frame)
    assert fitted.schema_["x"].withheld == 250
    made = fitted.sample(20_000)["x"].value_counts(normalize=True)
    kept = frame["x"][frame["x"].isin(["often", "seldom"])].value_counts(normalize=True)
    assert made.index.tolist() == ["often", "seldom"]
    assert made["often"] == pytest.approx(kept["often"], abs=0.012)
    with pytest.raises(ConfigError, match="'rare 3'"):
        Synthesizer("autoregressive", **TINY).fit(frame).sample(5, where={"x": "rare 3"})


def test_equal_classes_leave_out_what_is_withheld():
    frame = staff()
    made = Synthesizer("autoregressive", **TINY).fit(frame).sample(900, balance="city")
    assert made["city"].value_counts().to_dict() == {"Oslo": 300, "Rome": 300, "Lima": 300}


def test_gaps_are_filled_with_values_that_may_come_out():
    frame = staff()
    fitted = Synthesizer("autoregressive", **TINY).fit(frame.assign(city=frame["city"].where(frame.index % 7 > 0)))
    holed = frame.assign(city=None).iloc[:50]
    assert set(fitted.impute(holed)["city"]) <= {"Oslo", "Rome", "Lima"}
    assert np.isfinite(fitted.log_prob(frame)).all()


def test_a_text_column_of_rare_values_becomes_an_identifier():
    frame = pd.DataFrame({"t": [f"x{i % 300:03d}" for i in range(600)], "y": [0, 1] * 300})
    assert detect(from_pandas(frame))["t"].kind == "identifier"
    assert detect(from_pandas(frame), rare_values=1)["t"].kind == "category"


def test_a_column_that_would_have_no_value_left_is_refused_or_empty():
    values = pa.array([[i // 2] for i in range(600)])
    with pytest.raises(InputError, match="column 'l': none of its 300 values has 5 rows"):
        detect(pa.table({"l": values}))
    few = pa.table({"n": pa.array([1.5, 2.5, 9.5] + [None] * 597), "k": pa.array(range(600))})
    schema = detect(few)
    assert (schema["n"].kind, schema["n"].withheld) == ("empty", 3)
    assert Synthesizer("baseline").fit(few).sample(50)["n"].isna().all()


def test_thinned_ends_have_enough_rows():
    values = np.random.default_rng(0).normal(size=4000)
    kept = thin(values, 5)
    assert ((kept == kept.min()).sum(), (kept == kept.max()).sum()) == (5, 5)
    assert (kept != values).sum() == 8
    assert np.array_equal(thin(values, 1), values)
    wide = np.array([0] * 10 + [10**30] * 10 + [7, 10**40], dtype=object)
    assert set(thin(wide, 3)) == {0, 10**30}


def test_few_values_move_to_the_nearest_that_has_the_rows():
    values = np.repeat([1, 2, 3, 10, 11], [300, 300, 300, 2, 100])
    assert set(thin(values, 5)) == {1, 2, 3, 11}
    assert (thin(values, 5) == 11).sum() == 102


def test_many_rare_values_among_few_are_cut_into_bins():
    values = np.concatenate([np.zeros(400, dtype=np.int64), np.repeat(np.arange(1, 101), 2)])
    grid = Grid.fit(thin(values, 5), 0, 5)
    assert grid.atoms.tolist() == [0]
    assert (grid.counts >= 5).all()


@pytest.mark.parametrize("rows", [5, 6, 7, 8, 9])
def test_fewer_values_than_both_ends_need_leave_one(rows):
    kept = thin(np.arange(rows) * 1.5, 5)
    assert np.bincount(np.unique(kept, return_inverse=True)[1]).min() >= 3
    assert set(kept) <= set(np.arange(rows) * 1.5)


def test_a_declared_combination_is_withheld_where_it_is_rare():
    rng = np.random.default_rng(0)
    place = rng.integers(0, 3, 800)
    frame = pd.DataFrame(
        {"city": np.array(["Oslo", "Rome", "Lima"])[place], "land": np.array(["NO", "IT", "PE"])[place]}
    )
    frame.loc[:1, ["city", "land"]] = ["Rome", "PE"]
    rules = [{"kind": "combination", "columns": ["city", "land"]}]
    fitted = Synthesizer("autoregressive", **TINY).fit(frame, rules=rules)
    made = set(map(tuple, fitted.sample(3000).to_numpy()))
    assert made == {("Oslo", "NO"), ("Rome", "IT"), ("Lima", "PE")}
    assert len(fitted.schema_.rules[0].known) == 3


def test_ordered_columns_and_keys_keep_to_what_may_come_out(tmp_path):
    rng = np.random.default_rng(0)
    start = rng.integers(100, 900, 1000)
    frame = pd.DataFrame({"start": start, "end": start + rng.integers(1, 50, 1000)})
    frame.loc[0, ["start", "end"]] = [93846, 93847]
    frame["shop"], frame["day"] = np.repeat(["n", "s"], 500), np.tile(np.arange(500), 2)
    frame.loc[0, "shop"] = "Zeppelin"
    rules = [
        {"kind": "inequality", "columns": ["start", "end"], "strict": True},
        {"kind": "unique", "columns": ["shop", "day"]},
    ]
    fitted = Synthesizer("autoregressive", **TINY).fit(frame, rules=rules)
    made = fitted.sample(900)
    assert (made["start"] < made["end"]).all()
    assert made["end"].max() <= np.sort(frame["end"])[-5]
    assert set(made["shop"]) == {"n", "s"}
    fitted.save(tmp_path / "m")
    assert told(tmp_path / "m") == []


def test_the_command_line_takes_a_threshold(tmp_path):
    staff().to_csv(tmp_path / "staff.csv", index=False)
    options = ["--set", "kind=copula", "--model", "baseline"]
    for name, more in (("five", []), ("off", ["--rare-values", "0"])):
        out = str(tmp_path / name)
        done = typer.testing.CliRunner().invoke(
            app, ["fit", str(tmp_path / "staff.csv"), "--out", out, *options, *more]
        )
        assert done.exit_code == 0, done.output
    assert Synthesizer.load(tmp_path / "five").schema_.rare_values == 5
    assert told(tmp_path / "five") == []
    assert "Xanadu" in Synthesizer.load(tmp_path / "off").schema_["city"].categories
