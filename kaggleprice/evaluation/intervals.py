"""Prediction intervals: conformal ones, from out-of-fold residuals, and what share they cover.

A row's residual is its true less its predicted target on the transformed scale, predicted by
members that did not train on it. Rows are split by predicted size into bins of equally many, and
in each bin two quantiles of the residuals are what an interval reaches below and above a
prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section
4.5: Mondrian; Vovk, "Cross-conformal predictors", 2015). No shape of the errors is assumed, only
that new rows are drawn as the training rows were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.errors import DataError, UsageError

Floats = NDArray[np.float64]

_MOST_BINS, _ROWS_OF_BIN = 10, 100


def check_level(level: float | None) -> None:
    """Check the share of rows that intervals shall cover.

    Raises:
        UsageError: where it does not lie between 0 and 1.
    """
    if level is not None and not 0 < level < 1:
        raise UsageError(
            f"--interval takes the share of rows that intervals shall cover, between 0 and 1, as "
            f"in 0.9; found {level:g}."
        )


@dataclass(frozen=True)
class Intervals:
    """How far intervals reach from a prediction.

    Attributes:
        transform: of the target.
        edges: shape (B - 1,), between B bins of transformed predictions.
        below, above: shape (B,), what is added to a transformed prediction of each bin.
    """

    transform: TargetTransform
    edges: Floats
    below: Floats
    above: Floats

    @classmethod
    def calibrate(
        cls,
        true: Floats,
        predicted: Floats,
        level: float,
        transform: TargetTransform,
        weights: Floats | None = None,
    ) -> Intervals:
        """Learn from rows that were predicted by members that did not train on them.

        Args:
            true: shape (n,), in the target's own unit.
            predicted: shape (n,).
            level: the share of new rows that intervals shall cover.
            transform: of the target.
            weights: shape (n,), how much each row counts; None where all count the same.

        Raises:
            DataError: where so few rows say nothing of so rare errors.
        """
        sizes, tail = transform.forward(predicted), (1 - level) / 2
        least = _check_rows(level, len(true))
        count = min(_MOST_BINS, max(1, len(true) // max(_ROWS_OF_BIN, 2 * least)))
        edges = np.quantile(sizes, np.arange(1, count) / count)
        bins = np.searchsorted(edges, sizes, side="right")
        residuals = transform.forward(true) - sizes
        counts = np.ones(len(true)) if weights is None else weights
        ends = []
        for number in range(count):
            own = bins == number
            # Many equal predictions may leave a bin with few rows, and weights with none that
            # counts: all rows stand in for it.
            if own.sum() < least or not counts[own].any():
                own[:] = True
            ends.append(_ends(residuals[own], counts[own], tail))
        below, above = np.array(ends).T
        return cls(transform, edges, below, above)

    def of(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Return the lower and the upper end of the intervals of predictions; each of shape (n,).

        An interval never ends on the wrong side of its prediction.
        """
        sizes = self.transform.forward(predicted)
        bins = np.searchsorted(self.edges, sizes, side="right")
        with np.errstate(over="ignore"):
            low, high = (
                self.transform.inverse(sizes + reach[bins]) for reach in (self.below, self.above)
            )
        return np.minimum(low, predicted), np.maximum(high, predicted)


def _check_rows(level: float, rows: int) -> int:
    """Return how many rows a bin needs; with fewer, a quantile lies beyond the largest residual.

    Raises:
        DataError: where there are not so many.
    """
    least = math.ceil(2 / (1 - level) - 1e-9) - 1
    if rows < least:
        raise DataError(
            f"intervals that cover {level:g} of the rows need {least} out-of-fold rows of "
            f"other folds or more, found {rows}; give a smaller --interval."
        )
    return least


def _ends(residuals: Floats, weights: Floats, tail: float) -> tuple[float, float]:
    """Return the order statistics beyond which a new residual lies with probability `tail`.

    A new row counts what a row counts on average. Where a single residual counts for more than the
    tail, it is the end.
    """
    residuals, weights = residuals[weights > 0], weights[weights > 0]
    order = np.argsort(residuals, kind="stable")
    ordered, counts = residuals[order], weights[order] / weights.mean()
    wanted = tail * (len(ordered) + 1) + 1e-9
    below, above = (
        max(0, int(np.searchsorted(np.cumsum(one), wanted, side="right")) - 1)
        for one in (counts, counts[::-1])
    )
    return float(ordered[below]), float(ordered[len(ordered) - 1 - above])


def check_folds(level: float, fold_of_row: NDArray[np.integer]) -> None:
    """Check that the intervals of each fold can be made by the rows of the others.

    Args:
        level: the share of rows that intervals shall cover.
        fold_of_row: shape (n,), of the rows that are scored.

    Raises:
        DataError: where the others have too few rows.
        UsageError: where all rows are of one fold.
    """
    _, sizes = np.unique(fold_of_row, return_counts=True)
    if len(sizes) == 1:
        raise UsageError(
            "--interval checks the intervals of a fold by those of others, found one fold; "
            "give --repeats, or another --fold-scheme."
        )
    _check_rows(level, len(fold_of_row) - int(sizes.max()))


@dataclass(frozen=True)
class Coverage:
    """What intervals were worth on rows that they had not seen.

    Attributes:
        level: the share of rows that they shall cover.
        covered: the share that they did, by the rows' weights where they have such.
        rows: of how many.
        width: their median width, in the target's own unit.
    """

    level: float
    covered: float
    rows: int
    width: float


def estimate_coverage(
    true: Floats,
    predicted: Floats,
    fold_of_row: NDArray[np.integer],
    level: float,
    transforms: Sequence[TargetTransform],
    weights: Floats | None = None,
) -> Coverage:
    """Calibrate intervals on the rows of all folds but one, check them on that one, for each.

    Args:
        true: shape (n,), in the target's own unit.
        predicted: shape (n,), out of fold.
        fold_of_row: shape (n,), counted from 0.
        level: the share of rows that intervals shall cover.
        transforms: of the target, one for each fold, which learned nothing of its rows.
        weights: shape (n,), how much each row counts; None where all count the same.

    Raises:
        DataError, UsageError: as `check_folds`.
    """
    check_folds(level, fold_of_row)
    inside, widths = np.zeros(len(true), dtype=bool), np.zeros(len(true))
    for fold in np.unique(fold_of_row):
        own = fold_of_row == fold
        others = None if weights is None else weights[~own]
        found = Intervals.calibrate(true[~own], predicted[~own], level, transforms[fold], others)
        low, high = found.of(predicted[own])
        inside[own] = (low <= true[own]) & (true[own] <= high)
        widths[own] = high - low
    covered = float(np.average(inside, weights=weights))
    return Coverage(level, covered, len(true), float(np.median(widths)))
