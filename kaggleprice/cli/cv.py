"""`kaggleprice cv`: the honest score."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggleprice.cli import arguments, ci
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
from kaggleprice.cli.help import RUN, option
from kaggleprice.cli.output import make_reporter, output_options, show, start
from kaggleprice.core.errors import UsageError

if TYPE_CHECKING:
    from kaggleprice.core.progress import Progress
    from kaggleprice.evaluation.intervals import Coverage
    from kaggleprice.runs.gates import Limits
    from kaggleprice.runs.run import Run

COMMAND = RunCommand
EXAMPLES = (
    "kaggleprice cv --k 5 --lr 0.01",
    "kaggleprice cv --preset book --seeds 20",
)


def cv(
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
        str | None,
        option(
            RUN,
            "Name of the new run, or of a finished one; with --seeds N alone it gets N in all.",
            "--run",
            value="NAME",
            default="the next free one",
            autocompletion=complete_runs,
        ),
    ] = None,
    add_seeds: Annotated[
        int | None,
        option(
            RUN,
            "Train so many more networks per fold for the run that --run names.",
            "--add-seeds",
            value="N",
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
    interval: arguments.IntervalOption = None,
    fail_above: ci.FailAboveOption = None,
    fail_below: ci.FailBelowOption = None,
    baseline: ci.BaselineOption = None,
    tolerance: ci.ToleranceOption = None,
    junit: ci.JunitOption = None,
    summary: ci.SummaryOption = None,
) -> None:
    """Cross-validate: train all folds and seeds together, score them out of fold, save the run."""
    start()
    from kaggleprice.api import workflow
    from kaggleprice.api.dry_run import plan
    from kaggleprice.api.intervals import interval_coverage
    from kaggleprice.cli.views.plan import PlanDocument, plan_view
    from kaggleprice.cli.views.presets import presets_document, presets_view
    from kaggleprice.evaluation.intervals import check_level
    from kaggleprice.runs import gates
    from kaggleprice.runs.describe import typed_settings

    if preset == "list":
        show(presets_document(own_presets(context)), presets_view)
        return
    source, runtime = read_dataset(context), read_runtime(context)
    limits = ci.read_limits(
        fail_above, fail_below, baseline, tolerance, runs_dir, source.competition.name
    )
    limits.check_direction(source.competition.metric)
    check_level(interval)
    delivery = ci.Delivery(source.competition.name, junit, summary)
    how: dict[str, Any] = {"name": run, "folds": folds, "limits": limits, "interval": interval}
    more = _more_seeds(context, runtime.runs_of(source.competition))
    settings = None
    if more is not None:
        if baseline is not None:
            limits.check_scored(gates.read_scored(str(run), runs_dir, source.competition.name))
        train = partial(workflow.add_seeds, source, runtime, str(run), interval=interval, **more)
    else:
        usual = {}
        if folds is None:
            usual = source.competition.fold_options(given_settings(context))
        settings = chosen_settings(context, chosen_preset(context, preset), usual)
        warn_ineffective_options(context, settings, folds)
        if dry_run:
            with make_reporter() as reporter:
                planned = plan(source, settings, runtime, **how, progress=reporter)
            show(PlanDocument(**vars(planned)), plan_view)
            return
        train = partial(workflow.cross_validate, source, settings, runtime, **how)
    with make_reporter() as reporter, delivery.of_failure(reporter):
        if settings is not None:
            reporter.detail(f"settings: {typed_settings(settings) or 'those of preset default'}")
        made, _ = train(progress=reporter)
    coverage = None
    if interval is not None:
        coverage = interval_coverage(made, made.target_scale(source.competition), interval)
    _finish(context, made, limits, delivery, reporter, coverage)


def _finish(
    context: typer.Context,
    made: Run,
    limits: Limits,
    delivery: ci.Delivery,
    progress: Progress,
    coverage: Mapping[str, Coverage] | None,
) -> None:
    """Write what CI is given, show the run, and demand what was to be kept: in this order."""
    from kaggleprice.cli.views.cv import cv_document, cv_view
    from kaggleprice.runs.advice import after_training, compare_with_best
    from kaggleprice.runs.gates import judge, require

    gates = judge(limits, made)
    delivery.deliver(made, gates, progress)
    earlier = compare_with_best(made)
    steps = []
    if not output_options.quiet:
        steps = after_training(made, repeated(context), repeated_kinds(context))
    show(
        cv_document(made, gates, earlier, coverage),
        lambda document: cv_view(document, earlier, steps),
    )
    require(gates)


def _more_seeds(context: typer.Context, runs: Path) -> dict[str, Any] | None:
    """Return which seeds a run that there is shall get; None where a run is to be made.

    Raises:
        UsageError: where something else is said of that run.
    """
    from kaggleprice.runs.exclusive import has_run

    run, count = context.params["run"], context.params["add_seeds"]
    others = [n for n in ("preset", "folds", *given_settings(context)) if explicit(context, n)]
    # Where nothing but --seeds is said of a run that there is, they are those in all.
    total = count is None and run is not None and others == ["seeds"] and has_run(runs, run)
    if total:
        count, others = context.params["seeds"], []
    if count is None:
        return None
    if run is None:
        raise UsageError("--add-seeds needs --run NAME, the finished run to add them to.")
    others += ["dry_run"] * context.params["dry_run"]
    if others:
        option = f"--{others[0].replace('_', '-')}"
        raise UsageError(f"--add-seeds trains with the settings of run {run}; leave {option} away.")
    return {"count": count, "total": total}
