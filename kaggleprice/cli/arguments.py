"""What commands take: the options that several of them share, and those of the settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from kaggleprice.competitions import COMPETITIONS
from kaggleprice.options import OPTIONS, Option
from kaggleprice.settings import DEFAULT_PRESET, PRESETS

DATA, RUN, OUTPUT = "Data", "Run", "Output"

CompetitionOption = Annotated[
    str,
    typer.Option(
        "--competition",
        "-c",
        metavar="NAME|FILE.toml",
        help=f"Which competition: {', '.join(sorted(COMPETITIONS))}, or a TOML file.",
        rich_help_panel=DATA,
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
        help="Where to compute: cpu, cuda, mps, or auto, the first there is of CUDA, MPS, CPU.",
        rich_help_panel=RUN,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        help="CPU threads. [dim](default: as torch chooses)[/]",
        rich_help_panel=RUN,
        show_default=False,
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
        autocompletion=lambda: [*PRESETS, "list"],
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        metavar="",
        help="Print one JSON document on stdout instead.",
        rich_help_panel=OUTPUT,
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", metavar="", help="No progress and no notices.", rich_help_panel=OUTPUT
    ),
]


def add_options(*panels: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
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
        option.typed_as | None,
        typer.Option(
            *option.flags,
            help=option.help_text,
            metavar=option.metavar,
            rich_help_panel=option.panel,
            show_default=False,
            autocompletion=(lambda: list(option.names)) if option.names else None,
        ),
    ]
