"""Scores, and what each row adds to them: in the unit of the target, from arrays of shape (n,)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Loss:
    """What a row adds to a score.

    Attributes:
        scale: from the target's own unit to what errors are measured in.
        squared: whether the score is the root of the mean of squared errors, or the mean of
            absolute ones.
    """

    scale: Callable[[Floats], Floats]
    squared: bool = True

    def of_rows(self, truth: ArrayLike, predicted: ArrayLike) -> Floats:
        """Return each row's loss, shape (n,), from values of shape (n,) in the target's unit."""
        error = self.scale(_floats(predicted)) - self.scale(_floats(truth))
        return np.square(error) if self.squared else np.abs(error)

    def score(self, losses: Floats) -> float:
        """Return the score of losses of shape (n,)."""
        mean = float(np.mean(losses))
        return float(np.sqrt(mean)) if self.squared else mean

    def influence(self, losses: Floats) -> Floats:
        """Return how far each row moves the score, to first order, shape (n,); the mean is 0."""
        score = self.score(losses)
        # A score of 0 has losses of 0 only, of which none moves it.
        slope = (0.5 / score if score > 0 else 0.0) if self.squared else 1.0
        return slope * (losses - np.mean(losses))

    def standard_error(self, losses: Floats) -> float:
        """Return how far the score would move if other rows were drawn.

        Losses have shape (n,), of 2 or more rows. It is s / sqrt(n), s being the standard
        deviation (ddof 1) of the rows' influences. For a mean absolute error that is the standard
        error of a mean; for a root mean squared error r of squared errors with standard deviation
        s', it is s' / (2 r sqrt(n)): the delta method
        (Wasserman, All of Statistics, 2004, section 5.5).
        """
        return float(np.std(self.influence(losses), ddof=1) / np.sqrt(len(losses)))


def _as_it_is(values: Floats) -> Floats:
    return values


# One line for each metric of `METRICS`.
LOSSES: dict[str, Loss] = {
    "log_rmse": Loss(np.log),
    "log1p_rmse": Loss(np.log1p),
    "rmse": Loss(_as_it_is),
    "mae": Loss(_as_it_is, squared=False),
}


def _floats(values: ArrayLike) -> Floats:
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
