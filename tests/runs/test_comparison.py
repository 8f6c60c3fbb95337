"""Comparisons: paired differences against scipy and simulation, and what may be compared."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from forged import ROWS, contiguous, forge, noisy, truth
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from kaggleprice.competitions.metrics import METRICS, Metric
from kaggleprice.core.errors import RunFolderError, UsageError
from kaggleprice.evaluation.folds import Folds
from kaggleprice.runs.comparison import Comparison, Difference, compare, paired_folds, paired_rows
from kaggleprice.runs.run import Run

RMSE, LOG_RMSE = METRICS["rmse"], METRICS["log_rmse"]


def by_row(metric: Metric, true: ArrayLike, first: ArrayLike, second: ArrayLike) -> Difference:
    found = paired_rows(metric, true, first, second)
    assert found is not None
    return found


def compared(folder: Path, second: ArrayLike, name: str = "small", **changes: Any) -> Comparison:
    """Compare the run of `noisy(1)` with another."""
    runs = [
        forge(folder / "small" / "a", noisy(1)),
        forge(folder / name / "b", second, **changes),
    ]
    return compare(*map(Run.read, runs))


# By fold.


def test_fold_differences_are_those_of_a_paired_t_test() -> None:
    first, second = [0.12, 0.10, 0.15, 0.11, 0.09], [0.121, 0.103, 0.149, 0.115, 0.094]
    found = paired_folds(RMSE, first, second)
    test = stats.ttest_rel(second, first)
    assert (found.unit, found.count) == ("fold", 5)
    assert found.difference == pytest.approx(np.mean(second) - np.mean(first))
    assert found.plain_error == pytest.approx(found.difference / test.statistic)
    for confidence in (0.8, 0.95):
        quantile = stats.t.ppf(confidence, 4)
        assert found.bound(confidence) == pytest.approx(quantile * found.standard_error)
    assert found.bound() == found.bound(0.95)


def test_fold_errors_are_corrected_as_nadeau_and_bengio_do() -> None:
    """Their factor is 1/J + test rows / training rows; with 10 folds of 100 rows, 1/10 + 10/90."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.1, 0.02, 10), rng.normal(0.1, 0.02, 10)
    found = paired_folds(RMSE, first, second)
    variance = np.var(second - first, ddof=1)
    assert found.standard_error == pytest.approx(np.sqrt((1 / 10 + 10 / 90) * variance))
    assert found.standard_error > found.plain_error


def test_of_a_metric_of_which_more_is_better_above_zero_is_worse() -> None:
    r2 = replace(RMSE, greater_is_better=True)
    assert paired_folds(r2, [0.9, 0.8], [0.7, 0.7]).difference == pytest.approx(0.15)
    assert paired_folds(RMSE, [0.9, 0.8], [0.7, 0.7]).difference == pytest.approx(-0.15)


# By row.

ROW_METRICS = [metric for metric in METRICS.values() if metric.row_loss is not None]


@pytest.mark.parametrize("metric", ROW_METRICS, ids=lambda metric: metric.name)
def test_the_difference_by_row_is_that_of_the_scores(metric: Metric) -> None:
    found = by_row(metric, truth(), noisy(1), noisy(2, 0.2))
    scores = [metric.score(truth(), predicted) for predicted in (noisy(1), noisy(2, 0.2))]
    assert (found.unit, found.count) == ("row", ROWS)
    assert found.difference == pytest.approx(metric.worse_by(scores[1], scores[0]))
    assert found.difference > 0, "the second is worse"


def test_frames_of_several_targets_are_compared_by_their_numbers() -> None:
    """That is how a run has its predictions: columns of the same name."""
    first, second, true = (
        np.column_stack([values, values[::-1]]) for values in (noisy(1), noisy(2), truth())
    )
    frames = [pd.DataFrame(values, columns=["x", "x"]) for values in (true, first, second)]
    found = paired_rows(LOG_RMSE, *frames)
    assert found == paired_rows(LOG_RMSE, true, first, second)
    assert found is not None
    assert found.difference == pytest.approx(
        LOG_RMSE.score(truth(), noisy(2)) - LOG_RMSE.score(truth(), noisy(1))
    )


def test_runs_of_weighted_rows_are_compared_with_the_weights(tmp_path: Path) -> None:
    counts = np.arange(ROWS) % 4.0
    runs = [Run.read(forge(tmp_path / "small" / str(i), noisy(i), weights=counts)) for i in (1, 2)]
    found = compare(*runs).by_row
    expected = paired_rows(LOG_RMSE, truth(), noisy(1), noisy(2), counts)
    assert found is not None
    assert expected is not None
    scores = [LOG_RMSE.score(truth(), noisy(i), counts) for i in (1, 2)]
    assert found.difference == pytest.approx(scores[1] - scores[0])
    assert found.standard_error == pytest.approx(expected.standard_error)


def test_mean_absolute_errors_are_those_of_a_paired_t_test() -> None:
    """A mean needs no delta method: scipy knows the answer."""
    errors = [np.abs(noisy(seed) - truth()) for seed in (1, 2)]
    test = stats.ttest_rel(errors[1], errors[0])
    found = by_row(METRICS["mae"], truth(), noisy(1), noisy(2))
    assert found.standard_error == pytest.approx(found.difference / test.statistic)
    assert found.plain_error == found.standard_error


@pytest.mark.parametrize("name", ["log_rmse", "rmse", "mae"])
def test_the_error_by_row_is_that_of_resampled_rows(name: str) -> None:
    """The bootstrap knows nothing of the delta method."""
    rows, metric = 800, METRICS[name]
    true, first = truth(rows), noisy(1, 0.1, rows)
    second = np.sqrt(first * noisy(2, 0.1, rows))
    rng, differences = np.random.default_rng(3), []
    for _ in range(1000):
        drawn = rng.integers(rows, size=rows)
        scores = [metric.score(true[drawn], predicted[drawn]) for predicted in (first, second)]
        differences.append(scores[1] - scores[0])
    error = by_row(metric, true, first, second).standard_error
    assert error == pytest.approx(np.std(differences, ddof=1), rel=0.1)


def test_pairs_are_worth_more_than_their_parts() -> None:
    """What both find hard cancels: far less error than two scores apart from each other have."""
    first = noisy(1)
    close = by_row(LOG_RMSE, truth(), first, first * 1.001)
    apart = by_row(LOG_RMSE, truth(), first, noisy(2))
    assert close.standard_error < apart.standard_error / 10


def test_without_noise_and_without_a_sample() -> None:
    perfect = by_row(LOG_RMSE, truth(), truth(), truth())
    equal = paired_folds(RMSE, [0.1, 0.2], [0.1, 0.2])
    for found in (perfect, equal):
        assert (found.difference, found.standard_error, found.bound()) == (0, 0, 0)
    assert paired_rows(RMSE, [1.0], [2.0], [3.0]) is None


# Two runs.


def test_two_runs_of_the_same_folds(tmp_path: Path) -> None:
    found = compared(tmp_path, noisy(2, 0.2))
    scores = found.first.fold_scores, found.second.fold_scores
    assert (found.same_data, found.same_folds, found.unpaired) == (True, True, 0)
    straight = by_row(LOG_RMSE, truth(), noisy(1), noisy(2, 0.2))
    assert found.by_row is not None
    assert asdict(found.by_row) == pytest.approx(asdict(straight))
    assert found.by_fold == paired_folds(RMSE, *scores)
    assert list(found.fold_scores) == list(zip([1, 2, 3, 4], *scores, strict=True))


def test_other_folds_are_paired_by_row_alone(tmp_path: Path) -> None:
    found = compared(tmp_path, noisy(2), fold=contiguous(k=5))
    assert (found.same_folds, found.by_fold, found.fold_scores) == (False, None, ())
    assert found.by_row == paired_rows(LOG_RMSE, truth(), noisy(1), noisy(2))


def test_rows_are_paired_by_id_in_any_order(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(ROWS)
    ids, fold = [str(i + 1) for i in order], contiguous()[order]
    found = compared(tmp_path, noisy(2)[order], ids=ids, true=truth()[order], fold=fold)
    straight = by_row(LOG_RMSE, truth(), noisy(1), noisy(2))
    assert found.by_row is not None
    assert found.by_row.standard_error == pytest.approx(straight.standard_error)
    assert found.unpaired == 0


def test_rows_that_are_not_the_same_are_left_out(tmp_path: Path) -> None:
    """Ids 1 and 2 are the first's alone, 41 and 42 the second's; 3 has another true value."""
    true: NDArray[Any] = np.concatenate([truth()[2:], [1e5, 2e5]])
    true[0] *= 2
    ids = [str(i + 3) for i in range(ROWS)]
    found = compared(tmp_path, true * 1.1, ids=ids, true=true, data="c" * 64)
    same = by_row(LOG_RMSE, truth()[3:], noisy(1)[3:], truth()[3:] * 1.1)
    assert (found.same_data, found.unpaired) == (False, 5)
    assert found.by_row is not None
    assert found.by_row.count == ROWS - 3
    assert found.by_row.difference == pytest.approx(same.difference)
    assert found.by_row.standard_error == pytest.approx(same.standard_error)


def test_runs_without_a_common_row(tmp_path: Path) -> None:
    found = compared(tmp_path, noisy(2), ids=[f"x{i}" for i in range(ROWS)])
    assert (found.by_row, found.by_fold, found.unpaired) == (None, None, 2 * ROWS)


@pytest.mark.parametrize(
    ("name", "metric", "says"),
    [("other", "log_rmse", "competition differs, small and other"), ("small", "mae", "metric")],
)
def test_scores_of_another_kind(tmp_path: Path, name: str, metric: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        compared(tmp_path, noisy(2), name, metric=metric)


def test_predictions_that_are_not_there(tmp_path: Path) -> None:
    first, second = (forge(tmp_path / "small" / name, noisy(1)) for name in "ab")
    (second / "oof.csv").unlink()
    with pytest.raises(RunFolderError, match="missing"):
        compare(Run.read(first), Run.read(second))


def test_the_hash_of_folds_is_that_of_the_file(tmp_path: Path) -> None:
    run = Run.read(forge(tmp_path / "small" / "a", noisy(1)))
    ids = np.array([str(i + 1) for i in range(ROWS)], dtype=object)
    assert Folds.of_rows(contiguous() - 1).sha256(ids, "Id") == run.folds_sha256
    assert Folds.of_rows(contiguous(k=5) - 1).sha256(ids, "Id") != run.folds_sha256
