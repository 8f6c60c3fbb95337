"""What all commands share: where the data and the runs are, who reports, how a result is shown."""

from __future__ import annotations

import io
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from kaggleprice.cli.configured import explicit
from kaggleprice.cli.console.streams import drop, reopen_closed
from kaggleprice.core.errors import OutputError, RunError, UsageError
from kaggleprice.settings.declaration import show_value

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kaggleprice.cli.console.reporting import Reporter
    from kaggleprice.cli.documents import Document
    from kaggleprice.competitions.catalog import Competition, Kind
    from kaggleprice.competitions.data import DatasetRef
    from kaggleprice.core.progress import Progress
    from kaggleprice.runs.runtime import RuntimeConfig

DocumentT = TypeVar("DocumentT", bound="Document")


def given_kinds(kind: Sequence[str] | None, drop: Sequence[str] | None) -> dict[str, Kind]:
    """Read `--kind COLUMN=KIND` and `--drop COLUMN`; levels of an order are separated by `<`.

    Raises:
        UsageError: for a pair without `=`, and for a column that is given two kinds.
    """
    found: dict[str, Kind] = {}
    for pair in [*(kind or ()), *(f"{column}=drop" for column in drop or ())]:
        column, equals, name = pair.rpartition("=")
        if not equals:
            raise UsageError(f"--kind takes COLUMN=KIND, as in Date=date; found {pair!r}.")
        levels = tuple(level.strip() for level in name.split("<"))
        value = levels if len(levels) > 1 else name.strip()
        if found.setdefault(column, value) != value:
            raise UsageError(f"--kind and --drop give the column {column!r} two kinds; leave one.")
    return found


def demanded_kinds(context: typer.Context) -> dict[str, Kind]:
    """Return the kinds that `--kind` and `--drop` name as flags: a run must have these.

    Raises:
        UsageError: as `given_kinds`.
    """
    flags = {name: context.params[name] for name in ("kind", "drop") if explicit(context, name)}
    return given_kinds(flags.get("kind"), flags.get("drop"))


def make_source(
    competition: str | None,
    data_dir: Path,
    no_verify: bool = False,
    described: Competition | None = None,
    kinds: Mapping[str, Kind] | None = None,
    drop_missing_target: bool = False,
) -> DatasetRef:
    """Return which competition's files are meant, and where they are.

    Args:
        competition: its name, file or, once described in the data folder, its folder's name there;
            None for that of the working folder.
        data_dir: where files are kept.
        no_verify: whether files may have other hashes than the recorded ones.
        described: one that stands in no file.
        kinds: of columns, before those of the description.
        drop_missing_target: whether training rows without a target are left out, whatever the
            description says.

    Raises:
        UsageError: where none is named, and the working folder holds files of an unknown one;
            for a kind that is none, and a target that is to be dropped.
    """
    from kaggleprice.competitions.catalog import get_competition
    from kaggleprice.competitions.data import DatasetRef
    from kaggleprice.competitions.proposal import competition_here

    if described is None:
        name = competition_here() if competition is None else competition
        described = get_competition(described_in(name, data_dir))
    if kinds:
        for column in described.targets:
            if kinds.get(column) == "drop":
                raise UsageError(f"the target {column!r} cannot be dropped.")
        described = replace(described, kinds={**described.kinds, **kinds})
    if drop_missing_target:
        described = replace(described, drop_missing_target=True)
    return DatasetRef(described, data_dir, verify=not no_verify)


def described_in(name: str, data_dir: Path) -> str:
    """Return the file that describes a competition; its name where it ships with kaggleprice."""
    from kaggleprice.competitions.catalog import COMPETITIONS, FILE_NAME

    if name in COMPETITIONS or name.endswith(".toml"):
        return name
    here, downloaded = Path(f"{name}.toml"), data_dir / name / FILE_NAME
    return str(downloaded) if downloaded.is_file() and not here.is_file() else name


def describe_files(
    train: Path | None,
    test: Path | None,
    target: list[str] | None,
    id_column: str | None,
    progress: Progress,
    kinds: Mapping[str, Kind] | None = None,
) -> Competition | None:
    """Guess the competition of `--train` and `--test`, and tell the guesses; None without.

    Raises:
        UsageError: where `--train` is lacking and another is given.
        DataError: where a file cannot be read.
    """
    if train is None:
        given = {"--test": test, "--target": target or None, "--id": id_column}
        for flag, value in given.items():
            if value is not None:
                raise UsageError(f"{flag} needs --train FILE as well.")
        return None
    from kaggleprice.competitions.competition_file import competition_name
    from kaggleprice.competitions.proposal import Files, one_or_all, propose

    known = {"target_column": one_or_all(target), "id_column": id_column}
    found = propose(
        Files(train, test), {k: v for k, v in known.items() if v is not None}, kinds or {}
    )
    own = {f"missing values of {name}": guess for name, guess in found.missing_values_of.items()}
    for name, guess in [*found.keys.items(), *found.kinds.items(), *own.items()]:
        if guess.reason != "given":
            value = "none" if guess.value is None else show_value(guess.value)
            progress.notice(f"{name}: {value} ({guess.reason})")
    for warning in found.warnings:
        progress.notice(f"warning: {warning}")
    return found.competition(competition_name(train.parent))


def refuse_two_competitions(context: typer.Context) -> None:
    """Refuse `--train` beside `--competition`; one of them may stand in a configuration.

    Raises:
        UsageError: where both were typed.
    """
    if explicit(context, "train_file") and explicit(context, "competition"):
        raise UsageError(
            "--train and --competition exclude each other: the one guesses a competition from its "
            "files, the other names one; leave one away."
        )


def make_workplace(
    runs_dir: Path,
    device: str,
    threads: int | None,
    checkpoint_every: str = "none",
    time_limit: str | None = None,
) -> RuntimeConfig:
    """Return where and on what a run is made, with times as they are typed.

    Raises:
        UsageError: for a time that is none.
    """
    from kaggleprice.runs.runtime import RuntimeConfig, read_duration

    every = None
    if checkpoint_every != "none":
        every = read_duration("--checkpoint-every", checkpoint_every)
    limit = None if time_limit is None else read_duration("--time-limit", time_limit)
    return RuntimeConfig(runs_dir, device, threads, every, limit)


def repeated(context: typer.Context) -> str:
    """Return the options that say where data and runs are, as far as they were typed."""
    flags = {"competition": "-c", "data_dir": "--data-dir", "runs_dir": "--runs-dir"}
    flags |= {"train_file": "--train"}
    if context.params.get("train_file") is not None:
        flags |= {"test_file": "--test", "target": "--target", "id_column": "--id"}
    return _typed(context, flags)


def repeated_kinds(context: typer.Context) -> str:
    """Return what was typed of columns and rows, which another run of the same may take."""
    missing = "drop_missing_target"
    return _typed(context, {"kind": "--kind", "drop": "--drop", missing: "--drop-missing-target"})


def _typed(context: typer.Context, flags: Mapping[str, str]) -> str:
    """Return options, given their flags by name, as far as they were typed."""
    given = [name for name in flags if name in context.params and explicit(context, name)]
    return " ".join(
        flags[name] if value is True else f"{flags[name]} {shlex.quote(str(value))}"
        for name in given
        for value in _listed(context.params[name])
    )


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


@dataclass
class OutputOptions:
    """The output format of this process, as far as its options were read.

    Attributes:
        as_json: whether stdout gets JSON.
        progress: a name in `kaggleprice.core.progress.FORMS`.
        verbose: whether details are shown.
    """

    as_json: bool = False
    progress: str = "auto"
    verbose: bool = False

    def note_json(self, wanted: bool) -> bool:
        """Set from `--json`, a variable or the file; return the value."""
        self.as_json = self.as_json or wanted
        return wanted

    def note_progress(self, form: str) -> str:
        """Set from `--progress`, a variable or the file; return the value."""
        self.progress = form
        return form

    def note_verbose(self, wanted: bool) -> bool:
        """Set from `--verbose`, a variable or the file; return the value."""
        self.verbose = wanted
        return wanted


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
    output_options.progress, output_options.verbose = (
        os.environ.get("KAGGLEPRICE_PROGRESS", "auto"),
        False,
    )
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        flag, _, value = argument.partition("=")
        if flag == "--progress":
            output_options.progress = value or following


def make_reporter(quiet: bool) -> Reporter:
    """Return what reports progress and notices on stderr, in the chosen form.

    Raises:
        UsageError: where it cannot be told so.
    """
    from kaggleprice.cli.console.reporting import Reporter

    return Reporter(output_options.progress, quiet=quiet, verbose=output_options.verbose)


def start(quiet: bool) -> None:
    """Load the library, which takes seconds, with a sign of life."""
    with make_reporter(quiet) as reporter:
        reporter.advance("starting", 0, None)
        import kaggleprice.api.workflow  # noqa: F401
        from kaggleprice.core.versions import versions

        reporter.detail(", ".join(f"{name} {version}" for name, version in versions().items()))


def show(as_json: bool, document: DocumentT, view: Callable[[DocumentT], RenderableType]) -> None:
    """Print a command's result on stdout.

    Args:
        as_json: whether as a JSON document.
        document: the result.
        view: makes of it what a person sees.

    Raises:
        OutputError: where stdout takes nothing more, such as a full disk.
        BrokenPipeError: where its reader has gone.
    """
    from kaggleprice.cli.console.printing import print_json, print_view

    try:
        if as_json:
            print_json(document)
        else:
            print_view(view(document))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unprintable(error) from None
    flush()


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
