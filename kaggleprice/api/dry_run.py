"""Plans: what a cross-validation would read, train and write, and how long it would take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggleprice import runs
from kaggleprice.api.intervals import check_interval
from kaggleprice.api.prediction import PredictRequest, check_request
from kaggleprice.api.workflow import split_rows
from kaggleprice.competitions.data import Dataset, DatasetRef, load, refuse_overwriting_inputs
from kaggleprice.competitions.download import FetchedFile, absent
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.runs.gates import Limits
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import (
    RuntimeConfig,
    check_data,
    check_identity,
    check_start,
    finished_run,
    identify,
    source_of,
)
from kaggleprice.settings.run import RunSettings, settings_to_record
from kaggleprice.training.loop import Group
from kaggleprice.training.train import time_step

# About so many seconds of steps are measured for the estimate.
_MEASURED = 1.0


@dataclass(frozen=True)
class Workload:
    """What there is to compute.

    Attributes:
        rows: training rows.
        test_rows: test rows.
        columns: of the tables, before engineering.
        features: features of each fold, after its recipe.
        fold_sizes: validation rows of each fold.
        members: networks.
        targets: columns that are predicted, by networks of their own.
        parameters: learned numbers of all members together.
        steps: optimizer steps in all epochs; all members step together.
        operations: multiplications and additions of all matrix products of the training.
        seconds: estimated, of the training alone: a step's time, measured just now, times the
            steps that a checkpoint leaves to do, or the time limit. Histories, base models and
            predictions come on top, a few percent but for base models.
    """

    rows: int
    test_rows: int
    columns: int
    features: list[int]
    fold_sizes: list[int]
    members: int
    targets: int
    parameters: int
    steps: int
    operations: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """A cross-validation that was not done.

    Attributes:
        competition: its name.
        settings: every setting: recipe, model, training, and the run's own.
        files: what would be read, as far as it is there.
        fetched: files that would be fetched first.
        workload: None where files are to be fetched, or read, first.
        device: where it would be trained: cpu, cuda, mps, or several such as cuda:0,cuda:1.
        threads: CPU threads.
        path: the run folder that would be written.
        resumes: the folder of the checkpoint that it would go on from; None where there is none.
    """

    competition: str
    settings: dict[str, Any]
    files: list[FetchedFile]
    fetched: list[Path]
    workload: Workload | None
    device: str
    threads: int
    path: Path
    resumes: Path | None


@dataclass(frozen=True)
class PredictionPlan:
    """A prediction that was not done.

    Attributes:
        competition: its name.
        runs: those that would predict; none where one would be trained first.
        training: how that one would be trained; None where there is a run.
        outputs: files that would be written, beside a trained run's own.
    """

    competition: str
    runs: list[Run]
    training: Plan | None
    outputs: list[Path]


def plan_prediction(
    source: DatasetRef,
    runtime: RuntimeConfig,
    request: PredictRequest,
    *,
    output: Path,
    interval: float | None = None,
    progress: Progress = SILENT,
) -> PredictionPlan:
    """Do all of `kaggleprice.api.prediction.predict` but training, predicting and writing.

    Args:
        source: the data.
        runtime: where runs lie.
        request: which run, or how one would be trained.
        output: the submission.
        interval: the share of rows that intervals shall cover; None for no intervals.
        progress: told what happens.

    Raises:
        KagglePriceError: as `predict`.
    """
    runs, outputs, _ = check_request(source, runtime, request, output, interval, progress)
    if not absent(source.competition, source.data_dir):
        readers: list[Run | None] = [*runs] or [None]
        for run in readers:
            own = source if run is None else source_of(run, source, progress)
            data = load(own, progress)
            refuse_overwriting_inputs(data, *outputs)
            if run is not None:
                check_data(run, own.competition, data)
    training = None
    if not runs:
        training = plan(
            source,
            request.settings,
            runtime,
            folds=request.folds,
            interval=interval,
            progress=progress,
        )
    folders = [training.path] if training is not None else []
    folders += [run.path for run in runs if len(runs) == 1]
    written = [*(folder / "submission.csv" for folder in folders), *outputs]
    return PredictionPlan(source.competition.name, runs, training, written)


def plan(
    source: DatasetRef,
    settings: RunSettings,
    runtime: RuntimeConfig,
    *,
    name: str | None = None,
    folds: Path | None = None,
    limits: Limits | None = None,
    interval: float | None = None,
    progress: Progress = SILENT,
) -> Plan:
    """Do all of `kaggleprice.api.workflow.cross_validate` but training and writing.

    What would fail before training fails here, with the same error. Files that are not there
    are not fetched.

    Args:
        source: the data.
        settings: what to plan.
        runtime: where.
        name: of the run; None for the next free one.
        folds: a CSV of folds to use instead of making them.
        limits: checked, as far as they can be, before training.
        interval: likewise.
        progress: told what happens.

    Raises:
        KagglePriceError: as `cross_validate`.
    """
    competition = source.competition
    made = finished_run(competition, runtime, name, settings)
    compute = check_start(competition, runtime, None if made else name)
    fetched, files = absent(competition, source.data_dir), []
    workload = resumes = None
    if not fetched:
        data = load(replace(source, group_column=settings.fold_column), progress)
        split = split_rows(competition, data, settings, folds, limits, progress)
        check_interval(interval, split)
        identity = identify(competition, data, settings, split, compute)
        if made is not None:
            check_identity(made, identity, runtime)
            progress.notice(f"run {made.name} is finished already: nothing would be trained")
        checkpoint = runtime.checkpoint(competition, identity, progress)
        problem = cross_validation.prepare(
            competition, data.tables, split, settings, compute.devices
        )
        files, workload = data.files, _measure(problem, data, runtime, checkpoint.kept)
        resumes = checkpoint.folder if checkpoint.kept else None
    name = name or runs.new_name(runtime.runs_dir, competition, settings)
    return Plan(
        competition=competition.name,
        settings=settings_to_record(settings),
        files=files,
        fetched=fetched,
        workload=workload,
        device=compute.name,
        threads=compute.threads,
        path=runtime.runs_of(competition) / name,
        resumes=resumes,
    )


def _measure(
    problem: PreparedRun, data: Dataset, runtime: RuntimeConfig, kept: Mapping[Group, int]
) -> Workload:
    """Count what there is to compute, and time some steps.

    Args:
        problem: what is to be trained.
        data: its data.
        runtime: says how long it may take.
        kept: the groups that an earlier process trained for so many epochs.
    """
    task = problem.task
    steps = operations = 0
    seconds = 0.0
    for span in task.spans:
        part = task.of(span)
        training = part.settings.training
        trained = np.array([len(part.inner_split(member)[0]) for member in part.members])
        own = training.passes * int(-(-trained.max() // training.rows_per_step))
        each = part.of(slice(1)).blank_network().operations()
        operations += training.passes * int(trained.sum()) * each
        groups = {g: epoch for g, epoch in kept.items() if span.start <= g.first < span.stop}
        done = sum(group.count * epoch for group, epoch in groups.items())
        left = max(0.0, 1 - done / (len(part.members) * training.passes))
        seconds += time_step(part, problem.devices, _MEASURED / len(task.spans)) * own * left
        steps = max(steps, own)
    return Workload(
        rows=len(task.rows),
        test_rows=len(data.tables.test),
        columns=len(data.tables.train.features.columns),
        features=[int(active.sum()) for active in task.encoding.active],
        fold_sizes=[len(validation) for _, validation in task.folds],
        members=len(task.members),
        targets=1 + max(member.target for member in task.members),
        parameters=problem.task.parameters,
        steps=steps,
        operations=operations,
        seconds=min(seconds, runtime.time_limit or math.inf),
    )
