"""What a person or a pipeline sees: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

SCHEMA_VERSION = 1
_SECONDS_BETWEEN_LINES = 5.0
# What is counted in a stage, where it is not epochs.
_UNITS = {"partners": "models"}


def error_document(kind: str, message: str, exit_code: int) -> dict[str, Any]:
    """Describe an error, as `--json` prints it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "error": {"type": kind, "message": message, "exit_code": exit_code},
    }


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def results() -> Console:
    """Return the console for results."""
    return Console(highlight=False, soft_wrap=False)


class Reporter:
    """Progress and notices on stderr: bars on a terminal, a plain line now and then elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        # FORCE_COLOR makes rich believe in a terminal; colours may be forced, bars may not.
        self._animated = self._console.is_interactive and self._console.file.isatty()
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._last_line = 0.0
        self._began = 0.0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_stage()

    def notice(self, message: str) -> None:
        """Say one thing once."""
        if not self._quiet:
            self._console.print(Text(message, style="dim"), soft_wrap=True)

    def advance(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Say how far a stage is."""
        if self._quiet:
            return
        if stage != self._stage:
            self._end_stage()
            self._stage, self._began, self._last_line = stage, time.monotonic(), time.monotonic()
        if self._animated:
            self._draw(stage, done, total, detail)
        elif done == total or time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            left = (self._last_line - self._began) / max(done, 1) * (total - done)
            rest = f", about {left:.0f} s left" if done < total else ""
            words = f", {detail}" if detail else ""
            unit = _UNITS.get(stage, "epochs")
            self._console.print(f"{stage}: {done} of {total} {unit}{words}{rest}", soft_wrap=True)

    def _draw(self, stage: str, done: int, total: int, detail: str) -> None:
        if self._bars is None:
            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn(f"{{task.completed}}/{{task.total}} {_UNITS.get(stage, 'epochs')}"),
                TextColumn("{task.fields[detail]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bars.start()
            self._task = self._bars.add_task(stage, total=total, detail=detail)
        if self._task is not None:
            self._bars.update(self._task, completed=done, detail=detail)

    def _end_stage(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._task, self._stage = None, None, ""


def print_error(message: str) -> None:
    """Say in one sentence on stderr what went wrong."""
    console = Console(stderr=True, highlight=False)
    console.print(Text("error: ", style="bold red") + Text(message), soft_wrap=True)
