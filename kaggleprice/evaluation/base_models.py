"""Fitting base models: once per fold, on the fold's own features and training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kaggleprice.competitions.tables import Tables
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.preprocessing.target_statistics import targets_of
from kaggleprice.settings.base_models import BASE_MODELS, FitContext
from kaggleprice.settings.training import Member
from kaggleprice.training.task import TrainingTask

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BaseModelPredictions:
    """What P base models per fold predict, of the transformed target.

    Kept instead of the fitted models: they are what a submission needs, and a file of numbers
    cannot execute anything.

    Attributes:
        names: P names in `BASE_MODELS`.
        train: shape (P, K * T, n), each fold's prediction of all training rows, for each of T
            targets.
        test: shape (P, K * T, n_test), of all test rows.
        weights: shape (P, K * T), what they count beside the networks.
        left_out: shape (P, K * T, n), as `train`, but of a fold's training rows by models that
            were fitted without them, where there are such; elsewhere NaN; None where
            none was.
    """

    names: tuple[str, ...]
    train: Floats
    test: Floats
    weights: Floats
    left_out: Floats | None = None

    def of_target(self, target: int, targets: int) -> BaseModelPredictions:
        """Return what is predicted of one of T targets, counted from 0."""
        own = slice(target, None, targets)
        return BaseModelPredictions(
            self.names, self.train[:, own], self.test[:, own], self.weights[:, own]
        )


def check_base_models(names: Sequence[str]) -> None:
    """Check, before anything is trained, that what base models need is installed.

    Raises:
        UsageError: where it is not.
    """
    for name in names:
        BASE_MODELS[name].load()(FitContext(0, 1, 1))


def fit_base_models(
    names: Sequence[str],
    tables: Tables,
    task: TrainingTask,
    threads: int,
    progress: Progress = SILENT,
) -> BaseModelPredictions:
    """Fit every base model in each fold, and predict.

    It is fitted on all of a fold's training rows; with `inner_blocks` before that once without each
    of the parts that the fold's networks leave out.

    Args:
        names: P names in `BASE_MODELS`.
        tables: n training and n_test test rows, with all columns that the recipes need.
        task: recipes, folds, target, weights and settings.
        threads: how many to use.
        progress: told after every model.
    """
    recipes, target, settings = task.encoding.recipes, task.target, task.settings
    loss = settings.training.loss or "mse"
    targets = 1 if target.ndim == 1 else len(target) // len(recipes)
    # The last of them on all of a fold's training rows.
    fits = 1 if not settings.learns_weights else 1 + (settings.scouts or 0)
    shape = (len(names), len(recipes), targets)
    train = np.zeros((*shape, len(tables.train)))
    test = np.zeros((*shape, len(tables.test)))
    left_out = np.full(train.shape, np.nan)
    count, done = len(names) * len(recipes) * fits, 0
    for fold, (recipe, (all_rows, _)) in enumerate(zip(recipes, task.folds, strict=True)):
        learned = targets_of(target, fold, len(recipes))
        features = recipe.transform_training(
            tables.train.features, all_rows, learned.T, settings.seed, np.float32
        )
        test_features = recipe.transform(tables.test.features, np.float32)
        for (p, name), part in product(enumerate(names), range(fits)):
            progress.advance("base models", done, count, name, "models")
            done += 1
            last = part == fits - 1
            rows, rest = (all_rows, all_rows[:0]) if last else task.inner_split(Member(fold, part))
            variance = float(features[rows].var()) or 1.0
            state = np.random.SeedSequence((settings.seed, fold, p)).generate_state(1)[0]
            # Penalties are weighed against a mean weight of 1.
            counts = None if task.weights is None else task.weights[rows]
            counted = {} if counts is None else {"sample_weight": counts / (counts.mean() or 1.0)}
            for t, own in enumerate(learned):
                # Room above it: an estimator may count on from its state.
                context = FitContext(
                    int(state >> 1), len(rows), features.shape[1], variance, loss, threads
                )
                model = BASE_MODELS[name].load()(context)
                with threadpool_limits(limits=threads):
                    model.fit(features[rows], own[rows], **counted)
                    if not last:
                        left_out[p, fold, t, rest] = model.predict(features[rest])
                        continue
                    train[p, fold, t] = model.predict(features)
                    if len(test_features):
                        test[p, fold, t] = model.predict(test_features)
    progress.advance("base models", count, count, unit="models")
    flat = (len(names), len(recipes) * targets, -1)
    weights = np.full(flat[:2], settings.equal_weights[1])
    return BaseModelPredictions(
        tuple(names), train.reshape(flat), test.reshape(flat), weights, left_out.reshape(flat)
    )
