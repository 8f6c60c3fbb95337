"""Averages of runs: their score by numpy alone, and of the rows that all predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from forged import ROWS, forge, noisy, truth

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs.averaging import score_average
from kaggleprice.runs.run import Run

LOG_RMSE = METRICS["log_rmse"]


def test_score_is_that_of_the_weighted_mean(tmp_path: Path) -> None:
    runs = [Run.read(forge(tmp_path / "small" / name, noisy(i))) for i, name in enumerate("ab")]
    found = score_average(runs, [0.25, 0.75])
    assert found is not None
    mean = 0.25 * noisy(0) + 0.75 * noisy(1)
    errors = np.log(mean) - np.log(truth())
    assert found.oof == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert (found.rows, found.oof_error is not None) == (ROWS, True)


def test_two_rows_have_a_standard_error(tmp_path: Path) -> None:
    some = {"true": truth()[:2], "ids": ["1", "2"], "fold": [1, 2]}
    run = Run.read(forge(tmp_path / "small" / "a", noisy(0)[:2], **some))
    found = score_average([run], [1.0])
    assert found is not None
    assert found.oof_error is not None


def test_rows_count_what_their_weights_say(tmp_path: Path) -> None:
    counts = np.arange(ROWS) % 4
    runs = [
        Run.read(forge(tmp_path / "small" / name, noisy(i), weights=counts))
        for i, name in enumerate("ab")
    ]
    found = score_average(runs, [0.5, 0.5])
    errors = np.log((noisy(0) + noisy(1)) / 2) - np.log(truth())
    assert found is not None
    assert found.oof == pytest.approx(np.sqrt(np.average(errors**2, weights=counts)))
    losses = errors**2
    assert found.oof_error == pytest.approx(LOG_RMSE.standard_error(losses, counts))


def test_rows_are_paired_by_their_ids(tmp_path: Path) -> None:
    """In any order; rows that one does not have are left out."""
    order = np.arange(ROWS)[::-1][5:]
    first = Run.read(forge(tmp_path / "small" / "a", noisy(0)))
    second = Run.read(
        forge(
            tmp_path / "small" / "b",
            noisy(1)[order],
            true=truth()[order],
            ids=[str(i + 1) for i in order],
        )
    )
    found = score_average([first, second], [0.5, 0.5])
    assert found is not None
    mean = (noisy(0) + noisy(1))[order] / 2
    expected = np.sqrt(np.mean((np.log(mean) - np.log(truth()[order])) ** 2))
    assert (found.rows, found.oof) == (ROWS - 5, pytest.approx(expected))


def test_runs_without_a_common_row_have_no_score(tmp_path: Path) -> None:
    runs = [
        Run.read(
            forge(tmp_path / "small" / name, noisy(0), ids=[f"{name}{i}" for i in range(ROWS)])
        )
        for name in "ab"
    ]
    assert score_average(runs, [0.5, 0.5]) is None
