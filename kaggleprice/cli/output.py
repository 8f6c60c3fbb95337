"""What all commands share: where the data and the runs are, who reports, how a result is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggleprice.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from kaggleprice.console import Reporter
    from kaggleprice.workflow import Source, Workplace


def make_source(competition: str, data_dir: Path, no_verify: bool = False) -> Source:
    """Return which competition's files are meant, and where they are."""
    from kaggleprice.competitions import get_competition
    from kaggleprice.workflow import Source

    return Source(get_competition(competition), data_dir, verify=not no_verify)


def make_workplace(runs_dir: Path, device: str, threads: int | None) -> Workplace:
    """Return where and on what a run is made."""
    from kaggleprice.workflow import Workplace

    return Workplace(runs_dir, device, threads)


def make_reporter(quiet: bool) -> Reporter:
    """Return who tells, on stderr, what happens."""
    from kaggleprice.console import Reporter

    return Reporter(quiet=quiet)


def show(
    as_json: bool, document: Callable[[], dict[str, Any]], view: Callable[[], Group | Table]
) -> None:
    """Print a command's result on stdout: a JSON document, or a view for a person.

    Raises:
        OutputError: where stdout takes nothing more, such as a full disk.
        BrokenPipeError: where its reader has gone.
    """
    from kaggleprice import console

    shown = document() if as_json else view()
    try:
        if isinstance(shown, dict):
            console.print_json(shown)
        else:
            console.results().print(shown)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_stdout()
        raise OutputError(f"cannot print the result: {error.strerror or error}.") from None


def drop_stdout() -> None:
    """Send to nowhere what is still to be printed: Python tries again while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
