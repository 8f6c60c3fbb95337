"""`kaggleprice predict`: the submission."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggleprice.cli.arguments import (
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
from kaggleprice.cli.output import make_reporter, make_source, make_workplace, show
from kaggleprice.competitions import DEFAULT_COMPETITION

EXAMPLES = (
    "kaggleprice predict",
    "kaggleprice predict --run mlp-001 --combine median -o median.csv",
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
    from kaggleprice import workflow
    from kaggleprice.views.predict import predict_document, predict_view
    from kaggleprice.views.presets import presets_document, presets_view

    if preset == "list":
        show(as_json, presets_document, presets_view)
        return
    with make_reporter(quiet) as reporter:
        prediction = workflow.predict(
            make_source(competition, data_dir, no_verify),
            make_workplace(runs_dir, device, threads),
            workflow.Asked(name=run, preset=preset, options=options, folds=folds),
            output=output,
            progress=reporter,
        )
    show(
        as_json,
        lambda: predict_document(prediction),
        lambda: predict_view(prediction),
    )
