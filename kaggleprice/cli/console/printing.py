"""Printing: the two consoles, results on stdout and messages on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console, RenderableType

from kaggleprice.cli.console.displays import Events, print_sentence
from kaggleprice.cli.console.streams import Forgiving
from kaggleprice.cli.console.text import printable
from kaggleprice.cli.documents import Document, ErrorDetails, ErrorEvent, TracedError, plain

# Where there is no right edge to see, sentences and tables are not broken at one.
_UNBOUNDED = 10_000


def print_json(document: Document) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(plain(document), indent=2, allow_nan=False) + "\n")


def print_view(view: RenderableType) -> None:
    """Print a result for a person on stdout; in a file, lines end with their last word."""
    bounded = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    console = _console(width=None if bounded else _UNBOUNDED)
    if console.is_terminal:
        console.print(view)
        return
    with console.capture() as captured:
        console.print(view)
    for line in captured.get().splitlines():
        print(line.rstrip())


def messages(clock: Callable[[], float] = time.monotonic) -> Console:
    """Return the console for progress, notices and errors: stderr, which may be lost."""
    stream: Any = Forgiving(sys.stderr)
    return _console(file=stream, get_time=clock)


def _console(**options: Any) -> Console:
    """Return a console that shows text as it is, without markup, emoji codes and highlights."""
    return Console(markup=False, emoji=False, highlight=False, **options)


def print_error(error: ErrorDetails, form: str = "auto", trace: str = "") -> None:
    """Say on stderr what went wrong: in one sentence, or as an event.

    Args:
        error: what it was.
        form: `json` for an event; anything else is for people.
        trace: where in the program, for errors that nobody expected.
    """
    console = messages()
    if form == "json":
        traced = TracedError(**asdict(error), traceback=trace or None)
        Events(console.file).write(ErrorEvent(error=traced))
        return
    for line in trace.splitlines():
        console.print(printable(line), soft_wrap=True)
    print_sentence(console, error.message, head="error: ")
