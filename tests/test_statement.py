"""PRIVACY.md: what it says of the source, the figures and the guarantee, and that it claims no more."""

from __future__ import annotations

import re

import pandas as pd
import pyarrow as pa
from releases import INFO, METRICS, people_with_mail, put_out

from synth.card import CardInfo
from synth.detection import detect
from synth.evaluation.measurements import METRICS as KNOWN
from synth.frames import from_pandas
from synth.statement import statement
from synth.storage import write_parquet

GUARANTEE = {
    "epsilon": 1.0,
    "delta": 1e-6,
    "record": "one row",
    "adjacency": "add or remove one row",
    "accountant": "PRV",
    "engine": "DP-SGD",
    "covered": ["weights", "bins"],
    "not_covered": ["declared <domains>"],
}


def page(rows: int = 1000, metrics: dict | None = None, info: CardInfo = INFO, **provenance: object) -> str:
    """The statement on a table of people, on one line a paragraph."""
    schema = detect(from_pandas(people_with_mail(rows)), target="churned")
    text = statement(info, schema, 60, METRICS if metrics is None else metrics, provenance)
    return re.sub(r"(?<=\S)\n(?=[^\s#-])", " ", text)


def test_it_says_what_the_source_was_and_what_was_done():
    text = page(model="flow", source_rows=7000, sources={"people.csv": "ab" * 32})
    assert text.startswith("# Privacy statement: People of three towns (synthetic)\n")
    assert "- Licence: CC-BY-4.0\n- Rows learnt from: 1,000\n- File people.csv: sha256 `" + "ab" * 32 in text
    assert "a generative model (flow) that saw 1,000 rows of the source, drawn at random from 7,000." in text
    withheld = re.search(r"fewer than 5 training rows have is not reproduced: ([\d,]+) different values", text)
    assert withheld
    assert int(withheld[1]) > 0
    assert "made-up values stand in the place of: mail (email)." in text
    assert "made anew in the same format: id." in text
    assert "None of what is made up is a value of the source." in text


def test_it_says_where_nothing_is_withheld_and_nothing_was_personal():
    schema = detect(pa.table({"x": [1.5, 2.5] * 30}))
    text = statement(INFO, schema, 5, {}, {})
    assert "No threshold withholds them" in text
    assert "No column was found or declared to hold any." in text
    assert "Nothing was measured." in text


def test_each_figure_stands_beside_its_floor_with_a_plain_sentence():
    entry = {"value": 0.02, "low": 0.01, "high": 0.03, "floor": 0.011, "copy": 0.9}
    gone = {"value": None, "floor": None, "copy": None, "reason": "too few rows"}
    figures = {"privacy": METRICS["privacy"], "attacks": {"tpr_at_1": entry, "linkability": gone}}
    text = page(metrics=figures)
    dcr = next(metric for metric in KNOWN["privacy"] if metric.name == "dcr_share")
    assert f"- **{dcr.title}** (`privacy.dcr_share`): 0.502 (0.49 to 0.51); floor 0.5; copy 1. {dcr.meaning}" in text
    assert "`attacks.tpr_at_1`" in text
    assert ": 0.02 (0.01 to 0.03); floor 0.011; copy 0.9." in text
    assert "`attacks.linkability`" in text
    assert ": undefined, too few rows." in text


def test_without_a_guarantee_it_says_so_plainly():
    for text in (page(), page(privacy=None)):
        assert "There is **no differential privacy guarantee**" in text
        assert "distances and failed attacks do not prove privacy" in text


def test_a_guarantee_is_given_in_full():
    text = page(privacy=GUARANTEE)
    assert "The model is (1, 1e-06)-differentially private: epsilon 1, delta 1e-06. A record is one row;" in text
    assert "neighbouring tables: add or remove one row. Accountant: PRV; engine: DP-SGD." in text
    assert "It covers:\n\n- weights\n- bins\n" in text
    assert "It does not cover:\n\n- declared \\<domains\\>\n" in text
    assert "no differential privacy guarantee" not in text
    assert "told by noisy counts that the guarantee covers" in text
    assert "may equal a real value by chance" in text
    assert "None of what is made up is a value of the source." not in text
    assert "No threshold" not in text
    assert "- Rows learnt from: 1,000 (told with noise)" in text


def test_rows_of_the_source_are_not_called_private():
    text = page(exposed="rows of the source come out")
    assert text.splitlines()[2] == "**This dataset is not private: rows of the source come out.**"
    assert "is not the record of a person" not in text


def test_hostile_names_stay_text():
    hostile = "\n# <script>alert(1)</script> [l](javascript:0) \u2028"
    text = page(info=CardInfo("x", hostile, hostile), model=hostile, sources={hostile: "ab"})
    assert not re.search(r"(?<!\\)<script", text)
    assert not re.search(r"(?<!\\)\[l", text)
    assert "\u2028" not in text


def test_the_release_lists_it_and_the_card_links_it(tmp_path):
    rows = from_pandas(pd.DataFrame({"x": [1.5, 2.5] * 30}))
    write_parquet(tmp_path / "rows.parquet", rows)
    out = put_out(tmp_path / "out", tmp_path / "rows.parquet", detect(rows), provenance={"privacy": GUARANTEE})
    assert "  PRIVACY.md\n" in (out / "SHA256SUMS").read_text()
    assert "(1, 1e-06)-differentially private; [PRIVACY.md](PRIVACY.md)" in (out / "README.md").read_text()
