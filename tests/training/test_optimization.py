"""Losses: scores by row, and how far a score would move on other rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.scoring import LOSSES
from kaggleprice.evaluation.scores import expected_error

EACH = pytest.mark.parametrize("name", sorted(METRICS))


def sample(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = np.exp(random.normal(3, 0.4, rows))
    return truth, truth * np.exp(random.standard_t(5, rows) * 0.1)


def test_every_metric_has_a_loss() -> None:
    assert set(LOSSES) == set(METRICS)


@EACH
def test_the_losses_make_the_score(name: str) -> None:
    truth, predicted = sample()
    loss = LOSSES[name]
    score = METRICS[name].load()(truth, predicted)
    assert loss.score(loss.of_rows(truth, predicted)) == pytest.approx(score, rel=1e-12)


@EACH
def test_the_standard_error_is_that_of_the_bootstrap(name: str) -> None:
    truth, predicted = sample()
    metric, loss = METRICS[name].load(), LOSSES[name]
    random = np.random.default_rng(1)
    draws = random.integers(len(truth), size=(4000, len(truth)))
    bootstrap = np.std([metric(truth[rows], predicted[rows]) for rows in draws], ddof=1)
    error = loss.standard_error(loss.of_rows(truth, predicted))
    # 4000 draws know a standard deviation to about 1 %; the delta method is of first order.
    assert error == pytest.approx(bootstrap, rel=0.06)


def test_formulas() -> None:
    truth, predicted = sample(50)
    absolute = np.abs(predicted - truth)
    mae = LOSSES["mae"]
    assert mae.standard_error(mae.of_rows(truth, predicted)) == pytest.approx(stats.sem(absolute))
    rmse = LOSSES["rmse"]
    squared = (predicted - truth) ** 2
    by_hand = squared.std(ddof=1) / (2 * np.sqrt(squared.mean()) * np.sqrt(50))
    assert rmse.standard_error(rmse.of_rows(truth, predicted)) == pytest.approx(by_hand)
    assert rmse.standard_error(np.zeros(5)) == 0.0


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
    loss = LOSSES["rmse"]
    said = np.mean([expected_error(loss.standard_error(row), rows, test_rows) for row in seen])
    assert off.std(ddof=1) == pytest.approx(said, rel=0.05)
