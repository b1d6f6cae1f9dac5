"""A command run as a process of its own, and what the whole of it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.storage import read_text

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of one ru_maxrss


class ProcessFailed(SynthError):
    """A command that did not end well; the message holds its last line."""

    exit_code = 1


@dataclass(frozen=True)
class Spent:
    """What a process and its children took, from its start to its end: imports, reading and writing included.

    seconds: wall time. cpu_seconds: user and system. memory_mb: greatest resident memory of one process.
    output: its standard output.
    """

    seconds: float
    cpu_seconds: float
    memory_mb: float
    output: str

    def answer(self) -> dict[str, Any]:
        """The JSON object on the last line of the output."""
        lines = self.output.strip().splitlines()
        try:
            answer = json.loads(lines[-1])
        except (IndexError, json.JSONDecodeError):
            answer = None
        if not isinstance(answer, dict):
            raise ProcessFailed(f"expected a JSON object as the last line, found {lines[-1:] or 'nothing'}")
        return answer


def spend(command: Sequence[str | Path], log: Path) -> Spent:
    """Run `command` to its end, its messages going to the file `log`; ProcessFailed where it exits with an error.

    The kernel counts what a process held before it became the command, so a caller that wants the peak of a small one
    must be small itself.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    shown = log.with_suffix(".out")
    start = time.monotonic()
    with log.open("wb") as messages, shown.open("wb") as output:
        child = subprocess.Popen([str(part) for part in command], stdout=output, stderr=messages)  # noqa: S603
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if child.returncode:
        said = [
            line for line in (*read_text(shown).splitlines(), *log.read_text("utf-8", "replace").splitlines()) if line
        ]
        raise ProcessFailed(f"exit {child.returncode}: {said[-1].strip() if said else 'no message'}")
    return Spent(
        seconds=round(seconds, 3),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 3),
        memory_mb=round(usage.ru_maxrss * PEAK_UNIT / 2**20, 1),
        output=read_text(shown),
    )
