"""The intervals of a run: made of its out-of-fold rows, and what share of these they cover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.intervals import (
    Coverage,
    Intervals,
    check_folds,
    estimate_coverage,
)
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.runs.run import Run

Floats = NDArray[np.float64]


def check_interval(level: float | None, split: Folds) -> None:
    """Check that intervals can be made of the rows that folds validate; None is fine.

    Raises:
        UsageError, DataError: as `kaggleprice.evaluation.intervals.check_folds`.
    """
    if level is not None:
        rows, folds = split.lines
        _, first = np.unique(rows, return_index=True)
        check_folds(level, folds[first])


def intervals_beside(output: Path) -> Path:
    """Return the file of a submission's intervals: `submission-intervals.csv`."""
    return output.with_name(f"{output.stem}-intervals.csv")


def interval_coverage(run: Run, scale: TargetScale, level: float) -> dict[str, Coverage]:
    """Estimate, by nested folds, what intervals that a run's out-of-fold rows make are worth.

    Args:
        run: a finished one.
        scale: of its targets.
        level: the share of rows that intervals shall cover.

    Returns:
        For each target, by name.

    Raises:
        RunFolderError: where its predictions cannot be read.
        DataError: where there are too few rows for such a share.
    """
    return {
        name: estimate_coverage(
            true, predicted, folds, level, scale.of_target(target).transforms, weights
        )
        for target, (name, (true, predicted, folds, weights)) in enumerate(
            zip(run.targets, _out_of_fold(run), strict=True)
        )
    }


def make_intervals(
    run: Run, scale: TargetScale, level: float, predictions: Floats
) -> tuple[dict[str, Coverage], Floats, Floats]:
    """Return what intervals are worth, and the ends of those of new predictions.

    Shapes (n,) or, of T targets, (n, T), as the predictions.

    Raises:
        RunFolderError, DataError: as `interval_coverage`.
    """
    coverage, ends = interval_coverage(run, scale, level), []
    for target, (true, predicted, _, weights) in enumerate(_out_of_fold(run)):
        transform = scale.of_target(target).transforms[0].fitted(true)
        found = Intervals.calibrate(true, predicted, level, transform, weights)
        ends.append(found.of(predictions.reshape(len(predictions), -1)[:, target]))
    low, high = (np.stack(one, axis=1) for one in zip(*ends, strict=True))
    return coverage, low.reshape(predictions.shape), high.reshape(predictions.shape)


def _out_of_fold(
    run: Run,
) -> Iterator[tuple[Floats, Floats, NDArray[np.int64], Floats | None]]:
    """Yield of each target the true and the predicted values, folds from 0, and rows' weights.

    Shape (n,) each; None for weights where all rows count the same.
    """
    rows = run.predictions
    weights = rows["weight"].to_numpy() if "weight" in rows else None
    folds = rows["fold"].to_numpy(dtype=np.int64) - 1
    pair = (rows[name].to_numpy().reshape(len(rows), -1).T for name in ("true", "predicted"))
    for true, predicted in zip(*pair, strict=True):
        yield true, predicted, folds, weights
