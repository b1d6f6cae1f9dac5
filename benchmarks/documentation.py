"""Labelled texts that a Python environment has at hand: paragraphs of the documentation inside installed packages.

`python -m benchmarks.documentation documentation.parquet`: columns package and text; each package's own licence holds.
"""

from __future__ import annotations

import ast
import importlib.util
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import typer

from synth.console import stage
from synth.errors import InputError
from synth.storage import write_parquet
from synth.texts import TEXT

LABEL = "package"
PACKAGES = ("numpy", "pandas", "scipy", "sklearn", "networkx", "sympy", "sqlalchemy", "torch")
PARAGRAPHS = 2000  # of each package
SHORT, LONG = 40, 400  # characters


def main(
    out: Annotated[Path, typer.Argument(help="A Parquet file")],
    packages: Annotated[list[str] | None, typer.Option(help="Installed packages")] = None,
    paragraphs: Annotated[int, typer.Option(help="Of each package at most")] = PARAGRAPHS,
    seed: int = 0,
) -> None:
    """Write the paragraphs, and say how many each package has."""
    table = documentation(packages or PACKAGES, paragraphs, seed)
    write_parquet(out, table)
    for entry in table.column(LABEL).value_counts():
        typer.echo(f"{entry['values']}: {entry['counts']}")


def documentation(packages: list[str] | tuple[str, ...] = PACKAGES, most: int = PARAGRAPHS, seed: int = 0) -> pa.Table:
    """Paragraphs of docstrings that do not name their package, and whose each is; no code of theirs is run."""
    owners: list[str] = []
    texts: list[str] = []
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise InputError(f"{package}: not installed, or a single file")
        parts: set[str] = set()
        for file in sorted(Path(spec.submodule_search_locations[0]).rglob("*.py")):
            if "test" not in str(file).lower():
                parts |= set(_paragraphs(file, package))
        chosen = np.random.default_rng(seed).permutation(sorted(parts))[:most].tolist()
        texts += chosen
        owners += [package] * len(chosen)
    return pa.table({LABEL: owners, TEXT: texts})


def _paragraphs(file: Path, package: str) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, UnicodeDecodeError):
        return []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
    blocks = [" ".join(block.split()) for text in found for block in text.split("\n\n")]
    return [b for b in blocks if SHORT <= len(b) <= LONG and ">>>" not in b and package not in b.lower()]


if __name__ == "__main__":
    stage(main)
