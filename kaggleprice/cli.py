"""The command line: options in, exit codes out. The library is imported inside commands."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import TyperException

from kaggleprice import __version__
from kaggleprice.competitions import COMPETITIONS, DEFAULT_COMPETITION
from kaggleprice.errors import KagglePriceError, RunError
from kaggleprice.options import OPTIONS, Option

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from kaggleprice.console import Reporter
    from kaggleprice.workflow import Source, Workplace

app = typer.Typer(
    name="kaggleprice",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start here: [bold]kaggleprice cv --k 5 --lr 0.01[/]; then [bold]kaggleprice predict[/]",
)

_DATA, _RUN, _OUTPUT = "Data", "Run", "Output"

CompetitionOption = Annotated[
    str,
    typer.Option(
        "--competition",
        "-c",
        metavar="NAME|FILE.toml",
        help=f"Which competition: {', '.join(sorted(COMPETITIONS))}, or a TOML file.",
        rich_help_panel=_DATA,
        autocompletion=lambda: sorted(COMPETITIONS),
    ),
]
DataDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        envvar="KAGGLEPRICE_DATA_DIR",
        help="Folder of the CSVs; missing ones are fetched to it.",
        rich_help_panel=_DATA,
    ),
]
NoVerifyOption = Annotated[
    bool,
    typer.Option(
        "--no-verify",
        metavar="",
        help="Take data files whose hash is not the recorded one.",
        rich_help_panel=_DATA,
    ),
]
RunsDirOption = Annotated[
    Path,
    typer.Option(
        "--runs-dir",
        metavar="FOLDER",
        envvar="KAGGLEPRICE_RUNS_DIR",
        help="Folder of the runs.",
        rich_help_panel=_RUN,
    ),
]
FoldsOption = Annotated[
    Path | None,
    typer.Option(
        "--folds",
        metavar="CSV",
        help="Take folds from a CSV with the id and a column `fold`, such as a run's folds.csv.",
        rich_help_panel="Folds and members",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        help="Where to compute: cpu, cuda, mps, or auto, the first there is of CUDA, MPS, CPU.",
        rich_help_panel=_RUN,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        help="CPU threads. [dim](default: as torch chooses)[/]",
        rich_help_panel=_RUN,
        show_default=False,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Settings to start from. One of default, book. [dim](default: default)[/]",
        rich_help_panel=_RUN,
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        metavar="",
        help="Print one JSON document on stdout instead.",
        rich_help_panel=_OUTPUT,
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", metavar="", help="No progress and no notices.", rich_help_panel=_OUTPUT
    ),
]


def _add_options(*panels: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command every option of these panels; it gets those that were set as `options`."""
    chosen = [option for option in OPTIONS if option.panel in panels]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        added = [
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=_annotation(option),
            )
            for option in chosen
        ]
        parameters: list[inspect.Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            parameters += added if own.name == "options" else [own]

        @functools.wraps(command)
        def wrapped(**values: Any) -> Any:
            given = {option: values.pop(option.name) for option in chosen}
            options = {o.name: o.parse(v) for o, v in given.items() if v is not None}
            return command(**values, options=options)

        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapped

    return decorate


def _annotation(option: Option) -> Any:
    return Annotated[
        option.type | None,
        typer.Option(
            *option.flags,
            help=option.help_text,
            metavar=option.metavar,
            rich_help_panel=option.panel,
            show_default=False,
            autocompletion=(lambda: list(option.names)) if option.names else None,
        ),
    ]


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
            help="Take the files from this folder or zip (recognised by hash), not the network.",
            rich_help_panel=_DATA,
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
@_add_options("Recipe")
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
            "beside them as .recipe.json.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply",
            metavar="RECIPE.json",
            help="Apply this fitted recipe instead of fitting one.",
            rich_help_panel="Recipe",
        ),
    ] = None,
    head: Annotated[
        int,
        typer.Option(
            "--head",
            min=0,
            help="Show this many rows of the first and last features instead of the columns.",
            rich_help_panel=_OUTPUT,
        ),
    ] = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn columns into features: fill, scale, one-hot encode; show and write them."""
    from kaggleprice import views, workflow

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
@_add_options("Folds and members", "Network", "Training", "Recipe")
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
            rich_help_panel=_RUN,
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
@_add_options("Folds and members", "Network", "Training", "Recipe")
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
            rich_help_panel=_RUN,
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
            "--output", "-o", metavar="FILE", help="The submission.", rich_help_panel=_OUTPUT
        ),
    ] = Path("submission.csv"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Average all members of a run on the test rows and write submission.csv.

    Without a run yet it trains one first, as [bold]cv[/] does with the same options.
    """
    from kaggleprice import views, workflow

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

    if as_json:
        console.print_json(document())
    else:
        console.results().print(view())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: the console script's entry point."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`kaggleprice cv | head`): leave without a word, as filters do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    try:
        result = app(arguments, prog_name="kaggleprice", standalone_mode=False)
    except KagglePriceError as error:
        return _fail(error, str(error), error.exit_code, arguments)
    except TyperException as error:
        return _fail(error, error.format_message(), error.exit_code, arguments)
    except typer.Abort:
        return 130
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            message = "out of memory; try fewer --seeds, a smaller --hidden or --batch-size."
            return _fail(RunError(message), message, RunError.exit_code, arguments)
        raise
    return result if isinstance(result, int) else 0


def _fail(error: Exception, message: str, exit_code: int, arguments: Sequence[str]) -> int:
    from kaggleprice import console

    if not message:
        return exit_code
    if "--json" in arguments:
        console.print_json(console.error_document(type(error).__name__, message, exit_code))
    console.print_error(message)
    return exit_code
