"""The options that several commands share, and what those of the settings make of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggleprice.cli.completion import (
    complete_competitions,
    complete_devices,
    complete_presets,
)
from kaggleprice.cli.configured import explicit, origin_of
from kaggleprice.cli.help import DATA, OUTPUT, RUN
from kaggleprice.cli.output import make_reporter, manner
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.core.progress import FORMS
from kaggleprice.settings.declaration import ConflictError
from kaggleprice.settings.ineffective import ineffective_options
from kaggleprice.settings.run import DEFAULT_PRESET, PRESETS, RunSettings, make_settings
from kaggleprice.settings.training import MOST_THREADS

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
        help="Take folds from a CSV with the id and a column `fold`, such as a run's folds.csv.",
        show_default="made by --k, --shuffle and --fold-seed",
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
        help="CPU threads.",
        rich_help_panel=RUN,
        show_default="as torch chooses",
    ),
]
TimeLimitOption = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        help="End training with the last epoch that fits into this time, such as 90s, 10m or "
        "1h30m; the run is valid and marked.",
        rich_help_panel=RUN,
        show_default="none",
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
        "measured score and time.",
        rich_help_panel=RUN,
        show_default=DEFAULT_PRESET,
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


def given_settings(context: typer.Context) -> dict[str, Any]:
    """Return the settings that flags, environment and file give a command: name → value."""
    names = [setting.name for setting in getattr(context.command, "settings", ())]
    return {n: context.params[n] for n in names if origin_of(context, n).kind != "default"}


def chosen_settings(context: typer.Context, preset: str | None = None) -> RunSettings:
    """Return the settings that a preset and the command's options make.

    Args:
        context: of the command, its options read.
        preset: a name in `PRESETS`; None for the default one.

    Raises:
        UnknownNameError: for an unknown preset.
        UsageError: for options that contradict each other; it says where they stand.
    """
    if preset is not None and preset not in PRESETS:
        origin = origin_of(context, "preset")
        where = "" if origin.kind == "flag" else f" from {origin.where}"
        more = "; `--preset list` shows them"
        raise UnknownNameError("preset", preset, [*PRESETS, "list"], where, more)
    try:
        return make_settings(preset or DEFAULT_PRESET, given_settings(context))
    except ConflictError as error:
        origins = [origin_of(context, name) for name in error.names]
        places = " and ".join(origin.where for origin in origins if origin.kind != "default")
        raise UsageError(f"{str(error).rstrip('.')}; from {places}.") from None


def tell_idle(
    context: typer.Context, settings: RunSettings, folds: Path | None, quiet: bool
) -> None:
    """Say which of the flags that were given change nothing, beside the others."""
    flags = [name for name in given_settings(context) if explicit(context, name)]
    with make_reporter(quiet) as reporter:
        for sentence in ineffective_options(settings, flags, folds is not None):
            reporter.notice(sentence)
