"""The score to expect on new rows, and how far chance may move it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaggleprice.competitions import Competition
from kaggleprice.metrics import METRICS
from kaggleprice.reports.rows import OutOfFold

SHARE = 0.9
_DRAWS = 1000
# Values that a bootstrap may touch: it then takes seconds, whatever the size of the table.
_MOST_VALUES = 10**8


@dataclass(frozen=True)
class Expected:
    """The score to expect on as many new rows as the test file has.

    Attributes:
        score: the pooled out-of-fold score.
        sd: standard deviation over bootstrap draws.
        low, high: bounds of the middle `SHARE` of the draws.
        rows: of the test file.
        draws: how many.
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
        test_rows: of the test file.
        seed: of the draws.
    """
    metric = METRICS[competition.metric].load()
    random = np.random.default_rng(np.random.SeedSequence((seed, 0)))
    count = len(rows)
    draws = max(100, min(_DRAWS, _MOST_VALUES // (count + test_rows)))
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
