"""A column's values, each once, with the number of each fold's training rows that have it.

All that a recipe learns of a column follows from these counts. The rows that do not train in a fold
are taken off all rows, so that K folds cost about one pass more than one. In columns of many rows
there are mostly few different values, and what a fold learns depends on its training rows alone, to
the last bit: a value that only other rows have is not in its distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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


@dataclass(frozen=True)
class FoldCounts:
    """How many rows have each value of a column, and how many of them do not train in each fold.

    Attributes:
        levels: the u different values, numbers ascending.
        counts: shape (u + 1,), all rows; the last ones have no value.
        left_out: those that do not train, as counts, for each of F folds.
    """

    levels: pd.Index
    counts: NDArray[np.int64]
    left_out: list[NDArray[np.int64]]

    @classmethod
    def of(cls, column: pd.Series, left_out: Sequence[NDArray[np.int64]]) -> FoldCounts:
        """Count n values, given the numbers of the rows that do not train in each fold."""
        values = column.to_numpy() if column.dtype in _SMALL else np.empty(0, dtype=np.int8)
        lowest, highest = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        if highest - lowest < len(values):
            # Whole numbers close to each other are codes already.
            cells = values.astype(np.int64) - lowest
            levels = pd.Index(np.arange(lowest, highest + 1).astype(values.dtype))
        else:
            codes, levels = factorized(column)
            # The missing ones, whose code is -1, come last.
            cells = np.where(codes < 0, np.int64(len(levels)), codes)
        count = len(levels) + 1
        counts = np.bincount(cells, minlength=count)
        rest = [np.bincount(cells[rows], minlength=count) for rows in left_out]
        if counts[:-1].all():
            return cls(levels, counts, rest)
        seen = counts[:-1] > 0
        kept = np.append(seen, True)
        return cls(levels[seen], counts[kept], [own[kept] for own in rest])

    def trained(self) -> Iterator[tuple[NDArray[np.int64], int]]:
        """Yield, for each fold, how many training rows have each level and how many none.

        Yields:
            Rows with each level, shape (u,); rows without a value.
        """
        for rest in self.left_out:
            counts = self.counts - rest
            yield counts[:-1], int(counts[-1])


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
        if self.constant:
            return 0.0
        _, variance, third = self._moments
        # One by one: of tiny numbers the power 1.5 of the variance would be 0.
        return third / variance / float(np.sqrt(variance))

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
