"""What each command does, in a few calls of the rest: the library's public interface."""

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

from kaggleprice.api.intervals import check_interval, intervals_beside, make_intervals
from kaggleprice.api.results import Preprocessed, plain_ids
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.csv_reader import read_shape
from kaggleprice.competitions.data import Dataset, DatasetRef, load, refuse_overwriting_inputs
from kaggleprice.competitions.download import (
    DEFAULT_SETTINGS,
    FetchedFile,
    FetchSettings,
    fetch,
)
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.competitions.submission import (
    check_predictions,
    make_submission,
    write_intervals,
    write_submission,
)
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.errors import UsageError
from kaggleprice.core.files import check_writable
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.core.registry import look_up
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.averaging_gain import MOST_ROWS, averaging_gain, spread_of_folds
from kaggleprice.evaluation.cross_validation import CrossValidation, PreviousResults
from kaggleprice.evaluation.ensemble import Ensemble, WeightedPredictions
from kaggleprice.evaluation.folds import Folds, make_folds, moments_of, read_folds
from kaggleprice.evaluation.intervals import Coverage, check_level
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.preprocessing.export import (
    check_suffix,
    read_recipe,
    recipe_beside,
    write_features,
)
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.runs.checkpoints import key_of
from kaggleprice.runs.exclusive import changing, unchanged
from kaggleprice.runs.gates import Limits
from kaggleprice.runs.listing import find_run, latest_run
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
from kaggleprice.runs.writing import write_run
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.recipe import DEFAULT_RECIPE, RECIPES, Recipe
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


@dataclass(frozen=True, kw_only=True)
class Download(FetchedFile):
    """One downloaded file and its size as a table.

    Attributes:
        rows: rows without the header.
        columns: columns of the header.
    """

    rows: int
    columns: int


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


def download(
    source: DatasetRef,
    from_path: Path | None = None,
    progress: Progress = SILENT,
    settings: FetchSettings = DEFAULT_SETTINGS,
) -> list[Download]:
    """Make sure that both CSVs are in the data folder, verified.

    Args:
        source: which competition, where to.
        from_path: a folder or zip of files that the user has, instead of the mirrors.
        progress: told what happens.
        settings: limits: times, attempts, size, plain http.

    Raises:
        NetworkError, ChecksumError, MissingFileError, DataError, OutputError: as
            `kaggleprice.competitions.download.fetch`.
    """
    files = fetch(
        source.competition,
        source.data_dir,
        source=from_path,
        settings=settings,
        progress=progress,
    )
    shapes = [read_shape(file.path) for file in files]
    return [
        Download(**vars(file), rows=rows, columns=columns)
        for file, (rows, columns) in zip(files, shapes, strict=True)
    ]


def preprocess(
    source: DatasetRef,
    recipe: Recipe = RECIPES[DEFAULT_RECIPE],
    output: Path | None = None,
    apply: Path | None = None,
    progress: Progress = SILENT,
) -> Preprocessed:
    """Turn a competition's columns into features, and write them where asked.

    Args:
        source: the data.
        recipe: its settings; fitted on all training rows, or on all rows where its scope is
            "all".
        output: a `.csv`, `.npz` or `.parquet` file; the fitted recipe goes beside it as
            `<name>.recipe.json`.
        apply: a fitted recipe's JSON to apply instead of fitting `recipe`.
        progress: told what happens.

    Raises:
        UsageError: for an output of another kind.
        DataError, MissingFileError, NetworkError, OutputError: as `load`; also for a recipe that
            cannot be read or does not fit the data.
    """
    if output is not None:
        check_suffix(output)
        for path in (output, recipe_beside(output)):
            check_writable(path)
    data = load(source, progress)
    if output is not None:
        refuse_overwriting_inputs(data, output, recipe_beside(output))
    progress.advance("preprocessing", 0, None, f"{len(data.tables.train)} rows")
    raw = data.tables
    fitted = None if apply is None else read_recipe(apply)
    engineering = (recipe if fitted is None else fitted.recipe).engineering
    tables = raw.engineered(source.competition) if engineering else raw
    features, test_features = tables.train.features, tables.test.features
    if fitted is not None:
        made = fitted.transform(features)
    elif recipe.scope == "all":
        fitted = fit(recipe, tables.train, tables.test)
        made = fitted.transform(features)
    else:
        transform: TargetTransform = TARGET_TRANSFORMS[source.competition.target_transform].load()
        known = tables.train.known_target
        target = np.stack([transform.fitted(y).forward(y) for y in np.atleast_2d(known.T)])
        fitted = fit(recipe, tables.train, target=target)
        # A model may be trained on them: a row's own target is no part of its features.
        made = fitted.transform_training(features, np.arange(len(features)), target.T, seed=0)
    names = [feature.name for feature in fitted.features]
    train, test = (
        pd.DataFrame(values, index=plain_ids(ids, source.competition.id_name), columns=names)
        for values, ids in (
            (made, tables.train.ids),
            (fitted.transform(test_features), tables.test.ids),
        )
    )
    recipe_output = None
    if output is not None:
        frame = pd.concat([train, test], ignore_index=True)
        recipe_output = write_features(source.competition, tables, fitted, frame, output)
    features_in = len(raw.train.features.columns)
    return Preprocessed(fitted, features_in, train, test, output, recipe_output)


def cross_validate(
    source: DatasetRef,
    settings: RunSettings,
    runtime: RuntimeConfig,
    *,
    name: str | None = None,
    folds: Path | None = None,
    limits: Limits | None = None,
    interval: float | None = None,
    progress: Progress = SILENT,
) -> tuple[Run, CrossValidation | None]:
    """Cross-validate and write the run folder.

    Where the run of that name is what would be trained, it is returned as it is.

    Args:
        source: the data.
        settings: what to compute.
        runtime: where.
        name: of the run; None for the next free one.
        folds: a CSV of folds to use instead of making them.
        limits: what `kaggleprice.runs.gates.judge` will hold the score against: that it can is
            checked before training.
        interval: the share of rows that `interval_coverage` will be asked for, likewise.
        progress: told what happens.

    Returns:
        The run, and what was trained; None where it was finished before.

    Raises:
        KagglePriceError: as `load`, `cross_validation.cross_validate` and `write_run`.
    """
    competition = source.competition
    made = finished_run(competition, runtime, name, settings)
    compute = check_start(competition, runtime, None if made else name)
    data = load(replace(source, group_column=settings.fold_column), progress)
    split = split_rows(competition, data, settings, folds, limits, progress)
    check_interval(interval, split)
    identity = identify(competition, data, settings, split, compute)
    if made is None:
        return train_run(source, runtime, data, identity, compute, split, settings, name, progress)
    check_identity(made, identity, runtime)
    progress.notice(f"run {made.name} is finished already: nothing is trained")
    return made, None


def add_seeds(
    source: DatasetRef,
    runtime: RuntimeConfig,
    name: str,
    count: int,
    interval: float | None = None,
    progress: Progress = SILENT,
    *,
    total: bool = False,
) -> tuple[Run, CrossValidation | None]:
    """Train `count` more random starts per fold, and let the run be that of all.

    Members do not depend on who is trained beside them, so the run is what it would be had it
    been trained with all its seeds at once, up to float rounding. Its folder is replaced as a
    whole; a submission and a report that lay in it spoke of the fewer members, and go.

    Args:
        source: the data; the very files that the run was trained on.
        runtime: where runs lie.
        name: of the run.
        count: seeds to add.
        interval: as for `cross_validate`.
        progress: told what happens.
        total: whether `count` is how many there shall be in all.

    Returns:
        As `cross_validate`.

    Raises:
        UsageError: for less than one seed, or a total of fewer than there are, and for a run that
            a time limit ended.
        UnknownNameError: for a name that no run has.
        DataError: where the data changed since the run was trained.
        KagglePriceError: as `cross_validate`.
    """
    competition = source.competition
    if count < 1:
        raise UsageError(f"--add-seeds must be 1 or more, found {count}.")
    compute = check_start(competition, runtime, None)
    found = find_run(runtime.runs_dir, competition.name, name)
    with changing(found.path, progress):
        # Another process may have changed it meanwhile.
        run = Run.read(found.path)
        return _add_seeds(run, source, runtime, compute, count, interval, progress, total)


def _add_seeds(
    run: Run,
    source: DatasetRef,
    runtime: RuntimeConfig,
    compute: Compute,
    count: int,
    interval: float | None,
    progress: Progress,
    total: bool,
) -> tuple[Run, CrossValidation | None]:
    if run.record.get("cut_at") is not None:
        raise UsageError(
            f"run {run.name} was ended by a time limit, so more seeds would be trained for longer "
            "than its own; train a new run."
        )
    source = source_of(run, source, progress)
    data = load(replace(source, group_column=run.settings.fold_column), progress)
    check_data(run, source.competition, data)
    check_interval(interval, run.folds())
    trained = 1 + max(member["seed"] for member in run.record["ensemble"]["members"])
    wanted = count if total else trained + count
    if wanted < trained:
        raise UsageError(
            f"run {run.name} has {trained} seeds per fold already, more than --seeds {wanted}; "
            "train another run for fewer."
        )
    if wanted == trained:
        progress.notice(f"run {run.name} has {trained} seeds per fold already: nothing is trained")
        return run, None
    settings, split = replace(run.settings, seeds=wanted), run.folds()
    more = wanted - trained
    progress.notice(f"run {run.name} has {trained} seeds per fold: training {more} more")
    identity = identify(source.competition, data, settings, split, compute)
    return train_run(
        source, runtime, data, identity, compute, split, settings, run.name, progress, run
    )


def train_run(
    source: DatasetRef,
    runtime: RuntimeConfig,
    data: Dataset,
    identity: dict[str, Any],
    compute: Compute,
    split: Folds,
    settings: RunSettings,
    name: str | None,
    progress: Progress,
    extended: Run | None = None,
) -> tuple[Run, CrossValidation]:
    """Train what an extended run, if there is one, lacks; write the run folder."""
    competition, known, key = source.competition, None, key_of(identity)
    if extended is not None:
        ensemble = extended.ensemble()
        fitted = replace(ensemble.fit, history=extended.history())
        known = PreviousResults(replace(ensemble, fit=fitted), extended.base_models())
        identity = {**identity, "known": extended.record["digest"]}
    with (
        runtime.checkpoint(competition, identity, progress) as checkpoint,
        runtime.cluster(compute, progress) as cluster,
    ):
        result = cross_validation.cross_validate(
            competition,
            data.tables,
            split,
            settings,
            compute.devices,
            progress,
            checkpoint.callbacks,
            known,
            cluster,
        )
        if extended is not None:
            seconds = extended.record["timing"]["seconds"] + result.seconds
            result = replace(result, seconds=seconds)
        train = data.tables.train
        gain = _averaging_gain(competition, data, result)
        result = replace(result, scores=replace(result.scores, averaging_gain=gain))
        progress.advance("writing", 0, None, "the run folder")
        warning = easy_folds(data, split)
        run = write_run(
            runtime.runs_dir,
            name,
            competition,
            train,
            result,
            data.record,
            notes=[] if warning is None else [warning],
            replaced=extended,
            identity=key,
            checkpoint=checkpoint.own,
        )
        progress.detail(f"run {run.name} written to {run.path}")
    return run, result


def _averaging_gain(
    competition: Competition, data: Dataset, result: CrossValidation
) -> float | None:
    """Estimate, on test rows, what averaging all folds gains; None without such rows."""
    count, scale, how = len(data.tables.test), result.scale, result.settings.combine
    if not count:
        return None
    rows = np.unique(np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(int))
    train, beside = data.tables.train, result.base_models
    if beside is not None:
        beside = replace(beside, test=beside.test[..., rows])
    everybody = result.ensemble.predict_beside(data.tables.test.features.iloc[rows], beside)
    split, scored = result.split, result.split.scored
    return averaging_gain(
        METRICS[competition.metric],
        train.known_target[scored],
        split.pool(result.oof),
        spread_of_folds(everybody, len(split), scale, how),
        split,
        scale.transforms[0],
        how,
        None if train.weights is None else train.weights[scored],
    )


def split_rows(
    competition: Competition,
    data: Dataset,
    settings: RunSettings,
    folds: Path | None,
    limits: Limits | None = None,
    progress: Progress = SILENT,
) -> Folds:
    """Return the folds of the training rows, made or read; warn of those that are too easy.

    Raises:
        UsageError, DataError: as `make_folds` and `read_folds`; where the limits' baseline has
            other folds or data.
    """
    train = data.tables.train
    if folds is None:
        seed = settings.seed if settings.fold_seed is None else settings.fold_seed
        split = make_folds(
            len(train),
            settings.k,
            scheme=settings.fold_scheme,
            seed=seed,
            repeats=settings.repeats,
            gap=settings.fold_gap,
            hold_out=settings.hold_out,
            target=_to_stratify_by(train.known_target),
            groups=train.groups,
            moments=moments_of(competition, train, settings),
        )
    else:
        split = read_folds(folds, train.ids, competition.id_name, train.row_numbers)
        if settings.k not in (len(split), RunSettings.k):
            raise UsageError(f"{folds} has {len(split)} folds, not {settings.k}; leave --k away.")
    if limits is not None:
        sha256 = split.sha256(train.ids, competition.id_name)
        data_sha256 = data.record["train"]["sha256"]
        limits.check(competition.name, competition.metric, data_sha256, sha256, len(split))
    warning = easy_folds(data, split)
    if warning is not None:
        progress.notice(f"warning: {warning}")
    return split


def _to_stratify_by(target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one number per row: the target, or the mean of several, which are scaled alike."""
    if target.ndim == 1:
        return target
    return np.asarray((target / (target.std(axis=0) + 1e-300)).mean(axis=1))


def easy_folds(data: Dataset, split: Folds) -> str | None:
    """Say that folds mix groups or times that training and test file keep apart.

    Returns:
        One sentence, which names the folds that would not; None where there are none.
    """
    found = data.tables.evidence
    if found is None:
        return None
    reasons = (found.easier(train, held) for train, held in split)
    why = next((reason for reason in reasons if reason), None)
    if why is None:
        return None
    return (
        f"Validation rows of a fold {why}, though {found.reason}: the score is likely too good. "
        f"Better: {found.options}"
    )


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
        KagglePriceError: as `cross_validate`.
    """
    competition, request = source.competition, request or PredictRequest()
    _check_asked(interval, request)
    outputs = [output] if interval is None else [output, intervals_beside(output)]
    for path in outputs:
        check_writable(path)
    compute = choose_compute(runtime.device, runtime.threads)
    if competition.test is None and source.later_test is None:
        raise UsageError(f"{competition.name} has no test file; name one with --test.")
    runs, trained = resolve_runs(competition, runtime, request, progress), None
    for run in runs if len(runs) == 1 else ():
        check_writable(run.output("submission.csv"))
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


def resolve_runs(
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
        _check_request(each, request)
        if each.path.resolve() in [other.path.resolve() for other in runs[:i]]:
            raise UsageError(f"run {each.name} is named twice; say with --weight what it counts.")
        progress.notice(f"using run {each.name} of {each.path.parent}")
    return runs


def _check_request(run: Run, request: PredictRequest) -> None:
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
