"""The estimators of partners, each from a random state."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.linear_model import RidgeCV

_TREES = 3


def boosting(random_state: int) -> RegressorMixin:
    """Shallow trees on few columns each (Friedman 2002; Chen and Guestrin 2016, section 2.3).

    Three that differ in their columns are averaged; nothing is held out to stop early.
    """
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
    return RidgeCV(np.logspace(-1, 4, 16))
