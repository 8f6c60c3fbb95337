"""Scores: pure functions (truth, prediction) → float, lower is better.

Both arguments have shape (n,) and are in the target's own unit; everything is computed in
float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def _floats(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def rmse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.mean(np.square(_floats(prediction) - _floats(truth)))))


def log_rmse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Root mean squared error between natural logarithms (Kaggle's House Prices)."""
    return rmse(np.log(_floats(truth)), np.log(_floats(prediction)))


def log1p_rmse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Root mean squared error between log(1 + y), which Kaggle calls RMSLE."""
    return rmse(np.log1p(_floats(truth)), np.log1p(_floats(prediction)))


def mae(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(_floats(prediction) - _floats(truth))))
