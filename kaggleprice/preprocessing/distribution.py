"""A column's values, each once, with the number of rows of each fold that have it.

All that a recipe learns of a column follows from these counts. They are made in one pass for all
folds, in columns of many rows there are mostly few different values, and what a fold learns
depends on its training rows alone, to the last bit: a value that only its validation rows have is
not in its distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SMALL = (np.int8, np.int16)


def factorized(column: pd.Series) -> tuple[NDArray[np.integer[Any]], pd.Index]:
    """Return each row's code, shape (n,), -1 for missing, and the values that codes stand for."""
    if isinstance(column.array, pd.Categorical):
        return column.array.codes, column.array.categories
    codes, values = pd.factorize(column, sort=True)
    return codes, pd.Index(values)


def numbered(
    column: pd.Series, number_of: Mapping[str | None, int], unknown: int
) -> tuple[NDArray[np.integer[Any]], NDArray[np.int64]]:
    """Number categories; `number_of` has that of missing under None.

    Returns:
        Each row's code, shape (n,), and a table in which the code finds the number.
    """
    codes, levels = factorized(column)
    # The code of a missing value is -1, the last.
    numbers = [number_of.get(level, unknown) for level in (*levels, None)]
    return codes, np.array(numbers, dtype=np.int64)


def _count(
    codes: NDArray[np.integer[Any]], fold_of_row: NDArray[np.int64], lowest: int, count: int
) -> NDArray[np.int64]:
    """Count the rows of each fold that have each code, `lowest` to the one before `lowest + count`.

    Shapes (n,) and (n,) → (count, F).
    """
    folds = int(fold_of_row.max(initial=0)) + 1
    cells = np.multiply(codes, folds, dtype=np.int64)
    cells += fold_of_row
    cells -= lowest * folds
    return np.bincount(cells, minlength=count * folds).reshape(-1, folds)


@dataclass(frozen=True)
class FoldCounts:
    """How many rows of each of F folds have each value of a column.

    Attributes:
        levels: the u different values, numbers ascending.
        counts: shape (u, F).
        missing: shape (F,), rows without a value.
    """

    levels: pd.Index
    counts: NDArray[np.int64]
    missing: NDArray[np.int64]

    @classmethod
    def of(cls, column: pd.Series, fold_of_row: NDArray[np.int64]) -> FoldCounts:
        """Count n values by their folds; `fold_of_row` has shape (n,), folds counted from 0."""
        values = column.to_numpy() if column.dtype in _SMALL else np.empty(0, dtype=np.int8)
        if len(values) and int(values.max()) - int(values.min()) < len(values):
            # Whole numbers close to each other are codes already.
            lowest = int(values.min())
            counts = _count(values, fold_of_row, lowest, int(values.max()) - lowest + 1)
            seen = counts.any(axis=1)
            levels = pd.Index((np.flatnonzero(seen) + lowest).astype(values.dtype))
            return cls(levels, counts[seen], np.zeros(counts.shape[1], dtype=np.int64))
        codes, levels = factorized(column)
        # The missing ones, whose code is -1, come first.
        counts = _count(codes, fold_of_row, -1, len(levels) + 1)
        return cls(levels, counts[1:], counts[0])

    def without(self, fold: int) -> tuple[NDArray[np.int64], int]:
        """Count a fold's training rows: all but its own; fold -1 has none of its own.

        Returns:
            Rows with each level, shape (u,); rows without a value.
        """
        counts, missing = self.counts.sum(axis=1), int(self.missing.sum())
        if fold < 0:
            return counts, missing
        return counts - self.counts[:, fold], missing - int(self.missing[fold])


@dataclass(frozen=True)
class Distribution:
    """Numbers, and how many rows have each.

    Attributes:
        values: shape (u,), float64, ascending.
        counts: shape (u,), float64, above 0.
        ddof: delta degrees of freedom of the standard deviation.
    """

    values: Floats
    counts: Floats
    ddof: int = 0

    @classmethod
    def of(cls, values: Floats, counts: NDArray[np.int64], ddof: int) -> Distribution:
        """Return the distribution of those values, ascending, shape (u,), that some row has."""
        seen = counts > 0
        return cls(values[seen], counts[seen].astype(np.float64), ddof)

    def mapped(self, function: Callable[[Floats], Floats]) -> Distribution:
        """Return the distribution of a function, which must not fall, of the values."""
        return replace(self, values=function(self.values))

    def with_rows(self, value: float, rows: int) -> Distribution:
        """Return the distribution with so many rows more that have this value."""
        if not rows:
            return self
        at = int(self.values.searchsorted(value))
        counts = np.insert(self.counts, at, float(rows))
        return replace(self, values=np.insert(self.values, at, value), counts=counts)

    @cached_property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.counts.sum())

    @cached_property
    def _moments(self) -> tuple[float, float, float]:
        """Mean, variance and third central moment; there must be rows."""
        rows = self.counts.sum()
        anchor = (self.counts @ self.values) / rows
        # Distances from the mean, all but rounding: no digits are lost to cancellation.
        distance = self.values - anchor
        weighted = self.counts * distance
        shift = weighted.sum() / rows
        weighted *= distance
        second = weighted.sum() / rows
        third = (weighted @ distance) / rows - 3 * shift * second + 2 * shift**3
        return float(anchor + shift), float(second - shift**2), float(third)

    @property
    def mean(self) -> float:
        """The mean."""
        return self._moments[0]

    @property
    def constant(self) -> bool:
        """Whether the variance is no more than rounding leaves of 0: StandardScaler's own rule."""
        mean, variance, _ = self._moments
        eps = float(np.finfo(np.float64).eps)
        return variance <= self.rows * eps * variance + (self.rows * mean * eps) ** 2

    @property
    def deviation(self) -> float:
        """The standard deviation; 1 of a constant."""
        if self.constant:
            return 1.0
        return float(np.sqrt(self._moments[1] * self.rows / max(self.rows - self.ddof, 1)))

    @property
    def skewness(self) -> float:
        """The third standardized moment; 0 of a constant."""
        return 0.0 if self.constant else self._moments[2] / self._moments[1] ** 1.5

    @property
    def lowest(self) -> float:
        """The smallest value."""
        return float(self.values[0])

    @property
    def range(self) -> float:
        """The distance from the smallest to the largest value."""
        return float(self.values[-1] - self.values[0])

    @property
    def most_frequent(self) -> float:
        """The value that most rows have; of several the smallest."""
        return float(self.values[self.counts.argmax()])

    def quantile(self, share: float) -> float:
        """Return the value that this share of rows lies below, between neighbours linearly."""
        place = share * (self.rows - 1)
        ranks = np.array([np.floor(place), np.ceil(place)])
        below, above = self.values[np.cumsum(self.counts).searchsorted(ranks, side="right")]
        return float(below + (above - below) * (place - ranks[0]))
