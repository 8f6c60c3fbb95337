"""What each command does, in a few calls of the rest: the library's public interface."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
from kaggleprice.competitions.metrics import TARGET_TRANSFORMS
from kaggleprice.competitions.submission import make_submission, write_submission
from kaggleprice.core.errors import UsageError
from kaggleprice.core.files import check_writable
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.core.registry import look_up
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.cross_validation import CrossValidation, PreviousResults
from kaggleprice.evaluation.ensemble import WeightedPredictions
from kaggleprice.evaluation.folds import Folds, make_folds, read_folds
from kaggleprice.preprocessing.export import (
    check_suffix,
    read_recipe,
    recipe_beside,
    write_features,
)
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.runs.gates import Limits
from kaggleprice.runs.listing import find_run, latest_run
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import RuntimeConfig, check_data, check_start, identify
from kaggleprice.runs.writing import write_run
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.recipe import DEFAULT_RECIPE, RECIPES, Recipe
from kaggleprice.settings.run import (
    COMBINES,
    DEFAULT_PRESET,
    RunSettings,
    flat_settings,
    make_settings,
)
from kaggleprice.training.devices import Compute, choose_compute, place_network

# Options that `predict` may give beside a run without contradicting how it was trained.
_ONLY_PREDICTION = {"combine"}


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
    """

    name: str | None = None
    preset: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    folds: Path | None = None
    configured: Collection[str] = ()

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
        run: whose members predicted.
        submission: what was written: id and target column.
        output: where.
        trained: the cross-validation, where the run had to be trained first.
    """

    run: Run
    submission: pd.DataFrame
    output: Path
    trained: CrossValidation | None = field(default=None)


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
    if fitted is None:
        learned = [tables.train, tables.test] if recipe.scope == "all" else [tables.train]
        fitted = fit(recipe, *learned)
    names = [feature.name for feature in fitted.features]
    train, test = (
        pd.DataFrame(
            fitted.transform(table.features),
            index=plain_ids(table.ids, source.competition.id_name),
            columns=names,
        )
        for table in (tables.train, tables.test)
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
    progress: Progress = SILENT,
) -> tuple[Run, CrossValidation]:
    """Cross-validate and write the run folder.

    Args:
        source: the data.
        settings: what to compute.
        runtime: where.
        name: of the run; None for the next free one.
        folds: a CSV of folds to use instead of making them.
        limits: what `kaggleprice.runs.gates.judge` will hold the score against: that it can is
            checked before training.
        progress: told what happens.

    Raises:
        KagglePriceError: as `load`, `cross_validation.cross_validate` and `write_run`.
    """
    competition = source.competition
    compute = check_start(competition, runtime, name)
    data = load(replace(source, group_column=settings.fold_column), progress)
    split = split_rows(competition, data, settings, folds, limits)
    return _train(source, runtime, data, compute, split, settings, name, progress)


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
        KagglePriceError: as `cross_validate`.
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
    settings = replace(run.settings, seeds=run.settings.seeds + count)
    progress.notice(
        f"run {run.name} has {run.settings.seeds} seeds per fold: training {count} more"
    )
    return _train(
        source, runtime, data, compute, run.folds(), settings, run.name, progress, extended=run
    )


def _train(
    source: DatasetRef,
    runtime: RuntimeConfig,
    data: Dataset,
    compute: Compute,
    split: Folds,
    settings: RunSettings,
    name: str | None,
    progress: Progress,
    extended: Run | None = None,
) -> tuple[Run, CrossValidation]:
    """Train what an extended run, if there is one, lacks; write the run folder."""
    competition, known = source.competition, None
    identity = identify(competition, data, settings, split, compute)
    if extended is not None:
        ensemble = extended.ensemble()
        fitted = replace(ensemble.fit, history=extended.history())
        known = PreviousResults(replace(ensemble, fit=fitted), extended.base_models())
        identity["known"] = extended.record["digest"]
    with runtime.checkpoint(competition, identity, progress) as checkpoint:
        result = cross_validation.cross_validate(
            competition,
            data.tables,
            split,
            settings,
            compute.devices,
            progress,
            checkpoint.callbacks,
            known,
        )
        if extended is not None:
            seconds = extended.record["timing"]["seconds"] + result.seconds
            result = replace(result, seconds=seconds)
        progress.advance("writing", 0, None, "the run folder")
        train = data.tables.train
        run = write_run(
            runtime.runs_dir, name, competition, train, result, data.record, replaced=extended
        )
        progress.detail(f"run {run.name} written to {run.path}")
    return run, result


def split_rows(
    competition: Competition,
    data: Dataset,
    settings: RunSettings,
    folds: Path | None,
    limits: Limits | None = None,
) -> Folds:
    """Return the folds of the training rows, made or read.

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
            target=_to_stratify_by(train.known_target),
            groups=train.groups,
        )
    else:
        split = read_folds(folds, train.ids, competition.id_name)
        if settings.k not in (len(split), RunSettings.k):
            raise UsageError(f"{folds} has {len(split)} folds, not {settings.k}; leave --k away.")
    if limits is not None:
        sha256 = split.sha256(train.ids, competition.id_name)
        data_sha256 = data.record["train"]["sha256"]
        limits.check(competition.name, competition.metric, data_sha256, sha256, len(split))
    return split


def _to_stratify_by(target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one number per row: the target, or the mean of several, which are scaled alike."""
    if target.ndim == 1:
        return target
    return np.asarray((target / (target.std(axis=0) + 1e-300)).mean(axis=1))


def predict(
    source: DatasetRef,
    runtime: RuntimeConfig,
    request: PredictRequest | None = None,
    *,
    output: Path = Path("submission.csv"),
    progress: Progress = SILENT,
) -> Prediction:
    """Predict the test rows with a run's members, and write the submission.

    Args:
        source: the data.
        runtime: where runs lie.
        request: which run, or how to train one where there is none.
        output: the submission; it is also written to the run folder.
        progress: told what happens.

    Raises:
        UsageError: where options contradict the run.
        DataError: where the data changed since the run was trained.
        KagglePriceError: as `cross_validate`.
    """
    competition, request = source.competition, request or PredictRequest()
    how = request.options.get("combine")
    if how is not None:
        look_up(COMBINES, how, "combination")
    check_writable(output)
    device = choose_compute(runtime.device, runtime.threads).device
    if competition.test is None and source.later_test is None:
        raise UsageError(f"{competition.name} has no test file; name one with --test.")
    run, trained = resolve_run(competition, runtime, request, progress), None
    if run is not None:
        run.output("submission.csv")
    data = load(source, progress)
    refuse_overwriting_inputs(data, output)
    if run is None:
        run, trained = cross_validate(
            source, request.settings, runtime, folds=request.folds, progress=progress
        )
    check_data(run, competition, data)
    progress.advance("predicting", 0, None, f"{len(data.tables.test)} rows")
    ensemble = run.ensemble()
    place_network(ensemble.network, device, progress)
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    test = data.tables.test
    everybody = WeightedPredictions(ensemble.members, ensemble.predict(test.features))
    base_models = run.base_models()
    if base_models is not None and source.later_test is not None:
        raise UsageError(
            f"run {run.name} keeps what its base models predict of {competition.name}'s own test "
            "file, and cannot predict another one; train with --base-models none for that."
        )
    if base_models is not None:
        everybody = everybody.with_base_models(base_models.test, run.settings)
    predictions = everybody.combine(transform, how or run.settings.combine)
    submission = make_submission(competition, test, predictions)
    for path in (run.output("submission.csv"), output):
        write_submission(submission, competition, test, path)
        progress.detail(f"{len(submission)} rows written to {path}")
    return Prediction(run, submission, output, trained)


def resolve_run(
    competition: Competition, runtime: RuntimeConfig, request: PredictRequest, progress: Progress
) -> Run | None:
    """Return the run that is to predict; None where one is to be trained first.

    Raises:
        UsageError: where options contradict the run, or no run could be trained with them.
        UnknownNameError, RunFolderError: as `kaggleprice.runs.listing.find_run`.
    """
    runs_dir, name = runtime.runs_dir, competition.name
    if request.name is None:
        run = latest_run(runs_dir, name, progress.notice)
    else:
        run = find_run(runs_dir, name, request.name)
    if run is None:
        # Settings that cannot be are refused before anything is read.
        _ = request.settings
        progress.notice(f"no run of {competition.name} yet: training one first, as `cv` does")
    else:
        _check_request(run, request)
        progress.notice(f"using run {run.name} of {run.path.parent}")
    return run


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
