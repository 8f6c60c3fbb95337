"""`kaggleprice cv`: the honest score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggleprice.cli.arguments import (
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
from kaggleprice.cli.output import make_reporter, make_source, make_workplace, show
from kaggleprice.competitions import DEFAULT_COMPETITION

EXAMPLES = (
    "kaggleprice cv --k 5 --lr 0.01",
    "kaggleprice cv --preset book --seeds 20",
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
    from kaggleprice import workflow
    from kaggleprice.settings import DEFAULT_PRESET
    from kaggleprice.views.cv import cv_document, cv_view
    from kaggleprice.views.presets import presets_document, presets_view

    if preset == "list":
        show(as_json, presets_document, presets_view)
        return
    settings = workflow.make_settings(preset or DEFAULT_PRESET, options)
    with make_reporter(quiet) as reporter:
        made, _ = workflow.cross_validate(
            make_source(competition, data_dir, no_verify),
            settings,
            make_workplace(runs_dir, device, threads),
            name=run,
            folds=folds,
            progress=reporter,
        )
    show(as_json, lambda: cv_document(made), lambda: cv_view(made))
