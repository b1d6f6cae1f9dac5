"""The rooms keep to themselves, and importing the package is light and silent."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imports(file: Path) -> set[str]:
    """Names of the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def offenders(folder: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    """`file imports module` for every import under `folder` that begins with a forbidden name."""
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for name in sorted(imports(file))
        if any(name == bad or name.startswith(bad + ".") for bad in forbidden) and not name.startswith(allowed)
    ]


RULES = [
    ("synth/models", ("synth.codecs", "synth.evaluation", "pandas", "pyarrow"), ()),
    ("synth/nets", ("synth.codecs", "synth.evaluation", "synth.models", "pandas", "pyarrow"), ()),
    ("synth", ("dvc", "airflow", "pipelines", "dags"), ()),
    ("dags", ("synth", "pipelines", "torch", "dvc", "great_expectations", "pandas"), ()),
    ("pipelines", ("dags",), ()),
    ("synth/codecs", ("synth.models", "synth.evaluation", "torch"), ()),
    ("synth/evaluation", ("synth.models", "synth.codecs", "synth.training", "torch"), ()),
]


@pytest.mark.parametrize(("folder", "forbidden", "allowed"), RULES, ids=[rule[0] for rule in RULES])
def test_import_rule(folder, forbidden, allowed):
    assert list((ROOT / folder).rglob("*.py"))
    assert offenders(folder, forbidden, allowed) == []


def test_the_rule_sees_an_offender(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from synth.codecs import table\n")
    assert "synth.codecs" in imports(bad)


def test_only_validation_imports_great_expectations():
    found = [
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "synth").rglob("*.py")
        if any(name.split(".")[0] == "great_expectations" for name in imports(file))
    ]
    assert found == ["synth/validation.py"]


def test_nothing_is_pickled_or_executed():
    forbidden = {"pickle", "cloudpickle", "joblib", "dill", "shelve"}
    for file in (ROOT / "synth").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(file)} & forbidden, file
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"eval", "exec"}, file


def test_importing_the_package_is_silent_and_brings_no_torch():
    script = "import sys, synth, synth.cli; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert done.stderr == ""


def test_no_file_is_long():
    folders = ("synth", "pipelines", "dags", "benchmarks", "tests")
    lengths = {
        file: len(file.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
    }
    assert {str(file.relative_to(ROOT)): n for file, n in lengths.items() if n > 500} == {}
