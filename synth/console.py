"""How commands and stages meet a terminal: logging, progress, and errors as one line with an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from synth.errors import SynthError

log = logging.getLogger(__name__)
stderr = Console(stderr=True)
PathOption = Annotated[Path, typer.Option()]


def application(help: str | None = None) -> typer.Typer:  # noqa: A002 - typer's own word
    """An empty command line with the project's habits."""
    return typer.Typer(help=help, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def run(app: typer.Typer) -> None:
    """Run a command line: exit 0 when done, 1 when a check said no, 2 for wrong usage or unusable input."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("great_expectations", "great_expectations.data_context.types.base", "fsspec"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        app()
    except SynthError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}", 2)
    except ModuleNotFoundError as error:
        _fail(f"package {error.name!r} is not installed; install synth with its extras: pip install 'synth[all]'", 2)


def stage(function: Callable[..., None]) -> None:
    """Run one function as a command: its parameters are the arguments and options."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    run(app)


def _fail(message: str, code: int) -> None:
    sys.stderr.write("error: " + " ".join(message.split("\n")) + "\n")
    raise SystemExit(code)


@contextmanager
def progress(title: str, total: float) -> Iterator[Callable[[float, str], None]]:
    """Give `advance(done, note)`: a bar where a terminal watches, a log line every tenth where none does."""
    if stderr.is_terminal:
        columns = (
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=stderr, transient=True) as bar:
            task = bar.add_task(title, total=total, note="")

            def move(done: float, note: str = "") -> None:
                bar.update(task, completed=done, note=note)

            yield move
        return
    shown = 0

    def advance(done: float, note: str = "") -> None:
        nonlocal shown
        tenth = int(10 * done / total) if total else 10
        if tenth > shown:
            shown = tenth
            log.info("%s %d%% %s", title, min(100, round(100 * done / total)), note)

    yield advance
