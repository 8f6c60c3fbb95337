"""Honest cross-validation: recipes fitted per fold, members trained together, out-of-fold score."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS, Metric
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.errors import DataError, DivergenceError, UsageError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation.base_models import (
    BaseModelPredictions,
    check_base_models,
    fit_base_models,
)
from kaggleprice.evaluation.ensemble import Ensemble, WeightedPredictions, device_rows
from kaggleprice.evaluation.folds import Folds, relatives_of
from kaggleprice.evaluation.memory import check_memory
from kaggleprice.evaluation.scores import BaseModelScore, FoldScore, MemberScore, PartScore, Scores
from kaggleprice.evaluation.scoring import Scorer
from kaggleprice.evaluation.stages import train_others, train_scouts
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.evaluation.weighting import learn_weights
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.settings.run import SETTINGS, RunSettings
from kaggleprice.settings.training import LOSSES, Member, TrainingSettings
from kaggleprice.training import train
from kaggleprice.training.cluster import Cluster
from kaggleprice.training.devices import name_devices
from kaggleprice.training.engine import predict_members
from kaggleprice.training.loop import Callback
from kaggleprice.training.task import TrainingTask

Floats = NDArray[np.float64]
# So many random starts fit into any memory.
_FEW_STARTS = 1000
# Where to train: members are spread over several devices.
Devices = torch.device | Sequence[torch.device]


@dataclass(frozen=True)
class CrossValidation:
    """The result of `cross_validate`.

    Attributes:
        settings: what was asked for.
        split: the folds.
        ensemble: the trained members.
        scale: of the target, in each fold.
        oof: shape (L,), or (L, T) of T targets, out-of-fold predictions in the target's own unit,
            one for each of `split.lines`: each row once, in order, where each is validated once.
        outside: how many of them left the range of their fold's training target, before they were
            bounded.
        base_models: what the base models predict; None where there are none.
        folds, members, base_model_scores, parts, scores: how good it is.
        seconds: of the whole cross-validation, recipes to scores.
        device, threads: where it was trained; several devices are separated by commas.
    """

    settings: RunSettings
    split: Folds
    ensemble: Ensemble
    scale: TargetScale
    oof: Floats
    outside: int
    base_models: BaseModelPredictions | None
    folds: list[FoldScore]
    members: list[MemberScore]
    base_model_scores: list[BaseModelScore]
    parts: list[PartScore]
    scores: Scores
    seconds: float
    device: str
    threads: int

    @property
    def notes(self) -> list[str]:
        """Sentences that must stand wherever the score is shown."""
        cut_at = self.ensemble.fit.cut_at
        if cut_at is None:
            return self.settings.notes
        return [
            *self.settings.notes,
            f"Ended by the time limit after epoch {cut_at}: "
            "the learning rate had not come to rest, more time scores better.",
        ]


def cross_validate(
    competition: Competition,
    tables: Tables,
    split: Folds,
    settings: RunSettings,
    device: Devices,
    progress: Progress = SILENT,
    callbacks: Sequence[Callback] = (),
    known: PreviousResults | None = None,
    cluster: Cluster | None = None,
) -> CrossValidation:
    """Train members of every fold, all together, and score them out of fold.

    Args:
        competition: target transform and metric.
        tables: the test table is read only by recipes whose scope is "all".
        split: the folds of the training rows.
        settings: everything else.
        device: where to train; several devices get a process and a part of the members each.
        progress: told after every epoch.
        callbacks: called between the epochs of each group of members.
        known: members of an earlier run of the same settings but for fewer seeds; only those
            that it lacks are trained, and the result is that of all.
        cluster: that trains the networks; None for this machine.

    Raises:
        DivergenceError: where members, or their predictions, leave the finite numbers.
        RunError: where memory runs out with one member at a time; where a process died.
    """
    started = time.perf_counter()
    threads = torch.get_num_threads()
    where = name_devices(_listed(device))
    progress.notice(f"training on {where} with {threads} thread{'s' * (threads != 1)}")
    progress.advance("preparing", 0, None, "recipes and networks")
    problem = prepare(competition, tables, split, settings, device)
    _tell_choices(problem, settings, progress)
    ensemble, base_models = _train(problem, callbacks, progress, known, cluster)
    rows = device_rows(ensemble.encoding, problem.task.rows, ensemble.members, ensemble.network)
    progress.advance("scoring", 0, None, "out of fold")
    predictions = predict_members(ensemble.network, rows, ensemble.fit)
    networks = everybody = WeightedPredictions(ensemble.members, predictions, ensemble.weights)
    if base_models is not None:
        everybody = networks.with_base_models(base_models.train, base_models.weights)
    scale = problem.scale
    raw = everybody.out_of_fold(split, scale.unbounded, settings.combine)
    _check_predictions(scale.transforms[0].accepts(raw), settings)
    outside = sum(int(scale.outside(raw[r], [k]).sum()) for k, r in enumerate(split.places))
    if outside:
        progress.notice(outside_text(outside, raw.size, "out-of-fold", bound=scale.bound))
    oof = raw.copy()
    for fold, places in enumerate(split.places):
        oof[places] = scale.keep_inside(raw[places], [fold])
    train = tables.train
    scorer = Scorer(competition, train.known_target, split, scale, settings.combine, train.weights)
    # What cannot be scored is told below, in words.
    with np.errstate(invalid="ignore", divide="ignore"):
        folds = scorer.folds(everybody, oof)
        alone = scorer.members(ensemble.members, ensemble.fit.epochs, predictions)
    _check_scores(competition, [*folds, *alone])
    return CrossValidation(
        settings=settings,
        split=split,
        ensemble=ensemble,
        scale=scale,
        oof=oof,
        outside=outside,
        base_models=base_models,
        folds=folds,
        members=alone,
        base_model_scores=scorer.base_models(base_models),
        parts=scorer.parts(everybody, settings),
        scores=scorer.summary(oof, folds, networks),
        seconds=time.perf_counter() - started,
        device=where,
        threads=threads,
    )


def _tell_choices(problem: PreparedRun, asked: RunSettings, progress: Progress) -> None:
    """Say what data, metric and given settings decided."""
    competition, settings = problem.competition, problem.task.settings
    if competition.weight_column is not None:
        progress.notice(f"rows are weighted by {competition.weight_column!r}")
    if asked.training.loss is None and settings.training.loss != "mse":
        loss = settings.training.loss
        progress.notice(f"loss {loss}, which suits the metric {competition.metric}")
    if asked.fixed:
        flags = ", ".join(SETTINGS[name].flag for name in asked.fixed)
        progress.notice(f"{flags} given: all settings of the portfolio have it")
    if asked.training.epochs is None:
        passes = sorted(v.training.passes for v in settings.variants if v.tried)
        epochs = f"{passes[0]} to {passes[-1]}" if passes[0] < passes[-1] else f"{passes[0]}"
        progress.notice(f"{epochs} epochs of {settings.training.rows_per_step} rows per step")


@dataclass(frozen=True)
class PreviousResults:
    """Members and base model predictions of an earlier run, which are not trained again.

    Attributes:
        ensemble: its members, with their history.
        base_models: what its base models predict; None where it has none. They are fitted anew
            where more random starts leave out more parts of the training rows.
    """

    ensemble: Ensemble
    base_models: BaseModelPredictions | None


def _train(
    problem: PreparedRun,
    callbacks: Sequence[Callback],
    progress: Progress,
    known: PreviousResults | None,
    cluster: Cluster | None,
) -> tuple[Ensemble, BaseModelPredictions | None]:
    """Train networks and base models, but for those that an earlier run has, and weigh them."""
    task, settings = problem.task, problem.task.settings
    engineering = problem.competition.engineering if settings.recipe.engineering else None

    def fit(some: TrainingTask, stage: int) -> Ensemble:
        own = [callback.of_stage(stage) for callback in callbacks]
        progress.detail(
            f"{len(some.members)} members of {some.parameters // len(some.members)} parameters "
            "each, "
            f"{len(some.encoding.features)} features"
        )
        if stage:
            progress.notice(
                f"{len(some.members)} more networks, of the settings that count in their fold"
            )
        network, found = train.train(some, problem.devices, own, progress, cluster=cluster)
        return Ensemble(some.encoding, network, some.members, found, engineering)

    ensemble = train_scouts(task, fit, None if known is None else known.ensemble)
    base_models = None if known is None else known.base_models
    if settings.base_models and base_models is None:
        base_models = fit_base_models(
            settings.base_models, problem.engineered(), task, torch.get_num_threads(), progress
        )
    if not settings.learns_weights:
        count = len(ensemble.members)
        weights = None if base_models is None else np.full(count, settings.equal_weights[0])
        return replace(ensemble, weights=weights), base_models
    learn = partial(
        learn_weights,
        task=task,
        truth=problem.tables.train.known_target,
        metric=METRICS[problem.competition.metric],
        scale=problem.scale,
        base_models=None if base_models is None else base_models.left_out,
    )
    ensemble, learned = train_others(task, fit, ensemble, learn)
    if base_models is not None:
        base_models = replace(base_models, weights=learned.base_models)
    return ensemble, base_models


@dataclass(frozen=True)
class PreparedRun:
    """Encoded rows, folds and members: everything that training needs.

    Attributes:
        competition: whose rows they are.
        tables: as read.
        scale: of the target.
        task: members, recipes, folds, encoded training rows; no tables.
        devices: where to train.
    """

    competition: Competition
    tables: Tables
    scale: TargetScale
    task: TrainingTask
    devices: Sequence[torch.device]

    def engineered(self) -> Tables:
        """Return the tables with all columns that the recipes need, made anew.

        They are not kept: of many rows they take a third of the room of the encoded ones.
        """
        return _engineered(self.competition, self.tables, self.task.settings)


def prepare(
    competition: Competition,
    tables: Tables,
    split: Folds,
    settings: RunSettings,
    device: Devices,
) -> PreparedRun:
    """Fit the recipes and encode the rows; arguments as in `cross_validate`.

    Raises:
        DataError: where no row of a fold's training or validation rows has any weight.
        UsageError: for a loss that the target transform does not fit; for a base model whose
            library is not installed.
    """
    check_base_models(settings.base_models)
    _check_weights(competition, tables.train, split)
    transform: TargetTransform = TARGET_TRANSFORMS[competition.target_transform].load()
    metric, target = METRICS[competition.metric], tables.train.known_target
    scale = TargetScale.learn(metric, transform, target, split, bound=settings.bound)
    wider = _engineered(competition, tables, settings)
    learned = scale.forward(target)
    recipes = fit_recipes(wider, split, settings, learned)
    encoding = Encoding(recipes, settings.model.resolved.category_embedding)
    resolved = resolve(
        settings, metric, transform, max(len(train) for train, _ in split), encoding.width
    )
    targets = len(competition.targets)
    task = TrainingTask(
        encoding=encoding,
        rows=encoding.encode_training(wider.train.features, learned, split, settings.seed),
        target=learned,
        folds=split,
        members=make_members(len(split), replace(resolved, seeds=1), targets),
        settings=resolved,
        weights=tables.train.weights,
        relatives=relatives_of(competition, tables.train, settings),
    )
    _check_room(task, resolved.starts)
    task = replace(task, members=make_members(len(split), resolved, targets))
    return PreparedRun(competition, tables, scale, task, _listed(device))


def _check_room(task: TrainingTask, starts: int) -> None:
    """Refuse more random starts than this machine's memory holds in the end.

    That is the parameters of all members, and what they predict of the training rows.

    Args:
        task: of one start.
        starts: random starts.
    """
    if starts <= _FEW_STARTS:
        return
    parameters, members = task.parameters, len(task.members)
    each = 4 * parameters + 8 * members * len(task.rows)
    what = f"{starts * members:,} networks (--seeds {starts}) of {starts * parameters:,} parameters"
    check_memory(starts * each, what)


def _check_weights(competition: Competition, train: Table, split: Folds) -> None:
    for number, fold in enumerate(split, 1):
        for rows, role in zip(fold, ("training", "validation"), strict=True):
            if train.weights is not None and len(rows) and not train.weights[rows].any():
                raise DataError(
                    f"the weight {competition.weight_column!r} is 0 in all {len(rows)} {role} rows "
                    f"of fold {number}, so it has no score; give fewer folds with --k, or another "
                    "--fold-scheme."
                )


def resolve(
    settings: RunSettings, metric: Metric, transform: TargetTransform, rows: int, features: int
) -> RunSettings:
    """Return settings with all that data and metric decide: loss, batch size, epochs, starts.

    Args:
        settings: as asked for.
        metric: which the loss suits, unless the settings name one.
        transform: of the target.
        rows: that a fold trains on.
        features: that its networks are given.

    Raises:
        UsageError: for a loss of logs of a target that is not trained on as a log.
    """

    def resolved(training: TrainingSettings) -> TrainingSettings:
        return _with_loss(training, metric, transform).for_data(rows, features)

    portfolio = []
    for variant in settings.portfolio:
        training = variant.training
        if metric.training_loss != "mse":
            # A variant's own loss is one for squared errors: it would learn something else.
            training = replace(training, loss=settings.training.loss)
        portfolio.append(replace(variant, training=resolved(training)))
    training, varied = resolved(settings.training), tuple(portfolio)
    return replace(settings, training=training, portfolio=varied).for_data(rows, features)


def _with_loss(
    training: TrainingSettings, metric: Metric, transform: TargetTransform
) -> TrainingSettings:
    """Return settings whose loss suits a metric, unless they name one.

    A loss of logs bounds the norm of gradients by 1, where the settings do not bound it.
    """
    loss = training.loss
    of_logs = LOSSES[loss or metric.training_loss].of_logs
    if of_logs and not transform.logarithmic:
        if loss is not None:
            raise UsageError(
                f"--loss {loss} needs a target that is trained on as a log; give the competition "
                '`target_transform = "log1p"`, or another --loss.'
            )
        # The mean, which a deviance asks for, is where squared errors are least as well.
        loss = "mse"
    loss, clip_norm = loss or metric.training_loss, training.clip_norm
    if LOSSES[loss].of_logs and clip_norm is None:
        # A row that is predicted far too high has an exponentially large gradient.
        clip_norm = 1.0
    return replace(training, loss=loss, clip_norm=clip_norm)


def _engineered(competition: Competition, tables: Tables, settings: RunSettings) -> Tables:
    return tables.engineered(competition) if settings.recipe.engineering else tables


def _listed(device: Devices) -> Sequence[torch.device]:
    return (device,) if isinstance(device, torch.device) else tuple(device)


def fit_recipes(
    tables: Tables, split: Folds, settings: RunSettings, target: Floats
) -> list[FittedRecipe]:
    """Fit the recipe once per fold, on its training rows only; or once on everything.

    Everything is what the book does, and what `scope="all"` in a recipe's settings asks for: the
    target, shape (n,) or (K * T, n) and transformed, then teaches nothing.
    """
    if settings.recipe.scope == "all":
        return [fit(settings.recipe, tables.train, tables.test)] * len(split)
    train = tables.train
    return fit_folds(settings.recipe, train, train.features, split.left_out, target)


def make_members(folds: int, settings: RunSettings, targets: int = 1) -> list[Member]:
    """Return variants x folds x seeds x targets members.

    Those of the same architecture stand together, by fold, then seed, then target.
    """

    def turn(member: Member) -> tuple[int, int]:
        model = settings.variants[member.variant].model
        return member.variant, model.turn_of(member.seed)

    made = [
        Member(fold, seed, target, variant)
        for variant, setting in enumerate(settings.variants)
        if setting.tried
        for fold in range(folds)
        for seed in range(settings.starts)
        for target in range(targets)
    ]
    return sorted(made, key=turn)


def outside_text(count: int, rows: int, what: str, *, bound: bool) -> str:
    """Say how many predictions left the range of the training target, and what became of them."""
    done = "bounded by it; --no-bound leaves them" if bound else "left as they are (--no-bound)"
    return f"{count} of {rows} {what} predictions left the range of the training target: {done}"


def _check_predictions(usable: NDArray[np.bool_], settings: RunSettings) -> None:
    if not usable.all():
        raise DivergenceError(
            f"{int((~usable).sum())} of {usable.size} out-of-fold predictions are not finite "
            f"numbers that the target could be, at learning rate {settings.training.lr:g}; "
            f"try a smaller one, such as --lr {settings.training.lr / 10:g}."
        )


def _check_scores(competition: Competition, scores: Sequence[FoldScore | MemberScore]) -> None:
    if not np.isfinite([(score.train, score.validation) for score in scores]).all():
        raise DivergenceError(
            f"some predictions of {competition.name} lie where the metric {competition.metric} is "
            f"not defined, with target_transform {competition.target_transform}; train longer, or "
            "give the competition the target_transform that fits its metric, such as log or log1p."
        )


def history_frame(ensemble: Ensemble) -> pd.DataFrame:
    """Return the training history: fold, seed and target of each line, epoch, RMSEs."""
    lines = ensemble.fit.history
    return pd.DataFrame(
        {
            "member": [line.member for line in lines],
            "fold": [ensemble.members[line.member].fold + 1 for line in lines],
            "seed": [ensemble.members[line.member].seed for line in lines],
            **_column_of_several(ensemble, "target"),
            **_column_of_several(ensemble, "variant"),
            "epoch": [line.epoch for line in lines],
            "train": [line.train for line in lines],
            "validation": [line.validation for line in lines],
        }
    )


def _column_of_several(ensemble: Ensemble, name: str) -> dict[str, list[int]]:
    """Return the target or variant (from 1) of each line; nothing where there is but one."""
    found = [getattr(ensemble.members[line.member], name) + 1 for line in ensemble.fit.history]
    return {name: found} if any(number > 1 for number in found) else {}
