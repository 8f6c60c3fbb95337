"""Averages of runs: what the weighted mean of several runs' predictions scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaggleprice.evaluation.folds import ROW
from kaggleprice.runs.comparison import numbered
from kaggleprice.runs.run import Run


@dataclass(frozen=True)
class AverageScore:
    """The score of an average of runs.

    Attributes:
        oof: of the mean of their out-of-fold predictions, of rows that all of them predict.
        oof_error: its standard error; None where the metric has none.
        rows: how many rows that are.
    """

    oof: float
    oof_error: float | None
    rows: int


def score_average(runs: Sequence[Run], weights: Sequence[float]) -> AverageScore | None:
    """Score the mean of runs of one training file, out of fold; None without a common row.

    No run's member trained on the row that it predicts, whatever the folds of the others are, so
    the mean is as honest as each run; weights that were chosen by it are not.

    Raises:
        RunFolderError: where the predictions of one cannot be read.
    """
    by_row = all(ROW in run.predictions for run in runs)
    found = [numbered(run, by_row) for run in runs]
    common = found[0].index
    for frame in found[1:]:
        common = common.intersection(frame.index, sort=False)
    if not len(common):
        return None
    truth = found[0].loc[common, "true"].to_numpy()
    predicted = np.average(
        [frame.loc[common, "predicted"] for frame in found], axis=0, weights=weights
    )
    metric = runs[0].metric
    counts = found[0].loc[common, "weight"].to_numpy() if "weight" in found[0] else None
    losses = metric.row_losses(truth, predicted, counts)
    error = None if losses is None or len(losses) < 2 else metric.standard_error(losses, counts)
    return AverageScore(metric.score(truth, predicted, counts), error, len(common))
