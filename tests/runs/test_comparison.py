"""Comparisons: paired differences against scipy and simulation, and what may be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forged import ROWS, contiguous, forge, noisy, truth
from numpy.typing import NDArray
from scipy import stats

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.errors import RunFolderError, UnknownNameError, UsageError
from kaggleprice.evaluation.folds import Folds
from kaggleprice.runs.comparison import (
    Comparison,
    compare,
    paired_folds,
    paired_rows,
)
from kaggleprice.runs.run import Run

RMSE = METRICS["rmse"]


def compared(first: Path, second: Path) -> Comparison:
    return compare(Run.read(first), Run.read(second))


# By fold.


def test_fold_differences_are_those_of_a_paired_t_test() -> None:
    first, second = [0.12, 0.10, 0.15, 0.11, 0.09], [0.121, 0.103, 0.149, 0.115, 0.094]
    found = paired_folds(RMSE, first, second)
    test = stats.ttest_rel(second, first)
    assert (found.unit, found.count) == ("fold", 5)
    assert found.difference == pytest.approx(np.mean(second) - np.mean(first))
    assert found.plain_error == pytest.approx(found.difference / test.statistic)
    low, _ = test.confidence_interval(0.90)
    assert found.difference - low == pytest.approx(stats.t.ppf(0.95, 4) * found.plain_error)


def test_fold_errors_are_corrected_as_nadeau_and_bengio_do() -> None:
    """Their factor is 1/J + test rows / training rows; with 10 folds of 100 rows, 1/10 + 10/90."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.1, 0.02, 10), rng.normal(0.1, 0.02, 10)
    found = paired_folds(RMSE, first, second)
    variance = np.var(second - first, ddof=1)
    assert found.standard_error == pytest.approx(np.sqrt((1 / 10 + 10 / 90) * variance))
    assert found.standard_error > found.plain_error


def test_the_bound_is_students() -> None:
    found = paired_folds(RMSE, [0.1, 0.2, 0.3], [0.11, 0.19, 0.33])
    for confidence in (0.8, 0.95, 0.975):
        quantile = stats.t.ppf(confidence, 2)
        assert found.bound(confidence) == pytest.approx(quantile * found.standard_error)
    assert found.bound() == found.bound(0.95)


def test_equal_folds_have_no_noise() -> None:
    found = paired_folds(RMSE, [0.1, 0.2], [0.1, 0.2])
    assert (found.difference, found.standard_error, found.bound()) == (0, 0, 0)


# By row.


@pytest.mark.parametrize("metric", [n for n, m in METRICS.items() if m.row_loss is not None])
def test_the_difference_by_row_is_that_of_the_scores(metric: str) -> None:
    found = paired_rows(metric, truth(), noisy(1), noisy(2, 0.2))
    assert found is not None
    assert (found.unit, found.count) == ("row", ROWS)
    scores = [METRICS[metric].score(truth(), noisy(*draw)) for draw in ((2, 0.2), (1,))]
    assert found.difference == pytest.approx(METRICS[metric].worse_by(*scores))
    assert found.difference > 0, "the second is worse"


def test_mean_absolute_errors_are_those_of_a_paired_t_test() -> None:
    """A mean needs no delta method: scipy knows the answer."""
    errors = [np.abs(noisy(seed) - truth()) for seed in (1, 2)]
    test = stats.ttest_rel(errors[1], errors[0])
    found = paired_rows("mae", truth(), noisy(1), noisy(2))
    assert found is not None
    assert found.standard_error == pytest.approx(found.difference / test.statistic)
    assert found.plain_error == found.standard_error


@pytest.mark.parametrize("metric", ["log_rmse", "rmse", "mae"])
def test_the_error_by_row_is_that_of_resampled_rows(metric: str) -> None:
    """The bootstrap knows nothing of the delta method."""
    rows = 800
    true, first = truth(rows), noisy(1, 0.1, rows)
    second = np.sqrt(first * noisy(2, 0.1, rows))
    found = paired_rows(metric, true, first, second)
    assert found is not None
    rng, score, differences = np.random.default_rng(3), METRICS[metric].score, []
    for _ in range(1000):
        drawn = rng.integers(rows, size=rows)
        differences.append(score(true[drawn], second[drawn]) - score(true[drawn], first[drawn]))
    assert found.standard_error == pytest.approx(np.std(differences, ddof=1), rel=0.1)


def test_pairs_are_worth_more_than_their_parts() -> None:
    """What both find hard cancels: far less error than two scores apart from each other have."""
    first = noisy(1)
    found = paired_rows("log_rmse", truth(), first, first * 1.001)
    apart = paired_rows("log_rmse", truth(), first, noisy(2))
    assert found is not None
    assert apart is not None
    assert found.standard_error < apart.standard_error / 10


def test_perfect_predictions_are_no_division_by_zero() -> None:
    found = paired_rows("log_rmse", truth(), truth(), truth())
    assert found is not None
    assert (found.difference, found.standard_error) == (0, 0)


def test_one_row_is_no_sample() -> None:
    assert paired_rows("rmse", [1.0], [2.0], [3.0]) is None


def test_a_metric_that_is_none() -> None:
    with pytest.raises(UnknownNameError, match="log_rmse"):
        paired_rows("rsme", [1.0, 2.0], [1.0, 2.0], [1.0, 2.0])


# Two runs.


def test_two_runs_of_the_same_folds(tmp_path: Path) -> None:
    first = forge(tmp_path / "small" / "a", noisy(1))
    second = forge(tmp_path / "small" / "b", noisy(2, 0.2))
    found = compared(first, second)
    assert (found.same_data, found.same_folds, found.unpaired) == (True, True, 0)
    assert found.by_row == paired_rows("log_rmse", truth(), noisy(1), noisy(2, 0.2))
    assert found.by_fold == paired_folds(RMSE, found.first.fold_scores, found.second.fold_scores)
    assert [line[0] for line in found.fold_scores] == [1, 2, 3, 4]
    assert [line[1:] for line in found.fold_scores] == list(
        zip(found.first.fold_scores, found.second.fold_scores, strict=True)
    )


def test_other_folds_are_paired_by_row_alone(tmp_path: Path) -> None:
    first = forge(tmp_path / "small" / "a", noisy(1))
    second = forge(tmp_path / "small" / "b", noisy(2), fold=contiguous(k=5))
    found = compared(first, second)
    assert (found.same_folds, found.by_fold, found.fold_scores) == (False, None, ())
    assert found.by_row == paired_rows("log_rmse", truth(), noisy(1), noisy(2))


def test_rows_are_paired_by_id_in_any_order(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(ROWS)
    first = forge(tmp_path / "small" / "a", noisy(1))
    second = forge(
        tmp_path / "small" / "b",
        noisy(2)[order],
        ids=[str(i + 1) for i in order],
        true=truth()[order],
        fold=contiguous()[order],
    )
    found, straight = compared(first, second), paired_rows("log_rmse", truth(), noisy(1), noisy(2))
    assert found.by_row is not None
    assert straight is not None
    assert found.by_row.standard_error == pytest.approx(straight.standard_error)
    assert found.unpaired == 0


def test_rows_that_are_not_the_same_are_left_out(tmp_path: Path) -> None:
    """Ids 1 and 2 are the first's alone, 41 and 42 the second's; 3 has another true value."""
    first = forge(tmp_path / "small" / "a", noisy(1))
    true: NDArray[Any] = np.concatenate([truth()[2:], [1e5, 2e5]])
    true[0] *= 2
    second = forge(
        tmp_path / "small" / "b",
        true * 1.1,
        ids=[str(i + 3) for i in range(ROWS)],
        true=true,
        data="c" * 64,
    )
    found = compared(first, second)
    assert (found.same_data, found.unpaired) == (False, 5)
    same = paired_rows("log_rmse", truth()[3:], noisy(1)[3:], truth()[3:] * 1.1)
    assert found.by_row is not None
    assert same is not None
    assert found.by_row.count == ROWS - 3
    assert found.by_row.difference == pytest.approx(same.difference)
    assert found.by_row.standard_error == pytest.approx(same.standard_error)


def test_runs_without_a_common_row(tmp_path: Path) -> None:
    first = forge(tmp_path / "small" / "a", noisy(1))
    second = forge(tmp_path / "small" / "b", noisy(2), ids=[f"x{i}" for i in range(ROWS)])
    found = compared(first, second)
    assert (found.by_row, found.by_fold, found.unpaired) == (None, None, 2 * ROWS)


@pytest.mark.parametrize(
    ("name", "metric", "says"),
    [("other", "log_rmse", "competition differs, small and other"), ("small", "mae", "metric")],
)
def test_scores_of_another_kind(tmp_path: Path, name: str, metric: str, says: str) -> None:
    first = forge(tmp_path / "small" / "a", noisy(1))
    second = forge(tmp_path / name / "b", noisy(2), metric=metric)
    with pytest.raises(UsageError, match=says):
        compared(first, second)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda file: file.unlink(), "missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "truncated or altered"),
    ],
)
def test_predictions_that_are_not_whole(tmp_path: Path, damage: Any, says: str) -> None:
    first = forge(tmp_path / "small" / "a", noisy(1))
    second = forge(tmp_path / "small" / "b", noisy(2))
    damage(second / "oof.csv")
    with pytest.raises(RunFolderError, match=says):
        compared(first, second)


def test_the_hash_of_folds_is_that_of_the_file(tmp_path: Path) -> None:
    run = Run.read(forge(tmp_path / "small" / "a", noisy(1)))
    ids = np.array([str(i + 1) for i in range(ROWS)], dtype=object)
    assert Folds.of_rows(contiguous() - 1).sha256(ids, "Id") == run.folds_sha256
    assert Folds.of_rows(contiguous(k=5) - 1).sha256(ids, "Id") != run.folds_sha256


def test_of_a_metric_of_which_more_is_better_above_zero_is_worse() -> None:
    r2 = replace(RMSE, greater_is_better=True)
    assert paired_folds(r2, [0.9, 0.8], [0.7, 0.7]).difference == pytest.approx(0.15)
    assert paired_folds(RMSE, [0.9, 0.8], [0.7, 0.7]).difference == pytest.approx(-0.15)
