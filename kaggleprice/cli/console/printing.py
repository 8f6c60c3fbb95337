"""Printing: the two consoles, results on stdout and messages on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from kaggleprice.cli.console.displays import Events, print_sentence
from kaggleprice.cli.console.streams import Forgiving

# Where there is no right edge to see, sentences and tables are not broken at one.
_UNBOUNDED = 10_000


def results() -> Console:
    """Return the console for results: stdout, of endless width where it is no terminal."""
    bounded = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(highlight=False, width=None if bounded else _UNBOUNDED)


def print_view(view: RenderableType) -> None:
    """Print a result for a person on stdout; in a file, lines end with their last word."""
    console = results()
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
    return Console(file=stream, highlight=False, get_time=clock)


def print_error(document: dict[str, Any], form: str = "auto", trace: str = "") -> None:
    """Say on stderr what went wrong: in one sentence, or as an event.

    Args:
        document: as `error_document` makes it.
        form: `json` for an event; anything else is for people.
        trace: where in the program, for errors that nobody expected.
    """
    console = messages()
    if form == "json":
        Events(console.file).error({**document["error"], "traceback": trace or None})
        return
    if trace:
        console.print(Text(trace.rstrip()), soft_wrap=True)
    sentence = Text("error: ", style="bold red") + Text(document["error"]["message"])
    print_sentence(console, sentence)
