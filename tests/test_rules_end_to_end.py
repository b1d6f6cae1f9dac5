"""Every kind of declared rule from a frame to validated samples, by the class and by the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth import Synthesizer
from synth.card import CardInfo, card
from synth.cli import app
from synth.console import run
from synth.errors import ConfigError, InputError
from synth.frames import from_pandas
from synth.gate import Verdict
from synth.sampling import write_samples
from synth.storage import read_parquet, write_parquet
from synth.validation import suite, validate

RULES = [
    {"kind": "inequality", "columns": ["low", "high"], "strict": True},
    {"kind": "inequality", "columns": ["begin", "end"]},
    {"kind": "combination", "columns": ["city", "country"]},
    {"kind": "one_hot", "columns": ["red", "blue"]},
    {"kind": "sum", "total": "total", "parts": ["net", "tax"]},
    {"kind": "ratio", "ratio": "share", "numerator": "tax", "denominator": "total", "factor": 100},
    {"kind": "unique", "columns": ["shop", "day"]},
    {"kind": "regex", "column": "code", "pattern": "[A-Z]{2}-[0-9]{4}", "unique": True},
    {"kind": "bounds", "column": "net", "minimum": 0, "strict": True},
    {"kind": "increment", "column": "tax", "step": 0.05},
]


def orders(rows: int = 400) -> pd.DataFrame:
    """A frame that keeps RULES, with nulls where they may be."""
    rng = np.random.default_rng(0)
    low = rng.integers(100, 9000, rows) / 100
    begin = pd.Series(pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"))
    end = begin + pd.to_timedelta(rng.integers(0, 60, rows), unit="D")
    city = pd.Series(rng.choice(["Oslo", "Bergen", "Rome"], rows))
    red = rng.random(rows) < 0.3
    net, tax = rng.integers(100, 9999, rows) / 100, rng.integers(1, 99, rows) / 20
    total = np.round(net + tax, 2)
    return pd.DataFrame(
        {
            "low": low,
            "high": np.where(rng.random(rows) < 0.2, np.nan, np.round(low + rng.integers(1, 500, rows) / 100, 2)),
            "begin": begin.where(rng.random(rows) > 0.1),
            "end": end.where(rng.random(rows) > 0.2),
            "city": city,
            "country": city.map({"Oslo": "NO", "Bergen": "NO", "Rome": "IT"}),
            "red": red,
            "blue": (~red).astype(int),
            "net": net,
            "tax": tax,
            "total": total,
            "share": np.round(100 * tax / total, 1),
            "shop": rng.permutation(np.repeat(["x", "y", "y", "z"], rows // 4)),
            "code": [f"{chr(65 + n % 26)}Q-{n:04d}" for n in rng.permutation(10_000)[:rows]],
        }
    ).assign(day=lambda frame: frame.groupby("shop").cumcount() * 100)


@pytest.fixture(scope="module")
def ruled() -> Synthesizer:
    """A small model of `orders` under RULES."""
    return Synthesizer(seed=0, epochs=2, width=8).fit(orders(), rules=RULES, target="city")


def test_two_shards_keep_every_rule_and_great_expectations_agrees(ruled, tmp_path):
    write_samples(ruled, 600, tmp_path / "samples", shards=2)
    result = validate(tmp_path / "samples", suite(ruled.schema_, from_pandas(orders())), None)
    assert result["critical_failures"] == []
    told = [entry["rule"] for entry in result["expectations"] if "rule" in entry]
    ours = [rule.title for rule in ruled.schema_.rules if rule.kind != "regex"]  # its pattern is the column's own
    assert list(dict.fromkeys(told)) == ours
    assert any(entry["expectation"].endswith("match_regex") for entry in result["expectations"])
    assert read_parquet(tmp_path / "samples").equals(ruled.sample_table(600))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"high": 0.0}, "low < high"),
        ({"end": pd.Timestamp("2023-01-01")}, "begin <= end"),
        ({"country": "IT"}, "combinations of (city, country)"),
        ({"blue": 1}, "exactly one of (red, blue)"),
        ({"total": 33.33}, "total = net + tax"),
        ({"share": 9.9}, "share = 100 * tax / total"),
        ({"day": 0}, "unique (shop, day)"),
        ({"net": 0.0}, "0 < net"),
        ({"tax": 1.01}, "tax in steps of 0.05"),
    ],
)
def test_a_broken_rule_is_told_as_that_rule(ruled, tmp_path, change, rule):
    made = orders().assign(**{name: pd.Series([value] * 400) for name, value in change.items()})
    made = made.astype(orders().dtypes)
    write_parquet(tmp_path / "a.parquet", from_pandas(made))
    failed = validate(tmp_path / "a.parquet", suite(ruled.schema_, None), None)["critical_failures"]
    assert any(line.startswith(f"rule {rule!r}: ") for line in failed)


def test_a_stored_model_gives_the_same_rows(ruled, tmp_path):
    ruled.save(tmp_path / "model")
    assert Synthesizer.load(tmp_path / "model").sample_table(300).equals(ruled.sample_table(300))


def test_keys_do_not_repeat_over_blocks_and_shards(tmp_path):
    places = np.r_[1, np.arange(99) * 100]
    frame = pd.DataFrame({"a": np.tile(places, 2), "b": ["x", "y"] * 100, "n": np.arange(200) % 7})
    frame = frame.drop_duplicates(["a", "b"]).assign(code=lambda f: [f"{n:02d}zz"[::-1] for n in f["a"] % 97])
    rules = [
        {"kind": "unique", "columns": ["a", "b"]},
        {"kind": "regex", "column": "code", "pattern": "z{2}[0-9]{2}"},
    ]
    model = Synthesizer(seed=0, epochs=1, width=8).fit(frame, rules=rules)
    assert model.codec_.capacity == 2 * 9801
    write_samples(model, 19_602, tmp_path / "samples", shards=3)
    made = read_parquet(tmp_path / "samples").to_pandas()
    assert not made.duplicated(["a", "b"]).any()
    assert made["code"].str.fullmatch("z{2}[0-9]{2}").all()


def test_more_rows_than_keys_are_refused(ruled):
    with pytest.raises(InputError, match="different values; ask for no more"):
        ruled.sample(10_000)


def test_conditions_on_columns_of_rules(ruled):
    made = ruled.sample(50, where={"country": "NO", "net": (20, 40)})
    assert set(made["city"]) <= {"Oslo", "Bergen"}
    assert made["net"].between(20, 40).all()
    for name in ("high", "total", "red", "code", "shop"):
        with pytest.raises(ConfigError, match=f"column '{name}' is made by a rule, .* but on: low, begin, net, tax$"):
            ruled.sample(1, where={name: 1})
    with pytest.raises(ConfigError, match="does not stand together with the other conditions"):
        ruled.sample(1, where={"city": "Rome", "country": "NO"})
    with pytest.raises(ConfigError, match="balance: 'country' is learnt together"):
        ruled.sample(1, balance="country")
    with pytest.raises(ConfigError, match="impute: column 'high' has nulls and is part of rule 'low < high'"):
        ruled.impute(orders())


def test_a_row_that_breaks_a_rule_has_no_likelihood(ruled):
    rows = orders(40)
    assert np.isfinite(ruled.log_prob(rows)).all()
    assert np.isneginf(ruled.log_prob(rows.assign(total=1.0))).all()


def test_the_card_names_the_rules(ruled):
    text = card(
        CardInfo("orders", "Orders"),
        ruled.schema_,
        9,
        {},
        None,
        {"expectations": [], "warnings": []},
        Verdict(True, (), ()),
        {},
    )
    assert "- total = net + tax" in text
    assert "- low \\< high" in text


def test_the_command_line_takes_a_file_of_rules(tmp_path, capsys):
    orders(80).to_csv(tmp_path / "orders.csv", index=False)
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rules:\n- {kind: sum, total: total, parts: [net, tax]}\n- {kind: inequality, columns: [low, high]}\n"
    )
    fit = ["fit", str(tmp_path / "orders.csv"), "--out", str(tmp_path / "m"), "--set", "epochs=1", "--set", "width=8"]
    call(*fit, "--rules", str(rules), code=0)
    assert [rule.title for rule in Synthesizer.load(tmp_path / "m").schema_.rules] == [
        "total = net + tax",
        "low <= high",
    ]
    rules.write_text("- {kind: inequality, columns: [low, nobody]}\n")
    call(*fit, "--rules", str(rules), code=2)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "'nobody' is not a column" in said[0]


def call(*arguments: str, code: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["synth", *arguments])
        with pytest.raises(SystemExit) as stopped:
            run(app)
    assert (stopped.value.code or 0) == code
