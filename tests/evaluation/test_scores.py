"""The score to expect on other rows."""

from __future__ import annotations

import numpy as np
import pytest

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.scores import expected_error


def test_the_error_of_a_forecast() -> None:
    """A test set as large as the training set doubles the variance; an endless one adds none."""
    assert expected_error(0.006, 1000, 1000) == pytest.approx(0.006 * np.sqrt(2))
    assert expected_error(0.006, 1000, 10**12) == pytest.approx(0.006)


def test_the_forecast_is_as_far_off_as_it_says() -> None:
    """Of many training and test sets of one population: the spread of score less forecast."""
    random = np.random.default_rng(2)
    rows, test_rows = 200, 80
    squares = random.normal(0, 0.1, (4000, rows + test_rows)) ** 2
    seen, unseen = squares[:, :rows], squares[:, rows:]
    off = np.sqrt(unseen.mean(axis=1)) - np.sqrt(seen.mean(axis=1))
    rmse = METRICS["rmse"]
    errors = [expected_error(rmse.standard_error(row), rows, test_rows) for row in seen]
    assert off.std(ddof=1) == pytest.approx(np.mean(errors), rel=0.05)
