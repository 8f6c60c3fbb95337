"""Out-of-fold rows: each training row as predicted by members that did not train on it.

They tell the score to expect on the test file, and how sure that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.runs.run import Run

Floats = NDArray[np.float64]

# The share of bootstrap draws between the bounds of the score to expect.
SHARE = 0.9
_DRAWS = 1000
# Rows that all draws together may take, so that they take seconds whatever the table's size.
_MOST_DRAWN_ROWS = 10**8


@dataclass(frozen=True)
class OutOfFold:
    """The n training rows in the file's order.

    Attributes:
        ids: shape (n,), the id column's text.
        true, predicted: shape (n,), float64, in the target's own unit.
        fold_of_row: shape (n,), counted from 0.
        transform: of the target.
    """

    ids: NDArray[Any]
    true: Floats
    predicted: Floats
    fold_of_row: NDArray[np.int64]
    transform: TargetTransform

    @classmethod
    def of_run(cls, run: Run, transform: TargetTransform, target: int = 0) -> OutOfFold:
        """Read a run's out-of-fold rows of one of its targets, counted from 0.

        Raises:
            RunFolderError: where a file of the run is missing, truncated or altered.
        """
        rows = run.predictions
        # Each target has two columns.
        true, predicted = rows.iloc[:, [2 * target, 2 * target + 1]].to_numpy().T
        return cls(np.array(rows.index), true, predicted, run.folds().fold_of_row, transform)

    @cached_property
    def scaled(self) -> tuple[Floats, Floats]:
        """True and predicted values on the transformed scale."""
        return self.transform.forward(self.true), self.transform.forward(self.predicted)

    @cached_property
    def residual(self) -> Floats:
        """Predicted less true on the transformed scale: above 0 where it is too high."""
        true, predicted = self.scaled
        return predicted - true

    def __len__(self) -> int:
        return len(self.ids)

    def largest(self, count: int) -> NDArray[np.int64]:
        """Return the rows of the largest absolute residuals, largest first; shape (count,)."""
        return np.argsort(-np.abs(self.residual), kind="stable")[:count]


@dataclass(frozen=True)
class Expected:
    """The score to expect on as many new rows as the test file has.

    Attributes:
        score: the pooled out-of-fold score.
        sd: standard deviation over bootstrap draws.
        low, high: bounds of the middle 90 % of the draws.
        rows: of the test file.
        draws: of the bootstrap.
    """

    score: float
    sd: float
    low: float
    high: float
    rows: int
    draws: int


def expect(competition: Competition, rows: OutOfFold, test_rows: int, seed: int) -> Expected:
    """Estimate the score on test rows that come from where the training rows came from.

    Two things are left to chance: which rows the training file has, and which the test file has.
    So each draw of the bootstrap (Efron and Tibshirani 1993, "An Introduction to the Bootstrap",
    chapter 6) takes n of the n out-of-fold rows with replacement, then from those as many as the
    test file has, and scores them. The networks themselves stay as they are.

    Args:
        competition: for the metric.
        rows: n out-of-fold rows.
        test_rows: the number of rows of the test file.
        seed: of the draws.
    """
    metric = METRICS[competition.metric].score
    random = np.random.default_rng(np.random.SeedSequence((seed, 0)))
    count = len(rows)
    draws = max(100, min(_DRAWS, _MOST_DRAWN_ROWS // (count + test_rows)))
    scores = np.empty(draws)
    for draw in range(draws):
        population = random.integers(count, size=count)
        drawn = population[random.integers(count, size=test_rows)]
        scores[draw] = metric(rows.true[drawn], rows.predicted[drawn])
    low, high = np.quantile(scores, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Expected(
        score=float(metric(rows.true, rows.predicted)),
        sd=float(scores.std(ddof=1)),
        low=float(low),
        high=float(high),
        rows=test_rows,
        draws=draws,
    )
