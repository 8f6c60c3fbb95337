"""More seeds for a finished run, without training again those that it has."""

from __future__ import annotations

from dataclasses import replace

from kaggleprice.competitions.data import DatasetRef, load
from kaggleprice.core.errors import UsageError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.cross_validation import CrossValidation, PreviousResults
from kaggleprice.runs.listing import find_run
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import RuntimeConfig, check_data, check_start, identify
from kaggleprice.runs.writing import write_run


def add_seeds(
    source: DatasetRef,
    runtime: RuntimeConfig,
    name: str,
    count: int,
    progress: Progress = SILENT,
) -> tuple[Run, CrossValidation]:
    """Train `count` more random starts per fold, and let the run be that of all.

    Members do not depend on who is trained beside them, so the run is what it would be had it
    been trained with all its seeds at once, up to float rounding. Its folder is replaced as a
    whole; a submission and a report that lay in it spoke of the fewer members, and go.

    Args:
        source: the data; the very files that the run was trained on.
        runtime: where runs lie.
        name: of the run.
        count: seeds to add.
        progress: told what happens.

    Raises:
        UsageError: for less than one seed, and for a run that a time limit ended.
        UnknownNameError: for a name that no run has.
        DataError: where the data changed since the run was trained.
        KagglePriceError: as `kaggleprice.api.workflow.cross_validate`.
    """
    competition = source.competition
    if count < 1:
        raise UsageError(f"--add-seeds must be 1 or more, found {count}.")
    compute = check_start(competition, runtime, None)
    run = find_run(runtime.runs_dir, competition.name, name)
    if run.record.get("cut_at") is not None:
        raise UsageError(
            f"run {run.name} was ended by a time limit, so more seeds would be trained for longer "
            "than its own; train a new run."
        )
    data = load(source, progress)
    check_data(run, competition, data)
    ensemble = run.ensemble()
    ensemble = replace(ensemble, fit=replace(ensemble.fit, history=run.history()))
    settings = replace(run.settings, seeds=run.settings.seeds + count)
    split = run.folds()
    progress.notice(
        f"run {run.name} has {run.settings.seeds} seeds per fold: training {count} more"
    )
    identity = identify(competition, data, settings, split, compute)
    identity["known"] = run.record["digest"]
    with runtime.checkpoint(competition, identity, progress) as checkpoint:
        result = cross_validation.cross_validate(
            competition,
            data.tables,
            split,
            settings,
            compute.devices,
            progress,
            checkpoint.callbacks,
            PreviousResults(ensemble, run.base_models()),
        )
        seconds = run.record["timing"]["seconds"] + result.seconds
        result = replace(result, seconds=seconds)
        progress.advance("writing", 0, None, "the run folder")
        train = data.tables.train
        extended = write_run(
            runtime.runs_dir, run.name, competition, train, result, data.record, replaced=run
        )
    return extended, result
