"""`predict`: test rows predicted by a run's members, or by several runs, as a submission."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.api.intervals import intervals_beside, make_intervals
from kaggleprice.api.workflow import cross_validate, easy_folds
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.data import Dataset, DatasetRef, load, refuse_overwriting_inputs
from kaggleprice.competitions.submission import (
    check_predictions,
    make_submission,
    write_intervals,
    write_submission,
)
from kaggleprice.core.errors import UsageError
from kaggleprice.core.files import check_writable
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.core.registry import look_up
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.averaging_gain import averaging_gain, spread_of_folds
from kaggleprice.evaluation.cross_validation import CrossValidation
from kaggleprice.evaluation.ensemble import Ensemble, WeightedPredictions
from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.intervals import Coverage, check_level
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.runs.exclusive import unchanged
from kaggleprice.runs.listing import find_run, latest_run
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import RuntimeConfig, check_data, source_of
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.run import (
    COMBINES,
    DEFAULT_PRESET,
    Preset,
    RunSettings,
    flat_settings,
    make_settings,
)
from kaggleprice.training.devices import Compute, choose_compute, place_network
from kaggleprice.training.executors import Executor

# Options that `predict` may give beside a run without contradicting how it was trained.
_ONLY_PREDICTION = {"combine", "bound"}


@dataclass(frozen=True)
class PredictRequest:
    """Which run is to predict, and how one is trained where there is none.

    Attributes:
        name: of the run; None for the latest finished one.
        preset: as for `make_settings`; None where none was named.
        options: as for `make_settings`. Preset and options train a run where there is none, and
            must not contradict one that there is.
        folds: a CSV of folds, only where a run is to be trained.
        configured: which of `options`, `preset` and `folds` stand in a configuration: they train
            a run where there is none, and say nothing of one that there is.
        beside: further runs, whose predictions are averaged with those of the first.
        weights: what each run counts; empty where all count the same.
    """

    name: str | None = None
    preset: str | Preset | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    folds: Path | None = None
    configured: Collection[str] = ()
    beside: Sequence[str] = ()
    weights: Sequence[float] = ()

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            UsageError: where there are more or fewer than runs, or one is not above 0.
        """
        count = len(self.beside) + (self.name is not None)
        if self.weights and len(self.weights) != count:
            raise UsageError(
                f"--weight must be given once for each --run: found {len(self.weights)} weights "
                f"and {count} runs."
            )
        wrong = [weight for weight in self.weights if not 0 < weight < math.inf]
        if wrong:
            raise UsageError(f"--weight takes a number above 0; found {wrong[0]:g}.")

    @property
    def settings(self) -> RunSettings:
        """The preset with the options."""
        return make_settings(self.preset or DEFAULT_PRESET, self.options)

    @property
    def explicit_settings(self) -> dict[str, Any]:
        """The settings that a run must have, as in `flat_settings`: none that is configured."""
        explicit = {n: value for n, value in self.options.items() if n not in self.configured}
        if self.preset is None or "preset" in self.configured:
            return explicit
        preset, all_of_it = make_settings(self.preset, explicit), flat_settings(self.settings)
        return {n: value for n, value in flat_settings(preset).items() if all_of_it[n] == value}


@dataclass(frozen=True)
class Prediction:
    """The result of `predict`.

    Attributes:
        run: whose members predicted; the first of several.
        submission: what was written: id and target column.
        output: where.
        trained: the cross-validation, where the run had to be trained first.
        beside: runs that were averaged with it.
        weights: what each of all the runs counts; they sum to 1.
        outside: how many predictions left the range of the training target, before they were
            bounded.
        coverage: what intervals are worth, by target; None where none were asked for.
        intervals: where they were written; None likewise.
        gain: by how much the submission is expected to score better than the run's pooled score,
            since it averages all folds' members; None where nobody knows.
        notes: sentences that must stand wherever the score is shown.
    """

    run: Run
    submission: pd.DataFrame
    output: Path
    trained: CrossValidation | None = field(default=None)
    beside: Sequence[Run] = ()
    weights: Sequence[float] = (1.0,)
    outside: int = 0
    coverage: Mapping[str, Coverage] | None = None
    intervals: Path | None = None
    gain: float | None = None
    notes: Sequence[str] = ()

    @property
    def shares(self) -> list[tuple[Run, float]]:
        """Every run with what it counts."""
        return list(zip([self.run, *self.beside], self.weights, strict=True))


def predict(
    source: DatasetRef,
    runtime: RuntimeConfig,
    request: PredictRequest | None = None,
    *,
    output: Path = Path("submission.csv"),
    interval: float | None = None,
    progress: Progress = SILENT,
) -> Prediction:
    """Predict the test rows with a run's members, and write the submission.

    Args:
        source: the data.
        runtime: where runs lie.
        request: which run, or how to train one where there is none.
        output: the submission; it is also written to the run folder.
        interval: the share of rows that intervals shall cover, which are written to a file beside
            the submission; None for no intervals.
        progress: told what happens.

    Raises:
        UsageError: where options contradict the run.
        DataError: where the data changed since the run was trained.
        KagglePriceError: as `kaggleprice.api.workflow.cross_validate`.
    """
    competition, request, trained = source.competition, request or PredictRequest(), None
    runs, outputs, compute = check_request(source, runtime, request, output, interval, progress)
    own = source if not runs else source_of(runs[0], source, progress)
    data = load(own, progress)
    refuse_overwriting_inputs(data, *outputs)
    if not runs:
        run, trained = cross_validate(
            source,
            request.settings,
            runtime,
            folds=request.folds,
            interval=interval,
            progress=progress,
        )
        runs = [run]
    found: list[_Predicted] = []
    for run, read, table in _read_for(runs, source, (own, data), progress):
        progress.advance("predicting", 0, None, f"{len(table.tables.test)} rows")
        found.append(_predict(run, read, table, request, runtime, compute, progress))
    weights, test = np.array(request.weights or [1.0] * len(runs)), data.tables.test
    predictions = _average([one.predictions for one in found], weights)
    # What cannot be made is told before anything is written.
    intervals = None
    if interval is not None:
        intervals = make_intervals(runs[0], found[0].scale, interval, predictions)
    submission = make_submission(competition, test, predictions)

    def write(path: Path) -> None:
        write_submission(submission, competition, test, path)
        progress.detail(f"{len(submission)} rows written to {path}")

    if len(runs) == 1:
        _write_copy(runs[0], write, progress)
    write(output)
    shares, outside = (weights / weights.sum()).tolist(), sum(one.outside for one in found)
    made = Prediction(
        runs[0],
        submission,
        output,
        trained,
        runs[1:],
        shares,
        outside,
        # An average of runs is scored as such, and what of it was gained so is not told apart.
        gain=found[0].gain if len(found) == 1 else None,
        notes=list(dict.fromkeys(note for one in found for note in one.notes)),
    )
    if intervals is None:
        return made
    coverage, low, high = intervals
    write_intervals(submission, low, high, outputs[-1])
    progress.detail(f"{len(submission)} intervals written to {outputs[-1]}")
    return replace(made, coverage=coverage, intervals=outputs[-1])


def _write_copy(run: Run, write: Callable[[Path], None], progress: Progress) -> None:
    """Write the submission into the folder of its run, if that is still what has predicted."""
    with unchanged(run.path, run.record["digest"], progress) as same:
        if same:
            write(run.output("submission.csv"))
    if not same:
        progress.notice(
            f"run {run.name} was changed meanwhile: the submission is of what it was before, and "
            "its folder has no copy"
        )


def _read_for(
    runs: Sequence[Run],
    source: DatasetRef,
    first: tuple[DatasetRef, Dataset],
    progress: Progress,
) -> Iterator[tuple[Run, DatasetRef, Dataset]]:
    """Yield each run and the data, read with the kinds of columns that are its own.

    Args:
        runs: one or more.
        source: the data, with the kinds of today.
        first: the data as the first run reads them.
        progress: told what happens.

    Raises:
        UsageError, DataError: as `source_of`, `load` and `check_data`.
    """
    own, data = first
    for run in runs:
        before, own = own, source_of(run, source, progress) if run != runs[0] else own
        data = data if own == before else load(own, progress)
        check_data(run, own.competition, data)
        yield run, own, data


def _average(
    predictions: Sequence[NDArray[np.float64]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of several runs' predictions, or those of the only one, to the last bit."""
    if len(predictions) == 1:
        return predictions[0]
    return np.asarray(np.average(predictions, axis=0, weights=weights))


def check_request(
    source: DatasetRef,
    runtime: RuntimeConfig,
    request: PredictRequest,
    output: Path,
    interval: float | None,
    progress: Progress,
) -> tuple[list[Run], list[Path], Compute]:
    """Check all that can be checked before data are read; arguments as for `predict`.

    Returns:
        The runs that are to predict, none where one is to be trained first; the files that are
        written for the user; and what computes.

    Raises:
        KagglePriceError: as `predict`.
    """
    _check_asked(interval, request)
    outputs = [output] if interval is None else [output, intervals_beside(output)]
    for path in outputs:
        check_writable(path)
    compute = choose_compute(runtime.device, runtime.threads)
    if source.competition.test is None and source.later_test is None:
        raise UsageError(f"{source.competition.name} has no test file; name one with --test.")
    runs = _resolve_runs(source.competition, runtime, request, progress)
    for run in runs if len(runs) == 1 else ():
        check_writable(run.output("submission.csv"))
    return runs, outputs, compute


def _check_asked(level: float | None, request: PredictRequest) -> None:
    how = request.options.get("combine")
    if how is not None:
        look_up(COMBINES, how, "combination")
    check_level(level)
    if level is not None and request.beside:
        raise UsageError(
            f"--interval takes the residuals of one run, found {len(request.beside) + 1} runs; "
            "name one with --run."
        )


@dataclass(frozen=True)
class _Predicted:
    """What a run predicts of the test rows.

    Attributes:
        predictions: shape (n,) or (n, T), in the target's own unit.
        outside: how many of them left the range of the training target.
        scale: of the target.
        gain: by how much the mean of all folds is expected to score better than the run's pooled
            score; None where nobody knows.
        notes: sentences that must stand wherever the score is shown.
    """

    predictions: NDArray[np.float64]
    outside: int
    scale: TargetScale
    gain: float | None
    notes: Sequence[str]


def _predict(
    run: Run,
    source: DatasetRef,
    data: Dataset,
    request: PredictRequest,
    runtime: RuntimeConfig,
    compute: Compute,
    progress: Progress,
) -> _Predicted:
    """Predict the test rows with one run's networks and base models."""
    competition, test = source.competition, data.tables.test
    bound = request.options.get("bound", run.settings.bound)
    scale = run.target_scale(competition, data.tables.train, bound)
    ensemble = run.ensemble()
    place_network(ensemble.network, compute.device, progress)
    base_models = run.base_models()
    if base_models is not None and source.later_test is not None:
        raise UsageError(
            f"run {run.name} keeps what its base models predict of {competition.name}'s own test "
            "file, and cannot predict another one; train with --base-models none for that."
        )
    with _executor_of(runtime, compute, ensemble, len(test), progress) as executor:
        everybody = ensemble.predict_beside(test.features, base_models, executor)
    how = request.options.get("combine") or run.settings.combine
    split = run.folds()
    if len(split.predicting) < len(split):
        progress.notice(
            f"new rows are predicted by the networks of fold {split.predicting[0] + 1}, which "
            "trained on the rows of all others and more"
        )
    raw = everybody.of_new_rows(split).combine(scale.unbounded, how)
    check_predictions(competition, test, raw)
    outside = int(scale.outside(raw, range(scale.folds)).sum())
    if outside:
        words = cross_validation.outside_text(outside, raw.size, "test", bound=bound)
        progress.notice(words)
    gain: float | None
    if request.options.get("combine") is not None or source.later_test is not None:
        gain = _gain_of_run(run, everybody, split, scale, how)
    else:
        gain = run.record["scores"].get("averaging_gain")
    warning = easy_folds(data, split)
    notes = dict.fromkeys([*run.record["notes"], *([] if warning is None else [warning])])
    kept = scale.keep_inside(raw, range(scale.folds))
    return _Predicted(kept, outside, scale, gain, list(notes))


def _executor_of(
    runtime: RuntimeConfig, compute: Compute, ensemble: Ensemble, rows: int, progress: Progress
) -> AbstractContextManager[Executor | None]:
    """Return the cluster that predicts so many rows; None for few, or without a cluster."""
    if runtime.engine != "ray" or len(ensemble.parts_of(rows)) < 2:
        return nullcontext()
    return runtime.executor(compute, progress)


def _gain_of_run(
    run: Run, everybody: WeightedPredictions, split: Folds, scale: TargetScale, how: str | None
) -> float | None:
    """Estimate what averaging all folds gains on other rows than those that the run tells of."""
    rows = run.predictions
    return averaging_gain(
        run.metric,
        rows["true"].to_numpy(),
        rows["predicted"].to_numpy(),
        spread_of_folds(everybody, len(split), scale, how),
        split,
        scale.transforms[0],
        how,
        rows["weight"].to_numpy() if "weight" in rows else None,
    )


def _resolve_runs(
    competition: Competition, runtime: RuntimeConfig, request: PredictRequest, progress: Progress
) -> list[Run]:
    """Return the runs that are to predict; none where one is to be trained first.

    Raises:
        UsageError: where options contradict a run, or no run could be trained with them; where
            a run is named twice.
        UnknownNameError, RunFolderError: as `kaggleprice.runs.listing.find_run`.
    """
    runs_dir, name = runtime.runs_dir, competition.name
    if request.name is None:
        run = latest_run(runs_dir, name, progress.notice)
    else:
        run = find_run(runs_dir, name, request.name)
    runs = [] if run is None else [run, *(find_run(runs_dir, name, n) for n in request.beside)]
    if run is None:
        # Settings that cannot be are refused before anything is read.
        _ = request.settings
        progress.notice(f"no run of {competition.name} yet: training one first, as `cv` does")
    for i, each in enumerate(runs):
        _check_agrees(each, request)
        if each.path.resolve() in [other.path.resolve() for other in runs[:i]]:
            raise UsageError(f"run {each.name} is named twice; say with --weight what it counts.")
        progress.notice(f"using run {each.name} of {each.path.parent}")
    return runs


def _check_agrees(run: Run, request: PredictRequest) -> None:
    trained = flat_settings(run.settings)
    wanted = request.explicit_settings
    for settings in (trained, wanted):
        # Folds without a seed of their own come from the seed.
        if settings.get("fold_seed", 0) is None:
            settings["fold_seed"] = settings["seed"]
    for option, value in wanted.items():
        if option not in _ONLY_PREDICTION and trained[option] != value:
            source = "" if option in request.options else f" as in preset {request.preset}"
            raise UsageError(
                f"run {run.name} was trained with {option} {show_value(trained[option])}, not "
                f"{show_value(value)}{source}; "
                "leave that option away, or train another run with `kaggleprice cv` first."
            )
    if request.folds is not None and "folds" not in request.configured:
        raise UsageError(
            f"run {run.name} has its folds already; leave --folds away, or train another run with "
            "`kaggleprice cv --folds` first."
        )
