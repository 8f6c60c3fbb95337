"""Conformal intervals: they cover what they say, whatever the errors look like."""

from __future__ import annotations

import numpy as np
import pytest

from kaggleprice.competitions.transforms import LOG, LOG1P, NONE, QUANTILE, SQRT, YEO_JOHNSON
from kaggleprice.core.errors import DataError, UsageError
from kaggleprice.evaluation.intervals import (
    Intervals,
    check_level,
    estimate_coverage,
)

TRANSFORMS = {
    "log": LOG,
    "log1p": LOG1P,
    "sqrt": SQRT,
    "none": NONE,
    "quantile": QUANTILE,
    "yeo-johnson": YEO_JOHNSON,
}


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Skewed errors that grow with the size of what is predicted."""
    random = np.random.default_rng(seed)
    predicted = np.exp(random.normal(3, 0.7, count))
    return predicted + predicted * (random.gamma(1.0, size=count) - 0.9) * 0.4, predicted


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_new_rows_are_covered(name: str, level: float) -> None:
    (true, predicted), (new, new_predicted) = rows(3000, 0), rows(20_000, 1)
    found = Intervals.calibrate(true, predicted, level, TRANSFORMS[name].fitted(true))
    low, high = found.of(new_predicted)
    assert (low <= new_predicted).all()
    assert (new_predicted <= high).all()
    covered = (low <= new) & (new <= high)
    # Two ends, each a quantile of 3000 rows.
    assert covered.mean() == pytest.approx(level, abs=0.025)
    # Large predictions as well as small ones.
    for part in np.array_split(np.argsort(new_predicted), 4):
        assert covered[part].mean() == pytest.approx(level, abs=0.06)


def test_ends_by_hand() -> None:
    """Of 19 residuals the largest is beaten by a new one in one case of twenty."""
    true = np.arange(1.0, 20.0)
    found = Intervals.calibrate(true, np.zeros(19), 0.9, NONE)
    low, high = found.of(np.array([100.0]))
    # An interval holds its prediction.
    assert (low[0], high[0]) == (100.0, 119.0)
    with pytest.raises(DataError, match=r"need 19 out-of-fold rows.*found 18"):
        Intervals.calibrate(true[1:], np.zeros(18), 0.9, NONE)


def test_each_size_has_ends_of_its_own() -> None:
    """Ten bins of 100 rows, whose errors are ten times as large in each as in the one before."""
    sizes, random = np.arange(1000.0), np.random.default_rng(0)
    spread = 10.0 ** (np.arange(1000) // 100)
    true = sizes + spread * random.uniform(-1, 1, 1000)
    low, high = Intervals.calibrate(true, sizes, 0.9, NONE).of(np.arange(50.0, 1000.0, 100.0))
    np.testing.assert_allclose(np.log10((high - low) / 1.8), np.arange(10), atol=0.1)


def test_equal_predictions_share_a_bin() -> None:
    true = np.random.default_rng(0).normal(size=900)
    low, high = Intervals.calibrate(true, np.ones(900), 0.9, NONE).of(np.ones(3))
    assert high[0] - low[0] == pytest.approx(3.3, abs=0.3)


def test_coverage_is_of_folds_that_were_not_calibrated_on() -> None:
    true, predicted = rows(900, 0)
    fold = np.arange(900) % 3
    # One fold is nothing like the others, which cannot know it.
    true = np.where(fold == 2, 1e4 + true, true)
    found = estimate_coverage(true, predicted, fold, 0.9, [NONE] * 3)
    covered = []
    for k in range(3):
        intervals = Intervals.calibrate(true[fold != k], predicted[fold != k], 0.9, NONE)
        low, high = intervals.of(predicted[fold == k])
        covered.append(((low <= true[fold == k]) & (true[fold == k] <= high)).mean())
    assert found.covered == pytest.approx(np.mean(covered))
    assert covered[2] == 0
    assert (found.level, found.rows) == (0.9, 900)


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0, -0.1, float("nan")])
def test_a_share_lies_between_0_and_1(level: float) -> None:
    with pytest.raises(UsageError, match="--interval takes"):
        check_level(level)


def test_rows_of_one_fold_cannot_check_their_own_intervals() -> None:
    true, predicted = rows(300, 0)
    with pytest.raises(UsageError, match="found one fold"):
        estimate_coverage(true, predicted, np.zeros(300, dtype=np.int64), 0.8, [NONE])


def test_a_row_that_counts_twice_is_two_rows() -> None:
    true, predicted = rows(200, 0)[0], np.zeros(200)
    weights = np.random.default_rng(0).integers(0, 3, 200)
    twice = np.repeat(np.arange(200), weights)
    weighted = Intervals.calibrate(true, predicted, 0.8, NONE, weights.astype(float))
    repeated = Intervals.calibrate(true[twice], predicted[twice], 0.8, NONE)
    order = np.sort(true[weights > 0])
    for end in ("below", "above"):
        one, other = getattr(weighted, end)[0], getattr(repeated, end)[0]
        # A new row counts one there, and the mean of the weights here.
        assert abs(np.searchsorted(order, one) - np.searchsorted(order, other)) <= 1


def test_weighted_coverage() -> None:
    """Half of the rows, which alone count, have errors ten times as large."""
    true, predicted = rows(4000, 0)
    large = np.arange(4000) % 2 == 0
    true = np.where(large, predicted + 10 * (true - predicted), true)
    weights, folds = np.where(large, 3.0, 0.0), np.arange(4000) // 2 % 4
    found = estimate_coverage(true, predicted, folds, 0.9, [NONE] * 4, weights)
    assert found.covered == pytest.approx(0.9, abs=0.02)
    plain = estimate_coverage(true, predicted, folds, 0.9, [NONE] * 4)
    # Equal weights are none.
    assert estimate_coverage(true, predicted, folds, 0.9, [NONE] * 4, weights * 0 + 2) == plain
    assert found.width > plain.width
