"""The program: every command, and what becomes of errors."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer import TyperException

from kaggleprice import __version__
from kaggleprice.cli import (
    config,
    cv,
    download,
    init,
    interruption,
    output,
    predict,
    preprocess,
    replay,
    report,
    runs,
    submit,
    tune,
)
from kaggleprice.cli.commands import Command, Commands
from kaggleprice.cli.console.streams import drop
from kaggleprice.core.errors import (
    DataError,
    GateError,
    KagglePriceError,
    OutputError,
    ReplayError,
    RunError,
    UsageError,
    lacks_memory,
)

INTERRUPTED = 130
# How long a thread of torch's OpenMP (GNU) spins for the others before it sleeps. Its own choice
# is for machines that do nothing else: beside another busy process, as in CI, threads that spin
# keep from running the one they wait for. On 2 cores with a third busy process, short spins took
# 0.7 times as long; alone, 1.1 times.
_SPIN_COUNT = "1000"


app = typer.Typer(
    name="kaggleprice",
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start here: [bold]kaggleprice cv --k 5 --lr 0.01[/]\n"
    "            [bold]kaggleprice predict[/]\n\n"
    "More on a command: kaggleprice COMMAND --help\n"
    "Options may also stand in kaggleprice.toml, or in the environment as in\n"
    "KAGGLEPRICE_LR=0.005; `kaggleprice config` shows what applies.",
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


def _example_lines(examples: Sequence[str]) -> str:
    shown = [f"[bold]{example}[/]" for example in examples]
    return "Examples: " + "\n          ".join(shown)


for module in (init, download, preprocess, cv, tune, predict, submit, report, replay, config):
    app.command(
        cls=getattr(module, "COMMAND", Command),
        epilog=_example_lines(module.EXAMPLES),
        context_settings=getattr(module, "CONTEXT_SETTINGS", {}),
    )(getattr(module, module.__name__.rpartition(".")[2]))
for verb in runs.app.registered_commands:
    verb.cls, verb.epilog = Command, _example_lines(runs.EXAMPLES[str(verb.name)])
app.add_typer(runs.app)


@cache
def command() -> Any:
    """Return the command with all others below it as click knows it, made once."""
    return typer.main.get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit code."""
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    output.prepare_streams()
    given = _expand_help(list(arguments))
    output.detect_output_options(given)
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`kaggleprice cv | head`): leave without a word, as filters do.
        drop(sys.stdout)
        code = 1
    return code


def _expand_help(given: list[str]) -> list[str]:
    """Read `kaggleprice help cv` as `kaggleprice cv --help`, and nothing as `--help`."""
    if given[:1] == ["help"]:
        return [*given[1:], "--help"]
    return given or ["--help"]


def _run(arguments: list[str]) -> int:
    try:
        result = command()(arguments, prog_name="kaggleprice", standalone_mode=False)
        output.flush()
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, Exception) as error:
        # An import that is interrupted may fail with any error.
        return _interrupted() if interruption.received else _failed(error)
    if interruption.received or result == INTERRUPTED:
        return _interrupted()
    return result if isinstance(result, int) else 0


def _interrupted() -> int:
    return output.fail("Interrupted", interruption.sentence(), interruption.exit_code())


def _failed(error: BaseException) -> int:
    """Say in the chosen form what went wrong; return the exit code."""
    if isinstance(error, GateError | ReplayError):
        # The one document on stdout is the result, which was printed and says so.
        output.output_options.as_json = False
    if isinstance(error, KagglePriceError):
        return output.fail(type(error).__name__, str(error), error.exit_code)
    if isinstance(error, TyperException):
        message = f"{error.format_message().rstrip('.')}."
        return output.fail(UsageError.__name__, message, UsageError.exit_code)
    if not isinstance(error, Exception):
        raise error
    if (told := _of_the_system(error)) is not None:
        return output.fail(type(told).__name__, str(told), told.exit_code)
    if lacks_memory(error):
        return output.fail(RunError.__name__, _more_memory(error), RunError.exit_code)
    return output.fail_unexpectedly(error)


# What is wrong with a path, whoever finds it out, is said in the system's words.
_OF_A_PATH: dict[type[KagglePriceError], set[int]] = {
    UsageError: {errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ},
    DataError: {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.ENXIO},
    OutputError: {errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG},
}


def _of_the_system(error: Exception) -> KagglePriceError | None:
    """Return what an error of the operating system says of a path; None of any other error."""
    if isinstance(error, OSError) and error.filename is not None:
        for kind, numbers in _OF_A_PATH.items():
            if error.errno in numbers:
                name = os.fsdecode(error.filename)
                return kind(f"{name}: {error.strerror}; mend that, or name another path.")
    # Python has no class of their own for these; the first is one of Python before 3.13.
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return UsageError(f"{error}; name another path.")
    if isinstance(error, ValueError) and "null byte" in str(error):
        return UsageError("a path has a NUL character in it; name another path.")
    return None


# How numpy, torch's CPU allocator and a GPU's say what they asked for in vain.
_ASKED = re.compile(r"allocate:? (\d[\d.]* ?(?:bytes|[KMGT]i?B))", re.IGNORECASE)


def _more_memory(error: Exception) -> str:
    from kaggleprice.core.large_arrays import memory

    asked = _ASKED.search(str(error))
    more = f": {asked[1]} more are needed" if asked else ""
    return (
        f"out of memory{more}, and this process may take {memory() / 1e9:,.1f} GB in all; try "
        "fewer --seeds, a smaller --hidden or --batch-size, or give it more."
    )
