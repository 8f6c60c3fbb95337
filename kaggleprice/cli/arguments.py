"""What commands take: the options that several of them share, and those of the settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kaggleprice.cli.completion import (
    complete_competitions,
    complete_devices,
    complete_presets,
    completion_of,
)
from kaggleprice.cli.configured import explicit, origin_of
from kaggleprice.cli.output import make_reporter, manner
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.core.progress import FORMS
from kaggleprice.settings.options import OPTIONS, OPTIONS_BY_NAME, Option, ineffective_options
from kaggleprice.settings.run import DEFAULT_PRESET, PRESETS, RunSettings, make_settings
from kaggleprice.settings.training import MOST_THREADS

DATA, RUN, OUTPUT = "Data", "Run", "Output"

CompetitionOption = Annotated[
    str,
    typer.Option(
        "--competition",
        "-c",
        metavar="NAME|FILE.toml",
        help=f"Which competition: {', '.join(sorted(COMPETITIONS))}, or a TOML file.",
        rich_help_panel=DATA,
        autocompletion=complete_competitions,
    ),
]
DataDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        envvar="KAGGLEPRICE_DATA_DIR",
        help="Folder of the CSVs; missing ones are fetched to it.",
        rich_help_panel=DATA,
    ),
]
NoVerifyOption = Annotated[
    bool,
    typer.Option(
        "--no-verify",
        metavar="",
        help="Take data files whose hash is not the recorded one.",
        rich_help_panel=DATA,
    ),
]
RunsDirOption = Annotated[
    Path,
    typer.Option(
        "--runs-dir",
        metavar="FOLDER",
        envvar="KAGGLEPRICE_RUNS_DIR",
        help="Folder of the runs.",
        rich_help_panel=RUN,
    ),
]
FoldsOption = Annotated[
    Path | None,
    typer.Option(
        "--folds",
        metavar="CSV",
        help="Take folds from a CSV with the id and a column `fold`, such as a run's folds.csv. "
        "[dim](default: made by --k, --shuffle and --fold-seed)[/]",
        show_default=False,
        rich_help_panel="Folds and members",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        help="Where to compute: cpu, cuda, mps, or auto, the first there is of CUDA, MPS, CPU; "
        "cuda:0,cuda:1 spreads the networks over several.",
        autocompletion=complete_devices,
        rich_help_panel=RUN,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=MOST_THREADS,
        help="CPU threads. [dim](default: as torch chooses)[/]",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
TimeLimitOption = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        help="End training with the last epoch that fits into this time, such as 90s, 10m or "
        "1h30m; the run is valid and marked. [dim](default: none)[/]",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
CheckpointOption = Annotated[
    str,
    typer.Option(
        "--checkpoint-every",
        metavar="TIME|none",
        help="Time between checkpoints, from which the same command goes on after it was "
        "interrupted.",
        rich_help_panel=RUN,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Show what would be read, trained and written, and how long it would take; "
        "do nothing.",
        rich_help_panel=RUN,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help=f"Settings to start from. One of {', '.join(PRESETS)}; `list` shows them with their "
        f"measured score and time. [dim](default: {DEFAULT_PRESET})[/]",
        rich_help_panel=RUN,
        show_default=False,
        autocompletion=complete_presets,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        metavar="",
        help="Print one JSON document on stdout instead.",
        rich_help_panel=OUTPUT,
        callback=manner.hear_json,
        is_eager=True,
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", metavar="", help="No progress and no notices.", rich_help_panel=OUTPUT
    ),
]
ProgressOption = Annotated[
    str,
    typer.Option(
        "--progress",
        metavar="NAME",
        help=f"How progress is told on stderr. One of {', '.join(FORMS)}.",
        rich_help_panel=OUTPUT,
        callback=manner.hear_progress,
        is_eager=True,
        autocompletion=lambda: list(FORMS),
    ),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        metavar="",
        help="More notices: versions, hashes, settings, seconds per stage, files written.",
        rich_help_panel=OUTPUT,
        callback=manner.hear_verbose,
        is_eager=True,
    ),
]


def add_reporting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how it reports; `make_reporter` knows their values."""
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in [
            ("progress", "auto", ProgressOption),
            ("verbose", False, VerboseOption),
        ]
    ]
    own = list(inspect.signature(command, eval_str=True).parameters.values())

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        return command(**{k: v for k, v in values.items() if k not in ("progress", "verbose")})

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


_CONTEXT = "context"
_CONTEXT_PARAMETER = inspect.Parameter(
    _CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
)


def add_options(*panels: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command every option of these panels; it gets those that were set as `options`.

    A command that takes `context` learns from it which of them were typed.
    """
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
        own = inspect.signature(command, eval_str=True).parameters
        parameters = [_CONTEXT_PARAMETER]
        for parameter in own.values():
            if parameter.name != _CONTEXT:
                parameters += added if parameter.name == "options" else [parameter]

        @functools.wraps(command)
        def wrapped(**values: Any) -> Any:
            context = values.pop(_CONTEXT)
            given = {option: values.pop(option.name) for option in chosen}
            options = {
                o.name: o.parse(v, _untyped(context, o.name))
                for o, v in given.items()
                if v is not None
            }
            if _CONTEXT in own:
                values[_CONTEXT] = context
            return command(**values, options=options)

        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapped

    return decorate


def chosen_settings(
    context: typer.Context, options: Mapping[str, Any], preset: str | None = None
) -> RunSettings:
    """Return the settings that a preset and options make.

    Args:
        context: knows where each of them came from.
        options: as for `make_settings`.
        preset: the same; None for the default one.

    Raises:
        UsageError: for what cannot be; of what was not typed, the sentence says where it stands.
    """
    if preset is not None and preset not in PRESETS:
        said = _untyped(context, "preset")
        where, more = f" from {said}" if said else "", "; `--preset list` shows them"
        raise UnknownNameError("preset", preset, [*PRESETS, "list"], where, more)
    try:
        return make_settings(preset or DEFAULT_PRESET, options)
    except UsageError as error:
        places = _places(context, options, preset, str(error))
        if not places:
            raise
        raise UsageError(f"{str(error).rstrip('.')}; from {' and '.join(places)}.") from None


def _places(
    context: typer.Context, options: Mapping[str, Any], preset: str | None, refusal: str
) -> list[str]:
    """Return where those values stand that nobody typed and without which all is not refused so."""
    without = {
        name: _refusal({n: v for n, v in options.items() if n != name}, preset) for name in options
    }
    if preset is not None:
        without["preset"] = _refusal(options, None)
    places = [_untyped(context, name) for name, other in without.items() if other != refusal]
    return [place for place in places if place is not None]


def _refusal(options: Mapping[str, Any], preset: str | None) -> str:
    try:
        make_settings(preset or DEFAULT_PRESET, options)
    except UsageError as error:
        return str(error)
    return ""


def tell_idle(
    context: typer.Context, settings: RunSettings, folds: Path | None, quiet: bool
) -> None:
    """Say which of the options that were typed change nothing, beside the others."""
    names = [name for name in OPTIONS_BY_NAME if explicit(context, name)]
    with make_reporter(quiet) as reporter:
        for sentence in ineffective_options(settings, names, folds is not None):
            reporter.notice(sentence)


def _untyped(context: typer.Context, name: str) -> str | None:
    """Return where a value stands that is no flag's."""
    origin = origin_of(context, name)
    return None if origin.kind == "flag" else origin.where


def _annotation(option: Option) -> Any:
    return Annotated[
        option.typed_as | None,
        typer.Option(
            *option.flags,
            help=option.help_text,
            metavar=option.metavar,
            rich_help_panel=option.panel,
            show_default=False,
            autocompletion=completion_of(option),
        ),
    ]
