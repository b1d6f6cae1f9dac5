"""The benchmark keeps what is finished, records what fails, and says what the figures say."""

from __future__ import annotations

import csv
import resource
import sys
from xml.etree import ElementTree

import pytest

from benchmarks import board, cells, peers, processes, tables
from benchmarks.cells import FLOOR, Bench, Cell, Dataset
from synth.errors import InputError
from synth.storage import read_json, write_json

# A scorer of our own: the mean of the synthetic rows stands for every figure.
SPLIT = """
import pathlib, sys
name, source, target, out = sys.argv[1:5]
lines = pathlib.Path(source).read_text().splitlines()
folder = pathlib.Path(out, name)
folder.mkdir(parents=True, exist_ok=True)
for part, rows in (("train", lines[1:-2]), ("test", lines[-2:])):
    (folder / f"{part}.csv").write_text("\\n".join([lines[0], *rows]) + "\\n")
"""
EVALUATE = """
import json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
rows = open(given["--synthetic"]).read().splitlines()[1:]
print(json.dumps({"shape_error": sum(float(row.split(",")[0]) for row in rows) / len(rows), "trtr": 0.9}))
"""
RUNNER = """
import json, shutil, sys
folder, out = sys.argv[-2:]
shutil.copy(folder + "/train.csv", out)
print(json.dumps({"fit_s": 1.0, "fit_cpu_s": 2.0, "sample_s": 0.5, "rows": 100}))
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A scorer folder with small scripts, and peers that run in this environment."""
    scorers = tmp_path / "bench"
    scorers.mkdir()
    for name, text in {"split.py": SPLIT, "evaluate.py": EVALUATE, "peers_argn.py": RUNNER}.items():
        (scorers / name).write_text(text)
    (scorers / "peers_sdv.py").write_text("import sys\nsys.exit('no convergence')\n")
    monkeypatch.setattr(cells, "python_of", lambda *_: sys.executable)
    monkeypatch.setattr(cells, "versions_of", lambda name, _: {name: "1.0"})
    return Bench(scorers, tmp_path / "work")


@pytest.fixture
def dataset(tmp_path):
    """Twenty rows of one number and a target."""
    source = tmp_path / "toy.csv"
    source.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(22)))
    return Dataset("toy", source, "y")


def run(bench, dataset, systems, again=False):
    seen = []
    done = cells.results([Cell(bench, dataset, system, 0) for system in systems], again, seen.append)
    return done, len(seen)


def test_a_finished_cell_is_kept_until_it_is_asked_for_again_or_the_data_change(bench, dataset):
    systems = [FLOOR, "TabularARGN"]
    first, ran = run(bench, dataset, systems)
    assert ran == 2
    assert run(bench, dataset, systems) == (first, 0)
    assert run(bench, dataset, systems, again=True)[1] == 2
    dataset.source.write_text(dataset.source.read_text().replace("21,", "99,").replace("0,0", "7,0"))
    assert run(bench, dataset, systems)[1] == 2


def test_an_interrupted_cell_is_run_again(bench, dataset):
    (done,), _ = run(bench, dataset, ["TabularARGN"])
    path = Cell(bench, dataset, "TabularARGN", 0).path
    assert read_json(path) == done
    path.write_text('{"train_sha')
    (anew,), ran = run(bench, dataset, ["TabularARGN"])
    assert (anew["scores"], ran) == (done["scores"], 1)
    assert read_json(path) == anew


def test_a_failure_is_a_result(bench, dataset):
    (failed, done), ran = run(bench, dataset, ["CTGAN", "TabularARGN"])
    assert ran == 2
    assert (failed["status"], failed["error"]) == ("failed", "exit 1: no convergence")
    assert done["status"] == "done"
    assert "- toy, CTGAN, seed 0: failed (exit 1: no convergence)" in board.markdown([failed, done])
    assert run(bench, dataset, ["CTGAN"])[1] == 0


def test_the_floor_is_one_half_scored_against_the_other(bench, dataset):
    (floor,), _ = run(bench, dataset, [FLOOR])
    halves = [
        set((bench.work / "rows" / f"toy-real_rows-0{end}").read_text().split()[1:]) for end in (".csv", ".train.csv")
    ]
    assert [len(half) for half in halves] == [10, 10]
    assert not halves[0] & halves[1]
    assert floor["costs"] == {}


def test_a_family_is_fitted_and_sampled_by_the_commands(bench, dataset):
    (done,), _ = run(bench, dataset, ["autoregressive:epochs=1,width=8"])
    assert done["status"] == "done", done
    assert done["costs"]["fit_cpu_s"] > 0.1
    assert done["costs"]["memory_mb"] > 50
    assert 0 <= done["scores"]["shape_error"] <= 20


def test_what_a_process_costs_is_measured(tmp_path):
    busy = "import time; b = b'x' * 200_000_000\nwhile time.process_time() < .3: pass\nprint('{}')"
    spent = processes.spend([sys.executable, "-c", busy], tmp_path / "log")
    assert 0.3 <= spent.cpu_seconds < 3
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * processes.PEAK_UNIT / 2**20
    assert 200 < spent.memory_mb < 2000 + own  # a fork counts what its parent had
    assert spent.answer() == {}
    with pytest.raises(processes.ProcessFailed, match="exit 3: why"):
        processes.spend([sys.executable, "-c", "import sys; sys.stderr.write('why\\n'); sys.exit(3)"], tmp_path / "log")


def test_an_environment_is_installed_once(tmp_path, monkeypatch):
    asked = []

    def spend(command, log):
        asked.append([str(part) for part in command])
        return processes.Spent(1, 1, 1, '{"sdv": "2.0.0", "other": "1"}')

    monkeypatch.setattr(peers, "spend", spend)
    python = peers.python_of("sdv", tmp_path)
    assert len(asked) == 3
    assert asked[1][-2:] == ["torch==2.13.0", "sdv==2.0.0"]
    assert peers.versions_of("sdv", tmp_path) == {"sdv": "2.0.0"}
    assert peers.python_of("sdv", tmp_path) == python
    assert len(asked) == 3
    write_json(tmp_path / "sdv" / peers.READY, {"digest": "another", "versions": {}})
    peers.python_of("sdv", tmp_path)
    assert len(asked) == 6


@pytest.mark.parametrize("text", ["adult", "a=b", "a=missing.csv:y", "=x.csv:y"])
def test_data_that_cannot_be_used_is_refused(text):
    with pytest.raises(InputError, match="--data"):
        Dataset.parse(text)


def test_data_names_a_file_a_target_and_a_task(dataset):
    assert Dataset.parse(f"toy={dataset.source}:y") == dataset
    assert Dataset.parse(f"toy={dataset.source}:y:regression").task == "regression"


def test_a_missing_scorer_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"--bench .*: evaluate.py is not there"):
        Bench(tmp_path, tmp_path).script("evaluate.py")


def test_systems_are_chosen_by_name():
    assert tables.select(None, ["flow"]) == [FLOOR, "flow", *peers.PEERS]
    assert tables.select(["flow:width=8", "CTGAN"], ["flow"]) == ["flow:width=8", "CTGAN"]
    with pytest.raises(InputError, match="'GAN' is unknown; there are: real rows, flow, GaussianCopula"):
        tables.select(["GAN"], ["flow"])


def result(system, seed, auc, cpu=None, **scores):
    costs = {} if cpu is None else {"fit_cpu_s": cpu, "rows_per_s": 1000}
    scores = {"c2st_auc": auc, "shape_error": 0.01, "trend_error": 0.02, "tstr": 0.9, "trtr": 0.92, **scores}
    return {
        "dataset": "toy",
        "system": system,
        "seed": seed,
        "status": "done",
        "scores": scores,
        "costs": costs,
        "versions": {"torch": f"2.{seed}"},
    }


RESULTS = [
    result(FLOOR, 0, 0.5, shape_error=0.012, trend_error=0.01),
    result("flow", 0, 0.52, cpu=20),
    result("flow", 1, 0.54, cpu=30),
    result("TabularARGN", 0, 0.47, cpu=100, tstr=0.91),
]


def test_the_table_has_means_and_says_who_is_ahead():
    text = board.markdown(RESULTS)
    line = next(line for line in text.splitlines() if "| flow |" in line)
    assert "| 0, 1 |" in line
    assert "| 0.530 (0.520–0.540) |" in line
    assert "| 25.0 (20.0–30.0) |" in line
    said = next(line for line in text.splitlines() if line.startswith("- flow on toy"))
    assert "at or below the real-rows floor in shape error;" in said
    assert "above the floor in trend error (0.0200 against 0.0100)" in said
    assert "ahead of every peer in shape error, trend error, two-sample AUC" in said
    assert "behind TabularARGN in TSTR (0.9100)" in said
    assert "0.25 of TabularARGN's CPU-seconds" in said
    assert "- flow: torch 2.0 and 2.1" in text


def test_the_csv_has_every_seed_and_the_mean():
    lines = list(csv.DictReader(board.table_csv(RESULTS).splitlines()))
    flow = {line["seed"]: line["c2st_auc"] for line in lines if line["system"] == "flow"}
    assert flow == {"0": "0.52", "1": "0.54", "mean": "0.53"}


def test_the_picture_has_a_dot_for_each_seed():
    drawn = ElementTree.fromstring(tables.picture(board.rows_of(RESULTS)))
    dots = drawn.iter("{http://www.w3.org/2000/svg}circle")
    # 4 quality panels and the costs that are there: 2 seeds of flow, 1 of the peer
    assert len(list(dots)) == (4 + 2) * 3
