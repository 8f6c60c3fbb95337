"""Honest cross-validation: recipes fitted per fold, members trained together, out-of-fold score."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from kaggleprice.competitions import Competition
from kaggleprice.ensemble import Ensemble, combine, device_rows
from kaggleprice.errors import DivergenceError
from kaggleprice.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.models.networks import MemberNetwork, build_network
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.preprocessing.state import FittedRecipe
from kaggleprice.progress import SILENT, Progress
from kaggleprice.settings import RunSettings
from kaggleprice.tables import Tables
from kaggleprice.training import Member
from kaggleprice.training.engine import predict_members, train_members
from kaggleprice.training.randomness import Purpose, member_generator

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FoldScore:
    """One fold's scores, by the competition's metric, of its members' combination.

    Attributes:
        fold: counted from 1.
        train: on the rows it trained on.
        validation: on the rows it never saw.
    """

    fold: int
    train: float
    validation: float


@dataclass(frozen=True)
class MemberScore:
    """One member's own scores, by the competition's metric.

    Attributes:
        fold: counted from 1.
        seed: counted from 0.
        epochs: the epoch whose weights it has.
        train, validation: as in `FoldScore`.
    """

    fold: int
    seed: int
    epochs: int
    train: float
    validation: float


@dataclass(frozen=True)
class Scores:
    """The scores of a run, by the competition's metric.

    Attributes:
        fold_mean, fold_sd: mean and standard deviation (ddof 1) of the folds' validation scores.
        train_mean: mean of the folds' training scores.
        oof: score of all out-of-fold predictions pooled.
        mean_squared_log_error: the book's: mean over folds of the mean squared log error; None
            where the metric is not a root mean squared log error.
    """

    fold_mean: float
    fold_sd: float
    train_mean: float
    oof: float
    mean_squared_log_error: float | None


@dataclass(frozen=True)
class CrossValidation:
    """The result of `cross_validate`.

    Attributes:
        settings: what was asked for.
        fold_of_row: shape (n,), folds counted from 0.
        ensemble: the trained members.
        oof: shape (n,), out-of-fold predictions in the target's own unit.
        folds, members, scores: how good it is.
        seconds: of the whole cross-validation, recipes to scores.
        device, threads: where it was trained.
    """

    settings: RunSettings
    fold_of_row: NDArray[np.int64]
    ensemble: Ensemble
    oof: Floats
    folds: list[FoldScore]
    members: list[MemberScore]
    scores: Scores
    seconds: float
    device: str
    threads: int


def cross_validate(
    competition: Competition,
    tables: Tables,
    fold_of_row: NDArray[np.int64],
    settings: RunSettings,
    device: torch.device,
    progress: Progress = SILENT,
) -> CrossValidation:
    """Train `settings.seeds` members per fold, all together, and score them out of fold.

    Args:
        competition: target transform and metric.
        tables: the test table is read only by recipes whose scope is "all".
        fold_of_row: shape (n,), the fold that validates each row, 0 to K - 1.
        settings: everything else.
        device: where to train.
        progress: told after every epoch.

    Raises:
        DivergenceError: where members, or their predictions, leave the finite numbers.
    """
    started = time.perf_counter()
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    engineering = competition.engineering if settings.recipe.engineering else None
    tables = tables if engineering is None else tables.engineered(competition)
    target = tables.train.known_target
    threads = torch.get_num_threads()
    progress.notice(f"training on {device.type} with {threads} thread{'s' * (threads != 1)}")
    encoding = Encoding(fit_recipes(tables, fold_of_row, settings))
    members = make_members(fold_of_row, settings)
    network = _initialized(encoding, members, settings, device)
    rows = device_rows(encoding, tables.train.features, members, network)
    training = train_members(
        network,
        rows,
        transform.forward(target),
        members,
        fold_of_row,
        settings.training,
        settings.seed,
        progress,
    )
    ensemble = Ensemble(encoding, network, members, training, engineering)
    predictions = predict_members(network, rows, training)
    oof = out_of_fold(competition, members, fold_of_row, predictions, settings.combine)
    _check_predictions(transform.accepts(oof), settings)
    folds = _score_folds(competition, target, fold_of_row, ensemble, predictions, oof, settings)
    return CrossValidation(
        settings=settings,
        fold_of_row=fold_of_row,
        ensemble=ensemble,
        oof=oof,
        folds=folds,
        members=_score_members(competition, target, fold_of_row, ensemble, predictions),
        scores=_summarize(competition, target, oof, folds),
        seconds=time.perf_counter() - started,
        device=device.type,
        threads=threads,
    )


def fit_recipes(
    tables: Tables, fold_of_row: NDArray[np.int64], settings: RunSettings
) -> list[FittedRecipe]:
    """Fit the recipe once per fold, on its training rows only; or once on everything.

    Everything is what the book does, and what `scope="all"` in a recipe's settings asks for.
    """
    folds = range(int(fold_of_row.max()) + 1)
    if settings.recipe.scope == "all":
        return [fit(settings.recipe, tables.train, tables.test)] * len(folds)
    return fit_folds(settings.recipe, tables.train, tables.train.features, fold_of_row, folds)


def make_members(fold_of_row: NDArray[np.int64], settings: RunSettings) -> list[Member]:
    """Return folds x seeds members: those of the same turn together, by fold, then seed."""
    folds = int(fold_of_row.max()) + 1
    made = [Member(fold, seed) for fold in range(folds) for seed in range(settings.seeds)]
    return sorted(made, key=lambda member: settings.model.turn_of(member.seed))


def _initialized(
    encoding: Encoding, members: Sequence[Member], settings: RunSettings, device: torch.device
) -> MemberNetwork:
    dtype: torch.dtype = getattr(torch, settings.training.dtype)
    network = build_network(settings.model, [m.seed for m in members], encoding.inputs, dtype)
    generators = [member_generator(settings.seed, m, Purpose.WEIGHTS) for m in members]
    network.initialize(generators, encoding.active[[m.fold for m in members]])
    return network.to(device)


def out_of_fold(
    competition: Competition,
    members: Sequence[Member],
    fold_of_row: NDArray[np.int64],
    predictions: Floats,
    how: str | None,
) -> Floats:
    """Combine, for each row, the members that did not train on it.

    Args:
        competition: for the target transform.
        members: M of them.
        fold_of_row: shape (n,).
        predictions: shape (M, n), transformed target.
        how: as in `combine`.

    Returns:
        Shape (n,), in the target's own unit.
    """
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    oof = np.empty(len(fold_of_row))
    for fold in range(int(fold_of_row.max()) + 1):
        held = fold_of_row == fold
        own = [member.fold == fold for member in members]
        oof[held] = combine(predictions[own][:, held], transform, how)
    return oof


def _score_folds(
    competition: Competition,
    target: Floats,
    fold_of_row: NDArray[np.int64],
    ensemble: Ensemble,
    predictions: Floats,
    oof: Floats,
    settings: RunSettings,
) -> list[FoldScore]:
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    metric = METRICS[competition.metric].load()
    scores = []
    for fold in range(int(fold_of_row.max()) + 1):
        held = fold_of_row == fold
        own = [member.fold == fold for member in ensemble.members]
        trained = combine(predictions[own][:, ~held], transform, settings.combine)
        scores.append(
            FoldScore(fold + 1, metric(target[~held], trained), metric(target[held], oof[held]))
        )
    return scores


def _score_members(
    competition: Competition,
    target: Floats,
    fold_of_row: NDArray[np.int64],
    ensemble: Ensemble,
    predictions: Floats,
) -> list[MemberScore]:
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    metric = METRICS[competition.metric].load()
    scores = []
    for member, epochs, line in zip(
        ensemble.members, ensemble.fit.epochs, predictions, strict=True
    ):
        held, predicted = fold_of_row == member.fold, transform.inverse(line)
        scores.append(
            MemberScore(
                fold=member.fold + 1,
                seed=member.seed,
                epochs=int(epochs),
                train=metric(target[~held], predicted[~held]),
                validation=metric(target[held], predicted[held]),
            )
        )
    return scores


def _check_predictions(usable: NDArray[np.bool_], settings: RunSettings) -> None:
    if not usable.all():
        raise DivergenceError(
            f"{int((~usable).sum())} of {len(usable)} out-of-fold predictions are not finite "
            f"numbers that the target could be, at learning rate {settings.training.lr:g}; "
            f"try a smaller one, such as --lr {settings.training.lr / 10:g}."
        )


def _summarize(
    competition: Competition, target: Floats, oof: Floats, folds: Sequence[FoldScore]
) -> Scores:
    validation = np.array([fold.validation for fold in folds])
    logarithmic = competition.metric in ("log_rmse", "log1p_rmse")
    return Scores(
        fold_mean=float(validation.mean()),
        fold_sd=float(validation.std(ddof=1)),
        train_mean=float(np.mean([fold.train for fold in folds])),
        oof=METRICS[competition.metric].load()(target, oof),
        mean_squared_log_error=float(np.mean(validation**2)) if logarithmic else None,
    )


def history_frame(ensemble: Ensemble) -> pd.DataFrame:
    """Return the training history: fold (from 1), seed, epoch, train, validation RMSE."""
    lines = ensemble.fit.history
    return pd.DataFrame(
        {
            "member": [line.member for line in lines],
            "fold": [ensemble.members[line.member].fold + 1 for line in lines],
            "seed": [ensemble.members[line.member].seed for line in lines],
            "epoch": [line.epoch for line in lines],
            "train": [line.train for line in lines],
            "validation": [line.validation for line in lines],
        }
    )
