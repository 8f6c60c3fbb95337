"""The command line: options in, exit codes out. The library is imported inside commands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import TyperException
from typer.core import TyperGroup

from kaggleprice import __version__
from kaggleprice.cli.arguments import (
    DATA,
    OUTPUT,
    RUN,
    CompetitionOption,
    DataDirOption,
    DeviceOption,
    FoldsOption,
    JsonOption,
    NoVerifyOption,
    PresetOption,
    QuietOption,
    RunsDirOption,
    ThreadsOption,
    add_options,
)
from kaggleprice.competitions import DEFAULT_COMPETITION
from kaggleprice.errors import KagglePriceError, OutputError, RunError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from kaggleprice.console import Reporter
    from kaggleprice.workflow import Source, Workplace

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


@app.command(
    epilog="Examples: [bold]kaggleprice download[/]; "
    "[bold]kaggleprice download --from house-prices.zip[/]"
)
def download(
    competition: CompetitionOption = DEFAULT_COMPETITION,
    data_dir: DataDirOption = Path("data"),
    from_path: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Take the files from this folder or zip, recognised by hash. "
            "[dim](default: the competition's mirrors)[/]",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch a competition's CSVs, check their hashes, and keep them in the data folder."""
    from kaggleprice import views, workflow

    source = _source(competition, data_dir, no_verify=False)
    with _reporter(quiet) as reporter:
        downloads = workflow.download(source, from_path, reporter)
    _show(
        as_json,
        lambda: views.download_document(source.competition, downloads),
        lambda: views.download_view(downloads),
    )


@app.command(
    epilog="Examples: [bold]kaggleprice preprocess --recipe book --head 4[/]; "
    "[bold]kaggleprice preprocess --output features.csv[/]"
)
@add_options("Recipe")
def preprocess(
    *,
    competition: CompetitionOption = DEFAULT_COMPETITION,
    data_dir: DataDirOption = Path("data"),
    no_verify: NoVerifyOption = False,
    options: dict[str, Any],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the features of all rows as .csv, .npz or .parquet, and the fitted recipe "
            "beside them as .recipe.json. [dim](default: write nothing)[/]",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply",
            metavar="RECIPE.json",
            help="Apply this fitted recipe. [dim](default: fit one)[/]",
            show_default=False,
            rich_help_panel="Recipe",
        ),
    ] = None,
    head: Annotated[
        int,
        typer.Option(
            "--head",
            min=0,
            help="Show this many rows of the first and last features instead of the columns.",
            rich_help_panel=OUTPUT,
        ),
    ] = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn columns into features: fill, scale, one-hot encode; show and write them."""
    from kaggleprice import views, workflow

    if apply is not None and options:
        raise UsageError(
            f"--apply takes a fitted recipe as it is; leave --{next(iter(options))} away, or fit a "
            "new recipe without --apply."
        )
    recipe = workflow.make_settings(options=options).recipe
    with _reporter(quiet) as reporter:
        source = _source(competition, data_dir, no_verify)
        result = workflow.preprocess(source, recipe, output, apply, reporter)
    _show(
        as_json,
        lambda: views.preprocess_document(result),
        lambda: views.preprocess_view(result, head),
    )


@app.command(
    epilog="Examples: [bold]kaggleprice cv --k 5 --lr 0.01[/]; "
    "[bold]kaggleprice cv --preset book --seeds 20[/]"
)
@add_options("Folds and members", "Network", "Training", "Recipe")
def cv(
    *,
    competition: CompetitionOption = DEFAULT_COMPETITION,
    data_dir: DataDirOption = Path("data"),
    no_verify: NoVerifyOption = False,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="Name of the new run. [dim](default: the next free one)[/]",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDirOption = Path("runs"),
    preset: PresetOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    folds: FoldsOption = None,
    options: dict[str, Any],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cross-validate: train all folds and seeds together, score them out of fold, save the run."""
    from kaggleprice import views, workflow
    from kaggleprice.settings import DEFAULT_PRESET

    if preset == "list":
        _show(as_json, views.presets_document, views.presets_view)
        return
    settings = workflow.make_settings(preset or DEFAULT_PRESET, options)
    with _reporter(quiet) as reporter:
        made, _ = workflow.cross_validate(
            _source(competition, data_dir, no_verify),
            settings,
            _workplace(runs_dir, device, threads),
            name=run,
            folds=folds,
            progress=reporter,
        )
    _show(as_json, lambda: views.cv_document(made), lambda: views.cv_view(made))


@app.command(
    epilog="Examples: [bold]kaggleprice predict[/]; "
    "[bold]kaggleprice predict --run mlp-001 --combine median -o median.csv[/]"
)
@add_options("Folds and members", "Network", "Training", "Recipe")
def predict(
    *,
    competition: CompetitionOption = DEFAULT_COMPETITION,
    data_dir: DataDirOption = Path("data"),
    no_verify: NoVerifyOption = False,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="Which run predicts. [dim](default: the latest; without one, it is trained)[/]",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDirOption = Path("runs"),
    preset: PresetOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    folds: FoldsOption = None,
    options: dict[str, Any],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The submission.", rich_help_panel=OUTPUT
        ),
    ] = Path("submission.csv"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Average all members of a run on the test rows and write submission.csv.

    Without a run yet it trains one first, as [bold]cv[/] does with the same options.
    """
    from kaggleprice import views, workflow

    if preset == "list":
        _show(as_json, views.presets_document, views.presets_view)
        return
    with _reporter(quiet) as reporter:
        prediction = workflow.predict(
            _source(competition, data_dir, no_verify),
            _workplace(runs_dir, device, threads),
            workflow.Asked(name=run, preset=preset, options=options, folds=folds),
            output=output,
            progress=reporter,
        )
    _show(
        as_json,
        lambda: views.predict_document(prediction),
        lambda: views.predict_view(prediction),
    )


def _source(competition: str, data_dir: Path, no_verify: bool) -> Source:
    from kaggleprice.competitions import get_competition
    from kaggleprice.workflow import Source

    return Source(get_competition(competition), data_dir, verify=not no_verify)


def _workplace(runs_dir: Path, device: str, threads: int | None) -> Workplace:
    from kaggleprice.workflow import Workplace

    return Workplace(runs_dir, device, threads)


def _reporter(quiet: bool) -> Reporter:
    from kaggleprice.console import Reporter

    return Reporter(quiet=quiet)


def _show(
    as_json: bool, document: Callable[[], dict[str, Any]], view: Callable[[], Group | Table]
) -> None:
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
        _drop_stdout()
        raise OutputError(f"cannot print the result: {error.strerror or error}.") from None


def _drop_stdout() -> None:
    """Send to nowhere what is still to be printed: Python tries again while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        _drop_stdout()
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
