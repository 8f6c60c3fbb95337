"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli.completion import (
    complete_competitions,
    complete_devices,
    complete_presets,
    complete_runs,
)
from kaggleprice.cli.help import DATA, OUTPUT, RUN, option
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.settings.run import DEFAULT_PRESET, PRESETS
from kaggleprice.settings.training import ENGINES, MOST_THREADS

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Its name, COMPETITION/NAME or folder.",
        show_default="the latest",
        autocompletion=complete_runs,
    ),
]
CompetitionOption = Annotated[
    str | None,
    option(
        DATA,
        f"Which competition: {', '.join(sorted(COMPETITIONS))}, or a TOML file.",
        "--competition",
        "-c",
        value="NAME|FILE.toml",
        default="competition.toml here, else house-prices",
        autocompletion=complete_competitions,
    ),
]
TrainOption = Annotated[
    Path | None,
    option(
        DATA,
        "A training file of no described competition; what its columns are is guessed.",
        "--train",
        value="FILE",
        default="the competition's",
    ),
]
TestOption = Annotated[
    Path | None,
    option(
        DATA,
        "The test file: of --train, or one to predict in place of the competition's.",
        "--test",
        value="FILE",
        default="the competition's",
    ),
]
TargetOption = Annotated[
    list[str] | None,
    option(
        DATA,
        "With --train: the column to predict. May be given again.",
        "--target",
        value="COLUMN",
        default="found by looking",
    ),
]
IdOption = Annotated[
    str | None,
    option(
        DATA,
        "With --train: the column that names rows.",
        "--id",
        value="COLUMN",
        default="found by looking",
    ),
]
KindOption = Annotated[
    list[str] | None,
    option(
        DATA,
        "Kind of a column, whatever the description says: number, category, date, text, latitude, "
        "longitude, drop, or its levels in order as in low<mid<high. May be given again.",
        "--kind",
        value="COLUMN=KIND",
        default="as described",
    ),
]
DropOption = Annotated[
    list[str] | None,
    option(
        DATA,
        "Column that is no feature. May be given again.",
        "--drop",
        value="COLUMN",
        default="as described",
    ),
]
DropMissingTargetOption = Annotated[
    bool,
    option(DATA, "Leave training rows without a target out.", "--drop-missing-target"),
]
DataDirOption = Annotated[
    Path,
    option(
        DATA,
        "Folder of the CSVs; missing ones are fetched to it.",
        "--data-dir",
        value="FOLDER",
    ),
]
NoVerifyOption = Annotated[
    bool,
    option(DATA, "Take data files whose hash is not the recorded one.", "--no-verify"),
]
RunsDirOption = Annotated[
    Path,
    option(RUN, "Folder of the runs.", "--runs-dir", value="FOLDER"),
]
FoldsOption = Annotated[
    Path | None,
    option(
        "Folds and members",
        "Take folds from a CSV with the id and a column `fold`, such as a run's folds.csv.",
        "--folds",
        value="CSV",
        default="made by --k, --fold-scheme and --fold-seed",
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
EngineOption = Annotated[
    str,
    option(
        RUN,
        "What trains groups of networks and predicts many rows: here, or ray, the workers of a "
        "Ray cluster; to the same bytes.",
        "--engine",
        value="NAME",
        autocompletion=lambda: list(ENGINES),
    ),
]
AddressOption = Annotated[
    str | None,
    option(
        RUN,
        "The Ray cluster.",
        "--address",
        value="HOST:PORT",
        default="one on this machine, ended with the command",
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
IntervalOption = Annotated[
    float | None,
    option(
        OUTPUT,
        "Also give intervals that cover so many of the rows, such as 0.9, and the share that they "
        "cover out of fold.",
        "--interval",
        value="SHARE",
        default="none",
    ),
]
