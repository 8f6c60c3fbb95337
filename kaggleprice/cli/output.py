"""What all commands share: who reports, how a person is asked, how a result is shown."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from kaggleprice.cli.console.streams import drop, reopen_closed
from kaggleprice.cli.console.text import printable
from kaggleprice.core.errors import OutputError, RunError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kaggleprice.cli.console.reporting import Reporter
    from kaggleprice.cli.documents import Document

DocumentT = TypeVar("DocumentT", bound="Document")


@dataclass
class OutputOptions:
    """The output format of this process, as far as its options were read.

    Attributes:
        as_json: whether stdout gets JSON.
        quiet: whether nothing but errors is told on stderr.
        progress: a name in `kaggleprice.core.progress.FORMS`.
        verbose: whether details are shown.
    """

    as_json: bool = False
    quiet: bool = False
    progress: str = "auto"
    verbose: bool = False

    def note(self, name: str) -> Callable[[Any], Any]:
        """Return what sets one of them from an option's value, wherever that comes from."""

        def noted(value: Any) -> Any:
            setattr(self, name, value)
            return value

        return noted


output_options = OutputOptions()


def prepare_streams() -> None:
    """Make the standard streams usable, whatever became of them."""
    reopen_closed()
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a sign gets "?" in its place.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def detect_output_options(arguments: Sequence[str]) -> None:
    """Read `--json` and `--progress` before parsing, so that parse errors use that format too."""
    said = os.environ.get("KAGGLEPRICE_JSON", "").lower()
    output_options.as_json = "--json" in arguments or said in ("1", "true", "t", "yes", "y", "on")
    output_options.progress = os.environ.get("KAGGLEPRICE_PROGRESS", "auto")
    output_options.quiet = output_options.verbose = False
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        flag, _, value = argument.partition("=")
        if flag == "--progress":
            output_options.progress = value or following


def make_reporter() -> Reporter:
    """Return what reports progress and notices on stderr, in the chosen form.

    Raises:
        UsageError: where it cannot be told so.
    """
    from kaggleprice.cli.console.reporting import Reporter

    chosen = output_options
    return Reporter(chosen.progress, quiet=chosen.quiet, verbose=chosen.verbose)


def start() -> None:
    """Load the library, which takes seconds, with a sign of life."""
    with make_reporter() as reporter:
        reporter.advance("starting", 0, None)
        import kaggleprice.api.prediction  # noqa: F401
        from kaggleprice.core.versions import versions

        reporter.detail(", ".join(f"{name} {version}" for name, version in versions().items()))


def show(document: DocumentT, view: Callable[[DocumentT], RenderableType]) -> None:
    """Print a command's result on stdout, as a JSON document where `--json` asks for it.

    Args:
        document: the result.
        view: makes of it what a person sees.

    Raises:
        OutputError: where stdout takes nothing more, such as a full disk.
        BrokenPipeError: where its reader has gone.
    """
    from kaggleprice.cli.console.printing import print_json, print_view

    try:
        if output_options.as_json:
            print_json(document)
        else:
            print_view(view(document))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unprintable(error) from None
    flush()


def ask(question: str, *told: str) -> str | None:
    """Tell a person something line by line, ask, and return the answer; all of it on stderr.

    Returns:
        None where there is no terminal to ask.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    for line in told:
        typer.echo(printable(line), err=True)
    # Not typer's own question, of which a part goes to stdout.
    typer.echo(printable(question), nl=False, err=True)
    return sys.stdin.readline().strip()


def flush() -> None:
    """Print what is still to be printed on stdout.

    Raises:
        OutputError, BrokenPipeError: as `show`.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unprintable(error) from None


def _unprintable(error: OSError) -> OutputError:
    drop(sys.stdout)
    return OutputError(f"cannot print the result: {error.strerror or error}.")


def fail(kind: str, message: str, exit_code: int, trace: str = "") -> int:
    """Say what went wrong, on stderr and, with `--json`, as the one document on stdout.

    Args:
        kind: the name of the error's class.
        message: one sentence.
        exit_code: returned.
        trace: where in the program, for errors that nobody expected.
    """
    from kaggleprice.cli.console.printing import print_error, print_json
    from kaggleprice.cli.documents import ErrorDetails, ErrorDocument

    error = ErrorDetails(kind, message, exit_code)
    print_error(error, output_options.progress, trace)
    if output_options.as_json:
        try:
            print_json(ErrorDocument(error=error))
            sys.stdout.flush()
        except OSError:
            # Nobody takes the document; the exit code says that there was an error.
            drop(sys.stdout)
    return exit_code


def _raised_in(error: Exception) -> str:
    """Return the package whose code raised an error."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    name = "" if place is None else str(place.tb_frame.f_globals["__name__"])
    return name.partition(".")[0]


def fail_unexpectedly(error: Exception) -> int:
    """Say what nobody expected, with everything that helps to find out why."""
    if isinstance(error, OSError) and _raised_in(error) in ("typer", "rich"):
        # Help and the like are printed by libraries: what failed was stdout, not the program.
        full = _unprintable(error)
        return fail(type(full).__name__, str(full), full.exit_code)
    trace = "".join(traceback.format_exception(error))
    kind = type(error).__name__
    message = f"unexpected {kind}: {str(error).rstrip('.')}; this is a fault of kaggleprice."
    return fail(kind, " ".join(message.split()), RunError.exit_code, trace)
