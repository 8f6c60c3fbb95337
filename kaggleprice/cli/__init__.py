"""The command line: options in, exit codes out. The library is imported inside commands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer import TyperException
from typer.core import TyperGroup

from kaggleprice import __version__
from kaggleprice.cli import cv, download, predict, preprocess
from kaggleprice.cli.output import drop_stdout
from kaggleprice.errors import KagglePriceError, RunError, UnknownNameError, UsageError

INTERRUPTED = 130
# How long a thread of torch's OpenMP (GNU) spins for the others before it sleeps. Its own choice
# is for machines that do nothing else: beside another busy process, as in CI, threads that spin
# keep from running the one they wait for. On 2 cores with a third busy process, short spins took
# 0.7 times as long; alone, 1.1 times.
_SPIN_COUNT = "1000"


class Commands(TyperGroup):
    """The commands, of which an unknown one lists the valid ones."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name.

        Raises:
            UnknownNameError: where there is none.
        """
        if cmd_name not in self.commands:
            raise UnknownNameError("command", cmd_name, self.commands)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    name="kaggleprice",
    cls=Commands,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start here: [bold]kaggleprice cv --k 5 --lr 0.01[/]; then [bold]kaggleprice predict[/]",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kaggleprice {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """From a tabular regression competition's CSVs to submission.csv, with an honest score."""


def _add(command: Callable[..., None], examples: Sequence[str]) -> None:
    shown = "; ".join(f"[bold]{example}[/]" for example in examples)
    app.command(epilog=f"Examples: {shown}")(command)


for module in (download, preprocess, cv, predict):
    _add(getattr(module, module.__name__.rpartition(".")[2]), module.EXAMPLES)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: the console script's entry point."""
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a sign gets "?" in its place.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = _run(given or ["--help"])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`kaggleprice cv | head`): leave without a word, as filters do.
        drop_stdout()
        code = 1
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    try:
        result = app(arguments, prog_name="kaggleprice", standalone_mode=False)
    except KagglePriceError as error:
        return _fail(type(error).__name__, str(error), error.exit_code, arguments)
    except TyperException as error:
        message = f"{error.format_message().rstrip('.')}."
        return _fail(UsageError.__name__, message, UsageError.exit_code, arguments)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        message = "out of memory; try fewer --seeds, a smaller --hidden or --batch-size."
        return _fail(RunError.__name__, message, RunError.exit_code, arguments)
    if result == INTERRUPTED:
        return _fail("Interrupted", "interrupted.", INTERRUPTED, arguments)
    return result if isinstance(result, int) else 0


def _out_of_memory(error: Exception) -> bool:
    words = str(error).lower()
    # torch says the first on a GPU, the second on a CPU.
    signs = ("out of memory", "can't allocate memory", "cannot allocate memory")
    return isinstance(error, MemoryError) or any(sign in words for sign in signs)


def _fail(kind: str, message: str, exit_code: int, arguments: Sequence[str]) -> int:
    from kaggleprice import console

    if "--json" in arguments:
        console.print_json(console.error_document(kind, message, exit_code))
    console.print_error(message)
    return exit_code
