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
from kaggleprice.ensemble import Ensemble, device_rows
from kaggleprice.errors import DivergenceError
from kaggleprice.metrics import TARGET_TRANSFORMS
from kaggleprice.metrics.transforms import TargetTransform
from kaggleprice.models.networks import MemberNetwork, build_network
from kaggleprice.partners.fitting import Votes, fit_partners
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.preprocessing.state import FittedRecipe
from kaggleprice.progress import SILENT, Progress
from kaggleprice.scores import FoldScore, MemberScore, PartnerScore, Scorer, Scores
from kaggleprice.settings import RunSettings
from kaggleprice.tables import Tables
from kaggleprice.training import Member
from kaggleprice.training.engine import predict_members, train_members
from kaggleprice.training.randomness import Purpose, member_generator
from kaggleprice.voices import Voices

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CrossValidation:
    """The result of `cross_validate`.

    Attributes:
        settings: what was asked for.
        fold_of_row: shape (n,), folds counted from 0.
        ensemble: the trained members.
        oof: shape (n,), out-of-fold predictions in the target's own unit.
        votes: what the partners predict; None without partners.
        folds, members, partners, scores: how good it is.
        seconds: of the whole cross-validation, recipes to scores.
        device, threads: where it was trained.
    """

    settings: RunSettings
    fold_of_row: NDArray[np.int64]
    ensemble: Ensemble
    oof: Floats
    votes: Votes | None
    folds: list[FoldScore]
    members: list[MemberScore]
    partners: list[PartnerScore]
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
    votes = _fit_partners(tables, encoding, fold_of_row, target, settings, transform, progress)
    predictions = predict_members(network, rows, training)
    networks = voices = Voices(members, predictions)
    if votes is not None:
        voices = Voices.with_partners(members, predictions, votes.train, settings)
    oof = voices.out_of_fold(fold_of_row, transform, settings.combine)
    _check_predictions(transform.accepts(oof), settings)
    scorer = Scorer(competition, target, fold_of_row, settings.combine)
    folds = scorer.folds(voices, oof)
    return CrossValidation(
        settings=settings,
        fold_of_row=fold_of_row,
        ensemble=ensemble,
        oof=oof,
        votes=votes,
        folds=folds,
        members=scorer.members(members, training.epochs, predictions),
        partners=scorer.partners(votes),
        scores=scorer.summary(oof, folds, networks),
        seconds=time.perf_counter() - started,
        device=device.type,
        threads=threads,
    )


def _fit_partners(
    tables: Tables,
    encoding: Encoding,
    fold_of_row: NDArray[np.int64],
    target: Floats,
    settings: RunSettings,
    transform: TargetTransform,
    progress: Progress,
) -> Votes | None:
    if not settings.partners:
        return None
    return fit_partners(
        settings.partners,
        tables,
        encoding.recipes,
        fold_of_row,
        transform.forward(target),
        settings.seed,
        torch.get_num_threads(),
        progress,
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


def _check_predictions(usable: NDArray[np.bool_], settings: RunSettings) -> None:
    if not usable.all():
        raise DivergenceError(
            f"{int((~usable).sum())} of {len(usable)} out-of-fold predictions are not finite "
            f"numbers that the target could be, at learning rate {settings.training.lr:g}; "
            f"try a smaller one, such as --lr {settings.training.lr / 10:g}."
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
