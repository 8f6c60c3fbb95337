"""Learning numeric columns where rows are many: one column at a time, moments per fold.

Every fold's statistics come from one pass, merged from the moments of the other folds; the
numbers are those of scikit-learn's transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.preprocessing.fitted import Floats, NumericState
from kaggleprice.settings.recipe import Recipe

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
    sizes = np.bincount(fold_of_row)
    columns = [
        _stream_column(
            recipe, str(name), Sums.of(frame[name].to_numpy(), fold_of_row), sizes, folds
        )
        for name in frame
    ]
    return [(tuple(column[i] for column in columns), None, None) for i in range(len(folds))]


def _stream_column(
    recipe: Recipe, name: str, plain: Sums, sizes: NDArray[np.int64], folds: Sequence[int]
) -> list[NumericState]:
    logs = [_takes_log(recipe, plain, fold) for fold in folds]
    logged = plain.logged() if any(logs) else plain
    states = []
    for fold, log in zip(folds, logs, strict=True):
        sums = logged if log else plain
        fill = sums.fill(recipe.impute, fold)
        missing = int(sizes[np.arange(len(sizes)) != fold].sum()) - sums.count(fold)
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


def _takes_log(recipe: Recipe, sums: Sums, fold: int) -> bool:
    """Whether a fold's training rows become logs."""
    if recipe.log_skew is None or sums.lowest(fold) < 0:
        return False
    return sums.skew(fold) > recipe.log_skew


def _is_constant(count: float, mean: float, variance: float) -> bool:
    """Whether a variance is no more than rounding leaves of 0: StandardScaler's own rule."""
    eps = float(np.finfo(np.float64).eps)
    return variance <= count * eps * variance + (count * mean * eps) ** 2


@dataclass(frozen=True)
class Tally:
    """The observed values of one fold, each once.

    Attributes:
        numbers: shape (u,), float64, ascending.
        counts: shape (u,), float64, in how many rows each stands.
    """

    numbers: Floats
    counts: Floats

    @cached_property
    def moments(self) -> tuple[float, float, float, float, float]:
        """Return count, anchor, the mean's offset from it, and the second and third moment.

        Moments are sums of powers of distances from the mean; the anchor is the mean but for
        rounding.
        """
        count = float(self.counts.sum())
        if not count:
            return 0.0, 0.0, 0.0, 0.0, 0.0
        anchor = float((self.counts * self.numbers).sum()) / count
        centered = self.numbers - anchor
        weighted = self.counts * centered
        s1 = float(weighted.sum())
        weighted *= centered
        s2 = float(weighted.sum())
        weighted *= centered
        s3, offset = float(weighted.sum()), s1 / count
        m3 = s3 - 3 * offset * s2 + 2 * count * offset**3
        return count, anchor, offset, s2 - count * offset**2, m3

    @cached_property
    def ranks(self) -> Floats:
        """How many rows have one of the first values, shape (u + 1,), from 0."""
        return np.concatenate([[0.0], np.cumsum(self.counts)])

    def up_to(self, value: float) -> float:
        """Return how many rows have this value or a smaller one."""
        return float(self.ranks[self.numbers.searchsorted(value, side="right")])

    def mapped(self, function: Callable[[Floats], Floats]) -> Tally:
        """Return the tally of a function, which must not fall, of the values."""
        return Tally(function(self.numbers), self.counts)


class Sums:
    """One column's folds; queries merge those of every fold but one.

    Each fold's moments are about its own mean and are merged pairwise (Chan, Golub and LeVeque
    1983, "Algorithms for computing the sample variance"): no digits are lost to cancellation,
    and not even the rounding of a fold's statistics depends on the rows that it leaves out.
    Columns of many rows mostly have few different values, which are counted once.
    """

    def __init__(self, tallies: Sequence[Tally]) -> None:
        self._tallies = list(tallies)

    @classmethod
    def of(cls, values: NDArray[Any], fold_of_row: NDArray[np.int64]) -> Sums:
        """Count n values, NaN where missing, shape (n,), by their folds."""
        width = int(fold_of_row.max(initial=0)) + 1
        if values.dtype.kind == "f":
            observed = ~np.isnan(values)
            if not observed.all():
                values, fold_of_row = values[observed], fold_of_row[observed]
        known = _whole(values)
        if known is None:
            return cls([_tally_any(values[fold_of_row == fold]) for fold in range(width)])
        return cls(_tally_whole(known, fold_of_row, width))

    def _others(self, fold: int) -> list[Tally]:
        return [tally for f, tally in enumerate(self._tallies) if f != fold]

    def logged(self) -> Sums:
        """Return the sums of log(1 + x); what is negative counts as 0."""
        return Sums([t.mapped(lambda x: np.log1p(np.maximum(x, 0.0))) for t in self._tallies])

    def lowest(self, fold: int) -> float:
        """Return the smallest value of the training rows; infinity where there is none."""
        return min(
            (float(t.numbers[0]) for t in self._others(fold) if len(t.numbers)), default=np.inf
        )

    def count(self, fold: int) -> int:
        """Observed values among the training rows."""
        return int(sum(tally.moments[0] for tally in self._others(fold)))

    def skew(self, fold: int) -> float:
        """Skewness of the training rows; 0 where they are constant or none."""
        count, mean, variance, third = self._moments(fold)
        constant = _is_constant(count, mean, variance)
        return 0.0 if constant else float(third / variance**1.5)

    def fill(self, impute: str, fold: int) -> float:
        """Return the value for missing ones; 0 where nothing was observed."""
        if impute == "constant" or not self.count(fold):
            return 0.0
        return self._moments(fold)[1] if impute == "mean" else self._median(fold)

    def _median(self, fold: int) -> float:
        count = self.count(fold)
        middle = [self._ranked(rank, fold) for rank in ((count - 1) // 2, count // 2)]
        return float(np.mean(middle))

    def _ranked(self, rank: int, fold: int) -> float:
        """Return the training rows' value that `rank` smaller or equal ones stand before."""
        others, found = self._others(fold), np.inf
        for tally in others:
            # Of each fold, the first value that enough rows do not exceed.
            first, stop = 0, len(tally.numbers)
            while first < stop:
                middle = (first + stop) // 2
                value = float(tally.numbers[middle])
                if sum(other.up_to(value) for other in others) > rank:
                    stop = middle
                else:
                    first = middle + 1
            if first < len(tally.numbers):
                found = min(found, float(tally.numbers[first]))
        return found

    def clipped(self, fold: int, low: float, high: float) -> Sums:
        """Return the sums of a fold's training rows, bounded."""
        return Sums(
            [
                Tally(*_NOTHING) if f == fold else tally.mapped(lambda x: np.clip(x, low, high))
                for f, tally in enumerate(self._tallies)
            ]
        )

    def center_and_scale(self, ddof: int, fold: int, fills: int, fill: float) -> _Scaling:
        """Mean and standard deviation of the training rows and of `fills` times `fill`."""
        count, mean, variance, _ = self._moments(fold, fills, fill)
        if _is_constant(count, mean, variance):
            return mean, 1.0
        return mean, float(np.sqrt(variance * count / max(count - ddof, 1)))

    def _moments(self, fold: int, fills: int = 0, fill: float = 0.0) -> _Moments:
        """Return count, mean, variance and third central moment of the training rows."""
        parts = [t.moments for t in self._others(fold) if t.moments[0]]
        total = float(sum(part[0] for part in parts)) + fills
        if not total:
            return 0.0, 0.0, 0.0, 0.0
        count, anchor, offset, m2, m3 = np.array([*parts, (fills, fill, 0.0, 0.0, 0.0)]).T
        # Differences of anchors are small and exact where the values themselves are large.
        distance = anchor - anchor[0] + offset
        shift = float(count @ distance) / total
        distance -= shift
        variance = float(np.sum(m2 + count * distance**2)) / total
        third = float(np.sum(m3 + 3 * distance * m2 + count * distance**3)) / total
        return total, float(anchor[0]) + shift, variance, third


_NOTHING = (np.empty(0), np.empty(0))


def _whole(values: NDArray[Any]) -> NDArray[np.int64] | None:
    """Return whole numbers that lie close enough to be counted; None for others."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    low, high = float(values.min()), float(values.max())
    # The difference of two large floats may be rounded, a count of them may not.
    if not (high - low < max(len(values) // 4, 256) and abs(low) < 2**52 and abs(high) < 2**52):
        return None
    whole = values.astype(np.int64)
    return whole if values.dtype.kind != "f" or bool((whole == values).all()) else None


def _tally_whole(
    whole: NDArray[np.int64], fold_of_row: NDArray[np.int64], width: int
) -> list[Tally]:
    low, high = (int(whole.min()), int(whole.max())) if len(whole) else (0, 0)
    span = high - low + 1
    cells = whole - low
    cells *= width
    cells += fold_of_row
    counts = np.bincount(cells, minlength=span * width).reshape(span, width).T
    seen = [np.flatnonzero(line) for line in counts]
    return [
        Tally((own + low).astype(np.float64), line[own].astype(np.float64))
        for own, line in zip(seen, counts, strict=True)
    ]


def _tally_any(values: NDArray[Any]) -> Tally:
    # Adding 0 makes -0 the 0 that it equals.
    found, counts = np.unique(values.astype(np.float64) + 0.0, return_counts=True)
    return Tally(found, counts.astype(np.float64))
