"""The base models themselves: one function each, which returns an unfitted regressor."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    VotingRegressor,
)
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from kaggleprice.core.errors import UsageError
from kaggleprice.settings.base_models import FitContext

_ENSEMBLES, _ROUNDS, _TREES = 3, 400, 800
# Of more rows, splits of `trees` are looked for among 255 values, and `svm` learns from some rows.
_FEW_ROWS = 4000


def boosting(context: FitContext) -> RegressorMixin:
    """Shallow trees on few columns each (Friedman 2002; Chen and Guestrin 2016, section 2.3).

    Three that differ in their columns are averaged; nothing is held out to stop early.
    """
    return VotingRegressor(
        [
            (
                f"boosting-{number}",
                HistGradientBoostingRegressor(
                    loss=_tree_loss(context),
                    learning_rate=0.05,
                    max_iter=_ROUNDS,
                    max_leaf_nodes=8,
                    min_samples_leaf=5,
                    max_features=0.1,
                    early_stopping=False,
                    random_state=context.random_state + number,
                ),
            )
            for number in range(_ENSEMBLES)
        ]
    )


def trees(context: FitContext) -> RegressorMixin:
    """Stochastic gradient boosting (Friedman 2002); of many rows, by histograms and of all rows."""
    shared = {"loss": _tree_loss(context), "random_state": context.random_state}
    if context.rows <= _FEW_ROWS:
        return GradientBoostingRegressor(
            n_estimators=_TREES,
            learning_rate=0.03,
            max_depth=4,
            max_features="sqrt",
            min_samples_leaf=5,
            subsample=0.7,
            **shared,
        )
    return HistGradientBoostingRegressor(
        max_iter=_TREES,
        learning_rate=0.05,
        max_leaf_nodes=16,
        max_features=0.5,
        min_samples_leaf=10,
        early_stopping=False,
        **shared,
    )


def svm(context: FitContext) -> RegressorMixin:
    """Support vector regression with a Gaussian kernel (Drucker et al. 1996).

    Time grows with the square of rows, so that of many rows three machines are averaged, each of
    which learns from some.
    """
    # By what the squared distance between two rows is, on average.
    gamma = 0.3 / (context.features * context.variance)
    machine = SVR(C=10.0, epsilon=0.05, gamma=gamma, cache_size=500)
    if context.rows > _FEW_ROWS:
        machine = BaggingRegressor(
            machine,
            n_estimators=3,
            max_samples=_FEW_ROWS,
            # With replacement: weights of rows are how likely they are drawn.
            bootstrap=True,
            random_state=context.random_state,
        )
    return TransformedTargetRegressor(machine, transformer=StandardScaler())


def ridge(context: FitContext) -> RegressorMixin:
    """Least squares with an L2 penalty; nothing in it is random."""
    return RidgeCV(np.logspace(-1, 4, 16))


def lightgbm(context: FitContext) -> RegressorMixin:
    """LightGBM (Ke et al. 2017): many small steps, each of half the columns and most rows.

    Raises:
        UsageError: where it is not installed.
    """
    return _of_extra("lightgbm").LGBMRegressor(
        objective="mae" if _absolute(context) else "mse",
        n_estimators=1000,
        learning_rate=0.03,
        num_leaves=31,
        colsample_bytree=0.5,
        subsample=0.8,
        subsample_freq=1,
        deterministic=True,
        force_row_wise=True,
        random_state=context.random_state,
        n_jobs=context.threads,
        verbose=-1,
    )


def catboost(context: FitContext) -> RegressorMixin:
    """CatBoost (Prokhorenkova et al. 2018) as it comes.

    Raises:
        UsageError: where it is not installed.
    """
    return _of_extra("catboost").CatBoostRegressor(
        loss_function="MAE" if _absolute(context) else "RMSE",
        random_seed=context.random_state,
        thread_count=context.threads,
        verbose=False,
        allow_writing_files=False,
    )


def _absolute(context: FitContext) -> bool:
    """Tell whether networks learn a median: base models that can do so learn one as well."""
    return context.loss == "mae"


def _tree_loss(context: FitContext) -> str:
    """Return scikit-learn's name of the loss that trees learn by."""
    return "absolute_error" if _absolute(context) else "squared_error"


def _of_extra(name: str) -> Any:
    """Import a library of the extra `boosting`."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise UsageError(
            f"--base-models {name} needs a library that is not installed; install it with "
            '`pip install "kaggleprice[boosting]"`.'
        ) from None
