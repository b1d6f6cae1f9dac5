"""The release folder: what is in it, what it says, how it is checked, and that a refusal leaves nothing."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from releases import INFO, METRICS, PASSED, REFUSED, VALIDATION, people_with_mail, put_out
from ruamel.yaml import YAML

from synth.card import CardInfo, card
from synth.detection import detect
from synth.errors import CheckFailed, InputError
from synth.frames import from_pandas
from synth.gate import Verdict
from synth.release import provenance, verify
from synth.schema import Schema
from synth.storage import parquet_files, read_json, read_parquet, write_parquet

HOSTILE = "\n---\nlicense: mit\n---\n# <script>alert('x')</script> | a`b` {{x}} : - \u2028 [l](javascript:0) \x07 & *s*"


@pytest.fixture(scope="module")
def schema() -> Schema:
    """Schema of 100 rows with an identifier of text."""
    return detect(from_pandas(people_with_mail(100)), target="churned")


@pytest.fixture
def samples(tmp_path) -> Path:
    """Two parts of synthetic rows."""
    place = tmp_path / "samples"
    place.mkdir()
    for part in range(2):
        write_parquet(place / f"part-{part:05d}-of-00002.parquet", from_pandas(people_with_mail(30, part + 1)))
    return place


@pytest.fixture
def released(tmp_path, samples, schema) -> Path:
    """A release with a report."""
    (tmp_path / "r.html").write_text("<html></html>")
    return put_out(tmp_path / "release" / "people", samples, schema, report=tmp_path / "r.html")


def front_matter(text: str) -> dict:
    """The YAML between the first two lines of three dashes."""
    opening, front, _ = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    assert opening == ""
    return YAML(typ="safe", pure=True).load(front)


def test_it_holds_data_schema_card_provenance_report_and_checksums(released, samples, schema):
    names = {file.relative_to(released).as_posix() for file in released.rglob("*") if file.is_file()}
    parts = {f"data/part-{part:05d}-of-00002.parquet" for part in range(2)}
    texts = {"README.md", "PRIVACY.md", "schema.json", "provenance.json", "croissant.json", "report.html", "SHA256SUMS"}
    assert names == parts | texts
    assert read_parquet(released / "data").equals(read_parquet(samples))
    assert Schema.load(released / "schema.json") == schema
    verify(released)


def test_checksums_are_those_of_sha256sum(released):
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=released, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == sum(file.is_file() for file in released.rglob("*")) - 1


def test_a_single_file_becomes_one_part(tmp_path, samples, schema):
    out = put_out(tmp_path / "out", parquet_files(samples)[0], schema)
    assert [file.name for file in (out / "data").iterdir()] == ["part-00000-of-00001.parquet"]
    verify(out)


def test_the_same_inputs_give_the_same_bytes(tmp_path, samples, schema):
    sums = [(put_out(tmp_path / name, samples, schema) / "SHA256SUMS").read_text() for name in "ab"]
    assert sums[0] == sums[1]


def change_a_byte(place: Path) -> None:
    part = place / "data/part-00001-of-00002.parquet"
    raw = bytearray(part.read_bytes())
    raw[len(raw) // 2] ^= 1
    part.write_bytes(bytes(raw))


def remove_a_part(place: Path) -> None:
    (place / "data/part-00001-of-00002.parquet").unlink()


def add_a_part(place: Path) -> None:
    (place / "data/part-00002-of-00002.parquet").write_bytes(b"")


def add_a_hidden_file(place: Path) -> None:
    (place / ".extra").write_text("")


def link_elsewhere(place: Path) -> None:
    (place / "link").symlink_to(place / "data", target_is_directory=True)


def break_a_link(place: Path) -> None:
    (place / "README.md").unlink()
    (place / "README.md").symlink_to(place / "nowhere")


def garble_the_sums(place: Path) -> None:
    (place / "SHA256SUMS").write_text("README.md\n")


def leave_a_line_out(place: Path) -> None:
    sums = place / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "README" not in line))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (change_a_byte, "data/part-00001-of-00002.parquet was changed"),
        (remove_a_part, "data/part-00001-of-00002.parquet is missing"),
        (add_a_part, "data/part-00002-of-00002.parquet is not listed"),
        (add_a_hidden_file, ".extra is not listed"),
        (link_elsewhere, "link is a link"),
        (break_a_link, "README.md is a link"),
        (garble_the_sums, "line 1 of SHA256SUMS is no checksum"),
        (leave_a_line_out, "README.md is not listed"),
    ],
)
def test_verify_names_what_is_wrong(released, harm, message):
    harm(released)
    with pytest.raises(CheckFailed, match=re.escape(message)):
        verify(released)


def test_verify_refuses_what_is_no_release(tmp_path):
    with pytest.raises(InputError, match="no release folder"):
        verify(tmp_path)
    with pytest.raises(InputError, match="no release folder"):
        verify(tmp_path / "nowhere")


def test_a_refusal_says_why_and_removes_the_former_release(released, samples, schema):
    with pytest.raises(CheckFailed, match=r"^not released: quality\.c2st_auc is 0\.9, must be at most 0\.65$"):
        put_out(released, samples, schema, verdict=REFUSED)
    assert list(released.parent.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"no parquet"])
def test_broken_samples_leave_nothing_half_written(tmp_path, schema, content):
    bad = tmp_path / "bad.parquet"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(InputError):
        put_out(tmp_path / "release" / "out", bad, schema)
    assert list((tmp_path / "release").iterdir()) == []


@pytest.mark.parametrize("passed", [True, False])
def test_a_folder_with_something_else_in_it_is_neither_replaced_nor_removed(tmp_path, samples, schema, passed):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="mine: holds something else than a release"):
        put_out(out, samples, schema, verdict=PASSED if passed else REFUSED)
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]


def test_what_was_added_to_a_release_is_not_lost_with_it(released, samples, schema):
    (released / "signing.pem").write_text("a key that lies in the wrong place")
    with pytest.raises(InputError, match=r"people: holds signing\.pem, which is no part of the release there"):
        put_out(released, samples, schema)
    assert (released / "signing.pem").is_file()
    (released / "signing.pem").unlink()
    put_out(released, samples, schema)
    verify(released)


def test_a_release_under_a_promise_has_no_report_and_no_digest_of_the_source(tmp_path, samples, schema):
    (tmp_path / "r.html").write_text("<html></html>")
    facts = provenance(sources={"people.csv": "ab" * 32}, seed=7, privacy={"epsilon": 1.0, "delta": 1e-6})
    released = put_out(tmp_path / "people", samples, schema, report=tmp_path / "r.html", provenance=facts)
    assert not (released / "report.html").exists()
    for name in ("README.md", "PRIVACY.md", "provenance.json", "croissant.json"):
        assert "ab" * 32 not in (released / name).read_text()
    verify(released)


def test_broken_samples_leave_the_former_release(released, tmp_path, schema):
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"bad\.parquet: not a Parquet file"):
        put_out(released, tmp_path / "bad.parquet", schema)
    verify(released)


def test_provenance_says_where_from_and_names_no_place(released):
    facts = read_json(released / "provenance.json")
    assert facts["synthetic"] is True
    assert facts["rows"] == 60
    assert facts["sources"] == {"people.csv": "ab" * 32}
    assert (facts["seed"], facts["model"], facts["params"]) == (7, "autoregressive", {"epochs": 2})
    assert {"python", "synth", "torch", "pyarrow"} <= facts["versions"].keys()
    assert re.fullmatch("[0-9a-f]{40}", facts["git"]["revision"])
    assert facts["verdict"]["passed"] is True
    for file in (released / "provenance.json", released / "README.md"):
        assert str(Path.cwd()) not in file.read_text()
        assert str(Path.home()) + "/" not in file.read_text()


def test_provenance_outside_a_repository_has_no_revision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert provenance(sources={}, seed=0)["git"] is None


def test_no_identifier_of_the_source_is_released(released):
    text = b"".join(file.read_bytes() for file in released.rglob("*") if file.is_file())
    real = people_with_mail(100)["mail"]
    assert not [value for value in real if value.encode() in text]


def test_the_front_matter_says_licence_citation_size_and_files(released):
    front = front_matter((released / "README.md").read_text())
    assert front["license"] == "cc-by-4.0"
    assert front["citation"] == "Doe, J. (2020): People."
    assert front["pretty_name"] == "People of three towns (synthetic)"
    assert front["size_categories"] == ["n<1K"]
    assert front["task_categories"] == ["tabular-classification"]
    assert "synthetic" in front["tags"]
    pattern = front["configs"][0]["data_files"][0]["path"]
    assert sorted(released.glob(pattern)) == parquet_files(released / "data")


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC0-1.0", {"license": "cc0-1.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("unknown", {"license": "unknown"}),
        ("House rules: ask", {"license": "other", "license_name": "House rules: ask"}),
        ("no", {"license": "other", "license_name": "no"}),
    ],
)
def test_licences_have_the_names_that_hubs_know(schema, licence, expected):
    front = front_matter(write_card(schema, CardInfo("x", "X", licence)))
    assert {key: value for key, value in front.items() if key.startswith("license")} == expected


@pytest.mark.parametrize(
    ("rows", "size"),
    [(1, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (10**6, "1M<n<10M"), (10**12, "n>1T")],
)
def test_size_categories(schema, rows, size):
    assert front_matter(write_card(schema, INFO, rows=rows))["size_categories"] == [size]


def write_card(schema: Schema, info: CardInfo, rows: int = 60, **changes) -> str:
    """The text of a card."""
    given = {"metrics": METRICS, "lift": None, "validation": VALIDATION, "verdict": PASSED, "provenance": {}}
    return card(info, schema, rows, **{**given, **changes})


def test_the_card_says_of_how_many_rows_it_learnt(schema):
    text = write_card(schema, INFO, provenance={"source_rows": 7000})
    assert f"- Fitted on {schema.rows} training rows of 7,000, drawn at random; other real rows" in text
    assert f"- Fitted on {schema.rows} training rows; other real rows" in write_card(schema, INFO)


def test_the_card_says_what_how_figures_privacy_and_limits(released):
    text = (released / "README.md").read_text()
    for heading in ("Source", "How it was made", "Columns", "Measurements", "Validation and gate", "Privacy", "Limits"):
        assert f"\n## {heading}\n" in text
    assert "60 synthetic rows with 8 columns" in text
    assert "- Citation: Doe, J. (2020): People." in text
    assert f"- File people.csv: sha256 `{'ab' * 32}`" in text
    assert "- Model: autoregressive" in text
    assert "| 0.5 | 0.51 (0.5 to 0.52) | 0.5 | 0.99 | 0.5 |" in text
    assert re.search(r"\| attacks\.membership_auc \| .+ \| 0\.5 \| 0\.51 \(0\.5 to 0\.52\) \| 0\.5 \|", text)
    assert "| higher | undefined | undefined | undefined | undefined |" in text
    assert "Lift: No lift was found." in text
    assert "checked 2 expectations from the training schema; 1 are met" in text
    assert "- column 'age': KL divergence" in text
    assert "- quality.c2st_auc: at most 0.65 (found 0.51)" in text
    assert "50.2% of the synthetic rows lie nearer to a training row" in text
    assert "no differential privacy is claimed" in text


def test_hostile_names_break_neither_front_matter_nor_table():
    table = pa.table({HOSTILE: pa.array(["a", "b"] * 30), "": pa.array(range(60)), "é 👍 " * 50: pa.array([1.5] * 60)})
    schema = detect(table)
    info = CardInfo(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    text = write_card(schema, info, lift={"conclusion": HOSTILE}, validation={**VALIDATION, "warnings": [HOSTILE]})
    front = front_matter(text)
    assert front["license"] == "other"
    assert "<script>" in front["pretty_name"]  # as a value of its own, not as structure
    body = text.split("\n---\n", 1)[1]
    assert "\n---\n" not in body
    assert "\nlicense" not in body
    assert not re.search(r"(?<!\\)<script", body)
    assert not re.search(r"(?<!\\)\[l", body)
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows[:5]} == {6}
    assert len(rows) == 5 + 2 + 4
    assert "\u2028" not in text
    assert "\x07" not in text


def test_a_wide_table_is_listed_in_part():
    schema = detect(pa.table({f"c{i}": [1.5, 2.5] for i in range(500)}))
    text = write_card(schema, INFO)
    assert "and 300 more, see `schema.json`" in text
    assert len(text) < 30_000


def test_a_verdict_is_written_as_it_was_given(released):
    assert Verdict.from_dict(json.loads((released / "provenance.json").read_text())["verdict"]) == PASSED
