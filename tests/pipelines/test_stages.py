"""Each stage depends on exactly the code that it imports, and on its own keys of params.yaml."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from dvc.repo import Repo

ROOT = Path(__file__).parents[2]


def modules(file: Path) -> set[str]:
    """Dotted names that a file imports, in functions too, and outside `if TYPE_CHECKING`."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            return  # what a package gives on demand is not imported with it
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text(encoding="utf-8")))
    return found


def local_files(module: str) -> set[str]:
    """Files of the repository that importing `module` runs, relative to its root."""
    parts = module.split(".")
    if parts[0] not in ("synth", "pipelines"):
        return set()
    packages = {"/".join([*parts[:i], "__init__.py"]) for i in range(1, len(parts) + 1)}
    return {file for file in {*packages, "/".join(parts) + ".py"} if (ROOT / file).is_file()}


def reached(entry: str) -> set[str]:
    """All local files that a stage's entry point imports, directly or not."""
    seen: set[str] = set()
    todo = {entry, "pipelines/__init__.py"}
    while todo:
        file = todo.pop()
        seen.add(file)
        todo |= {found for module in modules(ROOT / file) for found in local_files(module)} - seen
    return seen


def covered(file: str, deps: set[str]) -> bool:
    """Whether a dependency is the file or a folder above it."""
    return any(file == dep or file.startswith(dep + "/") for dep in deps)


STAGES = ["prepare", "train", "sample", "validate", "evaluate", "lift", "report", "release"]


@pytest.fixture(scope="module")
def stages():
    """DVC's own stages by name, for the first run or dataset of each."""
    with Repo(str(ROOT)) as repo:
        found = {stage.addressing.split("@")[0]: stage for stage in reversed(list(repo.index.stages)) if stage.cmd}
        return {
            name: {
                "deps": {Path(str(dep)).as_posix() for dep in stage.deps if not hasattr(dep, "params")},
                "params": {key for dep in stage.deps if hasattr(dep, "params") for key in dep.params},
                "name": stage.addressing,
            }
            for name, stage in found.items()
        }


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_all_the_code_that_it_imports(stages, name):
    deps = stages[name]["deps"]
    missing = sorted(file for file in reached(f"pipelines/{name}.py") if not covered(file, deps))
    assert missing == [], f"add them to deps of {name} in dvc.yaml"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_no_code_that_it_does_not_import(stages, name):
    files = reached(f"pipelines/{name}.py")
    dynamic = ("synth/models/", "synth/nets", "synth/codecs/columns", "synth/templates")
    idle = [
        dep
        for dep in stages[name]["deps"]
        if dep.startswith(("synth", "pipelines"))
        and not dep.startswith(dynamic)
        and not any(file == dep or file.startswith(dep + "/") for file in files)
    ]
    assert idle == []


def test_only_the_runs_own_family_is_a_dependency(stages):
    for name in ("train", "sample"):
        models = {dep for dep in stages[name]["deps"] if dep.startswith("synth/models")}
        assert models == {"synth/models/__init__.py", "synth/models/base.py", "synth/models/autoregressive.py"}
        assert "synth/nets" in stages[name]["deps"]
        assert "synth/codecs/columns" in stages[name]["deps"] or "synth/codecs" in stages[name]["deps"]
    for name in set(STAGES) - {"train", "sample"}:
        assert not {dep for dep in stages[name]["deps"] if dep.startswith("synth/models")}


def test_a_stage_follows_its_own_parameters_only(stages):
    assert stages["train"]["params"] == {"seed", "runs.adult-autoregressive", "models.autoregressive"}
    assert stages["sample"]["params"] == {"seed", "sample"}
    assert stages["prepare"]["params"] == {"seed", "datasets.adult"}
    assert "gate" not in stages["train"]["params"] | stages["evaluate"]["params"] | stages["lift"]["params"]


def test_the_walk_follows_imports_inside_functions_and_not_those_for_types(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import synth.cli\n\n"
        "def f():\n    from synth.storage import sha256\n"
    )
    assert {"synth.storage", "synth.storage.sha256"} <= modules(file)
    assert "synth.cli" not in modules(file)
    assert local_files("synth.storage") == {"synth/__init__.py", "synth/storage.py"}
