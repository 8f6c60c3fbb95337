"""Out-of-fold rows: each training row as predicted by members that did not train on it.

They tell the score to expect on the test file, and how sure that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Table
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.errors import RunFolderError
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
        residual: shape (n,), predicted less true on the transformed scale: above 0 where the
            prediction is too high.
        fold_of_row: shape (n,), counted from 0.
    """

    ids: NDArray[Any]
    true: Floats
    predicted: Floats
    residual: Floats
    fold_of_row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def largest(self, count: int) -> NDArray[np.int64]:
        """Return the rows of the largest absolute residuals, largest first; shape (count,)."""
        return np.argsort(-np.abs(self.residual), kind="stable")[:count]


def read_out_of_fold(run: Run, table: Table, transform: TargetTransform) -> OutOfFold:
    """Read a run's oof.csv.

    Args:
        run: the run.
        table: the n training rows that it was trained on.
        transform: of the target.

    Raises:
        RunFolderError: where the file is absent or does not hold these rows.
    """
    path = run.path / "oof.csv"
    try:
        # As texts: older versions of pandas do not read back every bit of a number.
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        ids, *numbers = (frame.iloc[:, column].to_numpy(dtype=object) for column in range(4))
        true, predicted, fold = (column.astype(np.float64) for column in numbers)
    except (OSError, ValueError, IndexError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}; train the run again.") from None
    if not np.array_equal(ids, table.ids):
        raise RunFolderError(f"{path} does not hold the training rows; train the run again.")
    return OutOfFold(
        ids=table.ids,
        true=true,
        predicted=predicted,
        residual=transform.forward(predicted) - transform.forward(true),
        fold_of_row=fold.astype(np.int64) - 1,
    )


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
