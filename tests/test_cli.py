"""The `synth` command on a user's own files: what it does, what it says, what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import synth, write_keys
from tables import people

from synth.config import load_params
from synth.description import read_fitted
from synth.sources import read_table
from synth.storage import parquet_files, read_parquet, write_parquet


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with train.csv, test.csv and a model fitted by the command."""
    place = tmp_path_factory.mktemp("desk")
    people(500).to_csv(place / "train.csv", index=False)
    people(200, seed=1).to_csv(place / "test.csv", index=False)
    done = synth(
        "fit", "train.csv", "--out", "model", "--target", "churned", "--set", "epochs=4", "--set", "width=16", cwd=place
    )
    assert done.returncode == 0, done.stderr
    assert "model: autoregressive, 500 rows, 4 epochs" in done.stdout
    return place


def test_fit_leaves_a_model_and_nothing_else(desk):
    assert {p.name for p in desk.iterdir() if p.name.startswith((".", "model"))} == {"model"}


def test_fit_reads_parquet_from_its_files_and_learns_from_some_rows(desk, tmp_path):
    write_parquet(tmp_path / "train.parquet", read_table(desk / "train.csv"))
    options = ("--out", "few", "--target", "churned", "--max-rows", 300, "--set", "epochs=1", "--set", "width=4")
    done = synth("fit", "train.parquet", *options, cwd=tmp_path)
    assert "few: autoregressive, 300 of 500 rows, 1 epochs" in done.stdout, done.stderr
    model = json.loads((tmp_path / "few/synthesizer.json").read_text())
    assert (model["max_rows"], model["source_rows"], model["schema"]["rows"]) == (300, 500, 300)
    fitted = read_fitted(tmp_path / "few")
    assert (fitted.model, fitted.source_rows, fitted.schema.rows) == ("autoregressive", 500, 300)


def test_a_family_without_steps_is_fitted_and_sampled(desk):
    options = ("--model", "baseline", "--set", "kind=bootstrap", "--out", "again", "--target", "churned")
    done = synth("fit", "train.csv", *options, cwd=desk)
    assert "again: baseline, 500 rows, 0 epochs, stopped by finished" in done.stdout, done.stderr
    assert "bootstrap keeps 500 rows of the source in the model file" in done.stderr
    done = synth("sample", "again", "--rows", 100, "--out", "again.parquet", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert read_parquet(desk / "again.parquet").num_rows == 100


def test_sample_to_a_file_to_parts_and_by_shard(desk):
    assert synth("sample", "model", "--rows", 9000, "--out", "s.parquet", cwd=desk).returncode == 0
    assert synth("sample", "model", "--rows", 9000, "--out", "parts", "--shards", 2, cwd=desk).returncode == 0
    for shard in ("0/2", "1/2"):
        done = synth("sample", "model", "--rows", 9000, "--out", "workers", "--shard", shard, cwd=desk)
        assert done.returncode == 0, done.stderr
    tables = [read_parquet(desk / name) for name in ("s.parquet", "parts", "workers")]
    assert tables[0].num_rows == 9000
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert len(parquet_files(desk / "parts")) == 2


def test_conditions_gaps_and_scores(desk):
    asked = ("--where", "churned=yes", "--where", "age=30..50", "--balance", "city")
    done = synth("sample", "model", "--rows", 60, "--out", "asked.parquet", *asked, cwd=desk)
    assert done.returncode == 0, done.stderr
    rows = read_parquet(desk / "asked.parquet").to_pandas()
    assert (rows["churned"] == "yes").all()
    assert rows["age"].between(30, 50).all()
    assert rows["city"].value_counts().max() - rows["city"].value_counts().min() <= 1
    done = synth("sample", "model", "--rows", 1, "--out", "no.parquet", "--where", "city=Atlantis", cwd=desk)
    assert done.returncode == 2
    assert "where: 'city': 'Atlantis' is not among its values; there are:" in done.stderr
    assert not (desk / "no.parquet").exists()

    frame = people(50, seed=2)
    frame.loc[frame.index[:20], "city"] = None
    frame.to_csv(desk / "holes.csv", index=False)
    assert synth("impute", "holes.csv", "--model", "model", "--out", "filled.parquet", cwd=desk).returncode == 0
    assert read_parquet(desk / "filled.parquet").column("city").null_count == 0
    assert synth("score", "test.csv", "--model", "model", "--out", "scored.parquet", cwd=desk).returncode == 0
    assert read_parquet(desk / "scored.parquet").to_pandas()["log_prob"].lt(0).all()


def test_validate_evaluate_release_and_verify(desk):
    assert synth("sample", "model", "--rows", 500, "--out", "small", cwd=desk).returncode == 0
    done = synth("validate", "small", "--model", "model", "--out", "v.json", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert json.loads((desk / "v.json").read_text())["success"]
    real = ("--train", "train.csv", "--test", "test.csv")
    made = ("--model", "model", *real)
    done = synth("evaluate", "small", *real, "--target", "churned", "--out", "figures", cwd=desk)
    assert done.returncode == 0, done.stderr
    figures = json.loads((desk / "figures/metrics.json").read_text())
    assert 0 <= figures["quality"]["shape_error"]["value"] < 0.3
    assert "<html" in (desk / "figures/report.html").read_text()[:500]
    loose = desk / "params.yaml"
    loose.write_text("datasets: {}\nruns: {}\ngate: {quality.shape_error: {max: 0.5}}\n")
    write_keys(desk, "key")
    signed = ("--sign", "key.pem")
    done = synth("release", "small", *made, "--params", "params.yaml", "--out", "release", *signed, cwd=desk)
    assert done.returncode == 0, done.stderr
    released = json.loads((desk / "release/schema.json").read_text())
    assert released == json.loads((desk / "model/synthesizer.json").read_text())["schema"]
    assert "- Model: autoregressive\n- Fitted on 500 training rows;" in (desk / "release/README.md").read_text()
    assert synth("verify", "release", "--key", "key.pub", cwd=desk).returncode == 0
    part = next((desk / "release/data").glob("*.parquet"))
    raw = bytearray(part.read_bytes())
    raw[100] ^= 1
    part.write_bytes(bytes(raw))
    done = synth("verify", "release", cwd=desk)
    assert done.returncode == 1
    assert part.name in done.stderr
    loose.write_text("datasets: {}\nruns: {}\ngate: {quality.shape_error: {max: 0.00001}}\n")
    done = synth("release", "small", *made, "--params", "params.yaml", "--out", "release", cwd=desk)
    assert done.returncode == 1
    assert "quality.shape_error" in done.stderr
    assert not (desk / "release").exists()


def test_init_adds_a_run_and_keeps_the_comments(desk, tmp_path):
    (tmp_path / "params.yaml").write_text("# mine\nseed: 7 # lucky\ndatasets: {}\nmodels: {}\nruns: {}\n")
    done = synth("init", desk / "train.csv", "--target", "churned", "--name", "customers", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "params.yaml").read_text()
    assert "# mine" in text
    assert "# lucky" in text
    params = load_params(tmp_path / "params.yaml")
    assert params.datasets["customers"].target == "churned"
    assert params.runs["customers-autoregressive"].model == "autoregressive"
    done = synth("init", desk / "train.csv", "--name", "customers", cwd=tmp_path)
    assert done.returncode == 2
    assert "has 'customers' already" in done.stderr
    assert (tmp_path / "params.yaml").read_text() == text


def test_models_are_listed(desk):
    done = synth("models", cwd=desk)
    assert "autoregressive (table): " in done.stdout


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", (), "x.csv: the file is empty"),
        (b"\x00\x01\x02", (), "x.csv: binary content"),
        (b"a,b\n1,2\n3\n", (), "x.csv: line 3 has 1 fields where 2 are expected"),
        (b"a,b\n1,2\n3,4\n", ("--target", "c"), "target 'c'"),
        (b"a,b\n1,2\n3,4\n", ("--model", "gin"), "model 'gin' is unknown"),
        (b"a,b\n1,2\n3,4\n", ("--set", "epoch=1"), "unknown key 'epoch'"),
        (b"a,b\n1,2\n3,4\n", ("--set", "epochs"), "--set: expected key=value, found 'epochs'"),
        (b"a,b\n1,2\ninf,4\n", (), "column 'a'"),
        (b"a,b\n1,2\n3,4\n", ("--set", "epochs=[1"), "--set epochs: '[1' is no value"),
        (b"a,b\n1,2\n3,4\n", ("--set", "seed=1"), "--set seed: not a hyper-parameter"),
        (
            b"a,b\n1,2\n3,4\n",
            ("--set", "privacy=1"),
            "--set privacy: not a hyper-parameter; there is an option --epsilon",
        ),
        (b"a,b\n1,2\n3,4\n", ("--set", "self=1"), "unknown key 'self'"),
        (b"a,b\n1,2\n3,4\n", ("--out", "."), ".: holds 'x.csv', which is not replaced"),
        (b"a,b\n1,2\n3,4\n", ("--out", "x.csv/m"), "x.csv"),
        (None, (), "x.csv: no such file"),
    ],
)
def test_unusable_input_is_one_line_and_exit_2(tmp_path, content, arguments, message):
    if content is not None:
        (tmp_path / "x.csv").write_bytes(content)
    before = sorted(tmp_path.iterdir())
    done = synth("fit", "x.csv", "--out", "m", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert message in lines[-1]
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "model", "--rows", "5", "--out", "o", "--shard", "2/2"), "--shard: expected I/N"),
        (("sample", "nothing", "--rows", "5", "--out", "o"), "nothing: no model directory"),
        (("sample", "model", "--rows", "0", "--out", "o"), "--rows"),
        (("validate", "train.csv", "--model", "nothing"), "nothing: no model directory"),
        (("sample", "model", "--rows", "9", "--out", "o.parquet", "--shards", "2"), "a single file 'o.parquet' cannot"),
        (("sample", "model", "--rows", "9", "--out", "."), "which is not replaced"),
        (("sample", "model", "--rows", "9", "--out", "parts", "--shard", "0/3"), "which is not replaced"),
        (("sample", "model", "--rows", "9", "--seed", "9" * 30, "--out", "o"), "--seed"),
        (("validate", "parts", "--model", "model", "--docs", "."), "which is not replaced"),
        (("init", "postgresql://me:hunter2@localhost/db", "--table", "t"), "postgresql://localhost/db"),
        (("verify", "model"), "model"),
        (("evaluate", "model", "--train", "train.csv", "--test", "test.csv", "--out", "o"), "model"),
        (("dance",), "dance"),
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(desk, arguments, message):
    done = synth(*arguments, cwd=desk)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    assert not (desk / "o").exists()
    assert not (desk / "o.parquet").exists()
    assert (desk / "train.csv").is_file()


@pytest.mark.parametrize(
    "command",
    [
        "fit none.csv --out taken.csv",
        "fit none.csv --out taken.csv/model",
        "fit none.csv --out full",
        "sample none --rows 5 --out full",
        "sample none --rows 5 --shard 0/2 --out full",
        "sample none --rows 5 --out folder.parquet",
        "impute none.csv --model none --out full",
        "score none.csv --model none --out full",
        "validate none.parquet --model none --out full",
        "evaluate none.parquet --train none.csv --test none.csv --out taken.csv",
        "release none.parquet --model none --train none.csv --test none.csv --out full",
        "release none.parquet --model none --train none.csv --test none.csv --out taken.csv/release",
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(command, tmp_path):
    (tmp_path / "taken.csv").write_text("mine")
    for name in ("full", "folder.parquet"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("mine")
    before = sorted(map(str, tmp_path.rglob("*")))
    done = synth(*command.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {command.split('--out ')[1]}"), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_the_help_of_where_shows_its_lists():
    done = synth("sample", "--help", cwd=Path.cwd())
    assert "[a, b]" in " ".join(done.stdout.split())
