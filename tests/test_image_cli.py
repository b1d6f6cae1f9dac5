"""Pictures by the command: a folder in, Parquet and a report with a contact sheet out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import synth
from digits import levels, write

from synth.storage import read_parquet


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """Folders `train` and `test` of digits, both of all writers, and a model of the first."""
    place = tmp_path_factory.mktemp("pictures")
    test = range(2, len(levels()[1]), 3)
    write(place / "test", test)
    write(place / "train", sorted(set(range(len(levels()[1]))) - set(test)))
    small = ("patch=1", "widths=[32, 48]", "epochs=80", "latents=24", "prior_width=128", "prior_blocks=2")
    settings = [part for setting in small for part in ("--set", setting)]
    done = synth("fit", "train", "--model", "image_vae", "--target", "label", "--out", "model", *settings, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "model: image_vae, 1198 rows, 80 epochs" in done.stdout
    return place


@pytest.mark.timeout(1200)  # it waits for the model, too
def test_pictures_are_drawn_validated_and_measured(desk):
    done = synth("sample", "model", "--rows", 600, "--out", "made", "--shards", 2, cwd=desk)
    assert done.returncode == 0, done.stderr
    made = read_parquet(desk / "made")
    assert made.num_rows == 600
    assert made.column("image")[0].as_py()["path"] == "00000000.png"
    assert len(set(made.column("image").combine_chunks().field("path").to_pylist())) == 600
    done = synth("validate", "made", "--model", "model", "--train", "train", cwd=desk)
    assert done.returncode == 0, done.stderr
    real = ("--train", "train", "--test", "test", "--target", "label")
    done = synth("evaluate", "made", *real, "--out", "figures", cwd=desk)
    assert done.returncode == 0, done.stderr
    figures = json.loads((desk / "figures/metrics.json").read_text())
    assert figures["likeness"]["agreement"]["value"] > 0.7
    assert figures["quality"]["tstr"]["value"] > 0.8
    assert figures["privacy"]["dcr_share"]["value"] < 0.65
    assert "data:image/png;base64," in (desk / "figures/report.html").read_text()


def test_one_label_alone_and_one_that_is_not_there(desk):
    done = synth("sample", "model", "--rows", 20, "--where", "label=7", "--out", "sevens.parquet", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert set(read_parquet(desk / "sevens.parquet").column("label").to_pylist()) == {"7"}
    done = synth("sample", "model", "--rows", 1, "--where", "image=7", "--out", "no.parquet", cwd=desk)
    assert done.returncode == 2
    assert "column 'image' holds the pictures" in done.stderr


def test_a_family_that_learns_pictures_is_taken_where_none_is_named(desk, tmp_path):
    params = tmp_path / "params.yaml"
    done = synth("init", desk / "test", "--target", "label", "--params", params, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "test-image_diffusion" in done.stdout
    before = params.read_bytes()
    done = synth("init", desk / "test", "--name", "two", "--model", "autoregressive", "--params", params, cwd=tmp_path)
    assert done.returncode == 2
    assert "'autoregressive' does not learn data of the modality 'image'; these do: cyclegan, " in done.stderr
    assert params.read_bytes() == before
    done = synth("fit", desk / "test", "--target", "label", "--set", "epochs=1", "--out", "new", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "new: image_diffusion, 599 rows, 1 epochs" in done.stdout


def test_a_broken_picture_is_one_line_and_nothing_is_left(desk, tmp_path):
    whole = next((desk / "test/3").glob("*.png")).read_bytes()
    (tmp_path / "bad/3").mkdir(parents=True)
    (tmp_path / "bad/3/x.png").write_bytes(whole[: len(whole) // 2])
    done = synth("fit", "bad", "--model", "image_vae", "--out", "model", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: column 'image': 3/x.png: a broken picture")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad"]
