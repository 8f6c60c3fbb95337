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
from kaggleprice.cli.help import DATA, OUTPUT, RUN, option
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
    option(
        DATA,
        f"Which competition: {', '.join(sorted(COMPETITIONS))}, or a TOML file.",
        "--competition",
        "-c",
        value="NAME|FILE.toml",
        autocompletion=complete_competitions,
    ),
]
DataDirOption = Annotated[
    Path,
    option(
        DATA,
        "Folder of the CSVs; missing ones are fetched to it.",
        "--data-dir",
        value="FOLDER",
        envvar="KAGGLEPRICE_DATA_DIR",
    ),
]
NoVerifyOption = Annotated[
    bool,
    option(DATA, "Take data files whose hash is not the recorded one.", "--no-verify"),
]
RunsDirOption = Annotated[
    Path,
    option(RUN, "Folder of the runs.", "--runs-dir", value="FOLDER", envvar="KAGGLEPRICE_RUNS_DIR"),
]
FoldsOption = Annotated[
    Path | None,
    option(
        "Folds and members",
        "Take folds from a CSV with the id and a column `fold`, such as a run's folds.csv.",
        "--folds",
        value="CSV",
        default="made by --k, --shuffle and --fold-seed",
    ),
]
DeviceOption = Annotated[
    str,
    option(
        RUN,
        "Where to compute: cpu, cuda, mps, or auto, the first there is of CUDA, MPS, CPU; "
        "cuda:0,cuda:1 spreads the networks over several.",
        "--device",
        value="NAME",
        autocompletion=complete_devices,
    ),
]
ThreadsOption = Annotated[
    int | None,
    option(
        RUN,
        "CPU threads.",
        "--threads",
        value="N",
        default="as torch chooses",
        min=1,
        max=MOST_THREADS,
    ),
]
TimeLimitOption = Annotated[
    str | None,
    option(
        RUN,
        "End training with the last epoch that fits into this time, such as 90s, 10m or "
        "1h30m; the run is valid and marked.",
        "--time-limit",
        value="TIME",
        default="none",
    ),
]
CheckpointOption = Annotated[
    str,
    option(
        RUN,
        "Time between checkpoints, from which the same command goes on after it was interrupted.",
        "--checkpoint-every",
        value="TIME|none",
    ),
]
DryRunOption = Annotated[
    bool,
    option(
        RUN,
        "Show what would be read, trained and written, and how long it would take; do nothing.",
        "--dry-run",
    ),
]
PresetOption = Annotated[
    str | None,
    option(
        RUN,
        f"Settings to start from. One of {', '.join(PRESETS)}; `list` shows them with their "
        "measured score and time.",
        "--preset",
        value="NAME",
        default=DEFAULT_PRESET,
        autocompletion=complete_presets,
    ),
]
JsonOption = Annotated[
    bool,
    option(
        OUTPUT,
        "Print one JSON document on stdout instead.",
        "--json",
        callback=manner.hear_json,
        is_eager=True,
    ),
]
QuietOption = Annotated[
    bool,
    option(OUTPUT, "No progress and no notices.", "--quiet", "-q"),
]
ProgressOption = Annotated[
    str,
    option(
        OUTPUT,
        f"How progress is told on stderr. One of {', '.join(FORMS)}.",
        "--progress",
        value="NAME",
        callback=manner.hear_progress,
        is_eager=True,
        autocompletion=lambda: list(FORMS),
    ),
]
VerboseOption = Annotated[
    bool,
    option(
        OUTPUT,
        "More notices: versions, hashes, settings, seconds per stage, files written.",
        "--verbose",
        "-v",
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
