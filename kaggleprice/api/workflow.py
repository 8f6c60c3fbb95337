"""What `download`, `preprocess` and `cv` do, in a few calls of the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.api.intervals import check_interval
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
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.errors import UsageError
from kaggleprice.core.files import check_writable
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.averaging_gain import MOST_ROWS, averaging_gain, spread_of_folds
from kaggleprice.evaluation.cross_validation import CrossValidation, PreviousResults
from kaggleprice.evaluation.folds import Folds, make_folds, moments_of, read_folds
from kaggleprice.preprocessing.export import (
    check_suffix,
    read_recipe,
    recipe_beside,
    write_features,
)
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.runs.checkpoints import key_of
from kaggleprice.runs.exclusive import changing
from kaggleprice.runs.gates import Limits
from kaggleprice.runs.listing import find_run
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
from kaggleprice.settings.recipe import DEFAULT_RECIPE, RECIPES, Recipe
from kaggleprice.settings.run import RunSettings
from kaggleprice.training.devices import Compute


@dataclass(frozen=True, kw_only=True)
class Download(FetchedFile):
    """One downloaded file and its size as a table.

    Attributes:
        rows: rows without the header.
        columns: columns of the header.
    """

    rows: int
    columns: int


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
