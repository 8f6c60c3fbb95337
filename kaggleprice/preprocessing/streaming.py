"""Learning numeric columns where rows are many: one column at a time, moments per fold.

Every fold's statistics come from one pass, merged from the moments of the other folds; the
numbers are those of scikit-learn's transformers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.preprocessing import Recipe
from kaggleprice.preprocessing.state import Floats, NumericState

# The numeric columns' states, and what `quantile` and `knn` need beside them.
Numeric = tuple[tuple[NumericState, ...], Floats | None, Floats | None]
_Moments = tuple[float, float, float, float]
_Scaling = tuple[float, float]


def stream_numeric(
    recipe: Recipe, frame: pd.DataFrame, fold_of_row: NDArray[np.int64], folds: Sequence[int]
) -> list[Numeric]:
    """Learn each fold's numeric columns from the rows that are not in the fold.

    Args:
        recipe: with `impute` mean, median or constant, and `scale` standard or none.
        frame: n rows of numeric columns.
        fold_of_row: shape (n,), the fold in which each row is validated.
        folds: the folds, in the order of the result.
    """
    columns = [
        _stream_column(recipe, str(name), frame[name].to_numpy(np.float64), fold_of_row, folds)
        for name in frame
    ]
    return [(tuple(column[i] for column in columns), None, None) for i in range(len(folds))]


def _stream_column(
    recipe: Recipe,
    name: str,
    values: Floats,
    fold_of_row: NDArray[np.int64],
    folds: Sequence[int],
) -> list[NumericState]:
    observed = ~np.isnan(values)
    known, known_folds = values[observed], fold_of_row[observed]
    plain = Sums(known, known_folds)
    logs = [_takes_log(recipe, plain, known_folds[known < 0], fold) for fold in folds]
    logged = Sums(np.log1p(np.maximum(known, 0.0)), known_folds) if any(logs) else plain
    states = []
    for fold, log in zip(folds, logs, strict=True):
        sums = logged if log else plain
        fill = sums.fill(recipe.impute, fold)
        missing = int((fold_of_row != fold).sum()) - sums.count(fold)
        low, high = _stream_bounds(recipe, sums, fold, missing, fill)
        center, scale = _stream_scaling(recipe, sums, fold, missing, (fill, low, high))
        states.append(
            NumericState(
                name=name,
                log=log,
                missing=missing,
                fill=fill,
                low=low,
                high=high,
                center=center,
                scale=scale,
                indicator=recipe.indicators and missing > 0,
            )
        )
    return states


def _stream_bounds(
    recipe: Recipe, sums: Sums, fold: int, missing: int, fill: float
) -> tuple[float | None, float | None]:
    if not sums.count(fold):
        return 0.0, 0.0
    if recipe.clip is None:
        return None, None
    center, scale = sums.center_and_scale(recipe.ddof, fold, missing, fill)
    return center - recipe.clip * scale, center + recipe.clip * scale


def _stream_scaling(
    recipe: Recipe,
    sums: Sums,
    fold: int,
    missing: int,
    filling: tuple[float, float | None, float | None],
) -> _Scaling:
    """Center and scale of a fold's training rows, filled and clipped as `filling` says."""
    if recipe.scale == "none":
        return 0.0, 1.0
    fill, low, high = filling
    if low is not None and high is not None:
        sums, fill = sums.clipped(fold, low, high), min(max(fill, low), high)
    fills = 0 if recipe.observed_statistics else missing
    return sums.center_and_scale(recipe.ddof, fold, fills, fill)


def _takes_log(recipe: Recipe, sums: Sums, negative: NDArray[np.int64], fold: int) -> bool:
    """Whether a fold's training rows become logs, given the folds of the negative values."""
    if recipe.log_skew is None or (negative != fold).any():
        return False
    return sums.skew(fold) > recipe.log_skew


def _is_constant(count: float, mean: float, variance: float) -> bool:
    """Whether a variance is no more than rounding leaves of 0: StandardScaler's own rule."""
    eps = float(np.finfo(np.float64).eps)
    return variance <= count * eps * variance + (count * mean * eps) ** 2


class Sums:
    """Moments of one column's folds; queries merge those of every fold but one.

    Each fold's moments are about its own mean and are merged pairwise (Chan, Golub and LeVeque
    1983, "Algorithms for computing the sample variance"): no digits are lost to cancellation,
    and not even the rounding of a fold's statistics depends on the rows that it leaves out.
    """

    def __init__(self, values: Floats, fold_of_row: NDArray[np.int64]) -> None:
        self._values, self._folds = values, fold_of_row
        self._count = np.bincount(fold_of_row).astype(np.float64)
        rows = np.maximum(self._count, 1.0)
        self._anchor = np.bincount(fold_of_row, weights=values) / rows
        centered = values - self._anchor[fold_of_row]
        s1, s2, s3 = (np.bincount(fold_of_row, weights=centered**power) for power in (1, 2, 3))
        self._offset = s1 / rows
        self._m2 = s2 - rows * self._offset**2
        self._m3 = s3 - 3 * self._offset * s2 + 2 * rows * self._offset**3

    def count(self, fold: int) -> int:
        """Observed values among the training rows."""
        return int(self._count[np.arange(len(self._count)) != fold].sum())

    def skew(self, fold: int) -> float:
        """Skewness of the training rows; 0 where they are constant or none."""
        count, mean, variance, third = self._moments(fold)
        constant = _is_constant(count, mean, variance)
        return 0.0 if constant else float(third / variance**1.5)

    def fill(self, impute: str, fold: int) -> float:
        """Return the value for missing ones; 0 where nothing was observed."""
        if impute == "constant" or not self.count(fold):
            return 0.0
        if impute == "mean":
            return self._moments(fold)[1]
        return float(np.median(self._values[self._folds != fold]))

    def clipped(self, fold: int, low: float, high: float) -> Sums:
        """Return the sums of a fold's training rows, bounded."""
        own = self._folds != fold
        return Sums(np.clip(self._values[own], low, high), self._folds[own])

    def center_and_scale(self, ddof: int, fold: int, fills: int, fill: float) -> _Scaling:
        """Mean and standard deviation of the training rows and of `fills` times `fill`."""
        count, mean, variance, _ = self._moments(fold, fills, fill)
        if _is_constant(count, mean, variance):
            return mean, 1.0
        return mean, float(np.sqrt(variance * count / max(count - ddof, 1)))

    def _moments(self, fold: int, fills: int = 0, fill: float = 0.0) -> _Moments:
        """Return count, mean, variance and third central moment of the training rows."""
        own = (np.arange(len(self._count)) != fold) & (self._count > 0)
        count = np.append(self._count[own], fills)
        total = float(count.sum())
        if not total:
            return 0.0, 0.0, 0.0, 0.0
        anchor = np.append(self._anchor[own], fill)
        # Differences of anchors are small and exact where the values themselves are large.
        distance = anchor - anchor[0] + np.append(self._offset[own], 0.0)
        shift = float(count @ distance) / total
        distance -= shift
        m2, m3 = np.append(self._m2[own], 0.0), np.append(self._m3[own], 0.0)
        variance = float(np.sum(m2 + count * distance**2)) / total
        third = float(np.sum(m3 + 3 * distance * m2 + count * distance**3)) / total
        return total, float(anchor[0]) + shift, variance, third
