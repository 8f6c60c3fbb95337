"""Fitting base models: once per fold, on the fold's own features and training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kaggleprice.competitions.tables import Tables
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation.folds import Fold
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.target_statistics import targets_of
from kaggleprice.settings.base_models import BASE_MODELS

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

_TREES = 3


def boosting(random_state: int) -> RegressorMixin:
    """Shallow trees on few columns each (Friedman 2002; Chen and Guestrin 2016, section 2.3).

    Three that differ in their columns are averaged; nothing is held out to stop early.
    """
    # Here, not above: a prediction does without, and scikit-learn takes a second to load.
    from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor

    return VotingRegressor(
        [
            (
                f"boosting-{number}",
                HistGradientBoostingRegressor(
                    learning_rate=0.05,
                    max_iter=400,
                    max_leaf_nodes=8,
                    min_samples_leaf=5,
                    max_features=0.1,
                    early_stopping=False,
                    random_state=random_state + number,
                ),
            )
            for number in range(_TREES)
        ]
    )


def ridge(random_state: int) -> RegressorMixin:
    """Least squares with an L2 penalty; nothing in it is random."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(np.logspace(-1, 4, 16))


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
    """

    names: tuple[str, ...]
    train: Floats
    test: Floats

    def of_target(self, target: int, targets: int) -> BaseModelPredictions:
        """Return what is predicted of one of T targets, counted from 0."""
        own = slice(target, None, targets)
        return BaseModelPredictions(self.names, self.train[:, own], self.test[:, own])


def fit_base_models(
    names: Sequence[str],
    tables: Tables,
    recipes: Sequence[FittedRecipe],
    split: Sequence[Fold],
    target: Floats,
    base_seed: int,
    threads: int,
    progress: Progress = SILENT,
    weights: NDArray[np.float64] | None = None,
) -> BaseModelPredictions:
    """Fit every base model once per fold, and predict.

    Args:
        names: P names in `BASE_MODELS`.
        tables: n training and n_test test rows, with all columns that the recipes need.
        recipes: K fitted recipes.
        split: the K folds.
        target: shape (n,), the transformed target, or (K * T, n) where folds learn it differently
            or there are T targets.
        base_seed: what `--seed` says.
        threads: how many to use.
        progress: told after every model.
        weights: shape (n,), how much each row counts; None where all count the same.
    """
    targets = 1 if target.ndim == 1 else len(target) // len(recipes)
    train = np.empty((len(names), len(recipes), targets, len(tables.train)))
    test = np.empty((len(names), len(recipes), targets, len(tables.test)))
    count = len(names) * len(recipes)
    for fold, (recipe, (rows, _)) in enumerate(zip(recipes, split, strict=True)):
        learned = targets_of(target, fold, len(recipes))
        features = recipe.transform_training(
            tables.train.features, rows, learned.T, base_seed, np.float32
        )
        test_features = recipe.transform(tables.test.features, np.float32)
        for p, name in enumerate(names):
            progress.advance("base models", fold * len(names) + p, count, name, "models")
            state = np.random.SeedSequence((base_seed, fold, p)).generate_state(1)[0]
            # Room above it: an estimator may count on from its state.
            for t, own in enumerate(learned):
                model = BASE_MODELS[name].load()(int(state >> 1))
                with threadpool_limits(limits=threads):
                    # Penalties are weighed against a mean weight of 1.
                    counts = None if weights is None else weights[rows] / weights[rows].mean()
                    counted = {} if counts is None else {"sample_weight": counts}
                    model.fit(features[rows], own[rows], **counted)
                    train[p, fold, t] = model.predict(features)
                    if len(test_features):
                        test[p, fold, t] = model.predict(test_features)
    progress.advance("base models", count, count, unit="models")
    shape = (len(names), len(recipes) * targets, -1)
    return BaseModelPredictions(tuple(names), train.reshape(shape), test.reshape(shape))
