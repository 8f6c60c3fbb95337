"""`kaggleprice predict`: the submission."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli.commands import (
    RunCommand,
    chosen_preset,
    chosen_settings,
    given_settings,
    own_presets,
    warn_ineffective_options,
)
from kaggleprice.cli.completion import complete_runs
from kaggleprice.cli.configured import explicit
from kaggleprice.cli.dataset import read_dataset, read_runtime, repeated, repeated_kinds
from kaggleprice.cli.help import OUTPUT, RUN, option
from kaggleprice.cli.output import make_reporter, output_options, show, start

COMMAND = RunCommand
EXAMPLES = (
    "kaggleprice predict",
    "kaggleprice predict --run mlp-001 --combine median -o median.csv",
    "kaggleprice predict --run mlp-001 --run mlp-002 --weight 2 --weight 1",
)


def predict(
    *,
    context: typer.Context,
    competition: arguments.CompetitionOption = None,
    train_file: arguments.TrainOption = None,
    test_file: arguments.TestOption = None,
    target: arguments.TargetOption = None,
    id_column: arguments.IdOption = None,
    kind: arguments.KindOption = None,
    drop: arguments.DropOption = None,
    drop_missing_target: arguments.DropMissingTargetOption = False,
    data_dir: arguments.DataDirOption = Path("data"),
    no_verify: arguments.NoVerifyOption = False,
    run: Annotated[
        list[str] | None,
        option(
            RUN,
            "Which run predicts: its name, COMPETITION/NAME or folder. Given again, the "
            "predictions of all are averaged.",
            "--run",
            value="NAME",
            default="the latest; without one, it is trained",
            autocompletion=complete_runs,
        ),
    ] = None,
    weight: Annotated[
        list[float] | None,
        option(
            RUN,
            "What each --run counts in the average, in their order.",
            "--weight",
            value="X",
            default="the same for all",
        ),
    ] = None,
    runs_dir: arguments.RunsDirOption = Path("runs"),
    preset: arguments.PresetOption = None,
    device: arguments.DeviceOption = "auto",
    threads: arguments.ThreadsOption = None,
    time_limit: arguments.TimeLimitOption = None,
    checkpoint_every: arguments.CheckpointOption = "10s",
    engine: arguments.EngineOption = "here",
    address: arguments.AddressOption = None,
    dry_run: arguments.DryRunOption = False,
    folds: arguments.FoldsOption = None,
    output: Annotated[
        Path,
        option(OUTPUT, "The submission.", "--output", "-o", value="FILE"),
    ] = Path("submission.csv"),
    interval: arguments.IntervalOption = None,
) -> None:
    """Average all members of a run, or of several, on the test rows and write submission.csv.

    Without a run yet it trains one first, as [bold]cv[/] does with the same options.
    """
    start()
    from kaggleprice.api import prediction
    from kaggleprice.api.dry_run import plan_prediction
    from kaggleprice.cli.views.plan import prediction_plan_document, prediction_plan_view
    from kaggleprice.cli.views.predict import predict_document, predict_view
    from kaggleprice.cli.views.presets import presets_document, presets_view
    from kaggleprice.evaluation.intervals import check_level
    from kaggleprice.runs.advice import after_prediction, send_step

    if preset == "list":
        show(presets_document(own_presets(context)), presets_view)
        return
    check_level(interval)
    source, runtime = read_dataset(context, later_test=True), read_runtime(context)
    given = given_settings(context)
    usual = {} if folds is not None else source.competition.fold_options(given)
    options = {**usual, **given}
    configured = [n for n in ("preset", "folds", *options) if not explicit(context, n)]
    first, beside = (run[0], run[1:]) if run else (None, [])
    named = chosen_preset(context, preset)
    request = prediction.PredictRequest(
        first, preset and named, options, folds, configured, beside, weight or ()
    )
    warn_ineffective_options(context, chosen_settings(context, named, usual), folds)
    if dry_run:
        with make_reporter() as reporter:
            planned = plan_prediction(
                source, runtime, request, output=output, interval=interval, progress=reporter
            )
        show(
            prediction_plan_document(planned),
            lambda document: prediction_plan_view(document, planned),
        )
        return
    with make_reporter() as reporter:
        made = prediction.predict(
            source, runtime, request, output=output, interval=interval, progress=reporter
        )
    again = repeated(context)
    # An average of runs is no run that `submit` could send.
    several = len(made.beside) > 0 or source.competition.kaggle is None
    sending = [] if several else [send_step(again)]
    another = after_prediction(made.run, again, repeated_kinds(context))
    steps = [] if output_options.quiet else [*sending, *another]
    show(
        predict_document(made),
        lambda document: predict_view(
            document, made, steps=steps, page=source.competition.page or None
        ),
    )
