"""What averaging the members of all folds gains over those of one, which are what is scored.

An out-of-fold prediction is that of one fold's members, a submission is the mean over all folds.
For squared errors the difference is exact (Krogh and Vedelsby, "Neural Network Ensembles, Cross
Validation, and Active Learning", NIPS 1994): the mean over folds of their squared errors is the
squared error of their mean plus the ambiguity A, the mean over folds of their squared distance from
that mean. A needs no target, so it is measured on test rows, which are as new to the members of
each fold as its validation rows are. With errors e of one fold's members, the submission's are
expected to be e - A. It holds what members of one fold differ by, in their random start, as well as
what other training rows change.

Where R of N folds validate a row, the mean of R is what is scored, and less is left to gain:
A (N - R) / (R (N - 1)), as for the mean of R numbers drawn from N without replacement.

Errors are taken on the scale on which predictions are averaged: of logs where the mean is a
geometric one, else the target's own. By another metric than their mean square the gain is that of
residuals which all shrink in the same proportion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import Metric
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.evaluation.ensemble import WeightedPredictions, averages_logs
from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.target_scale import TargetScale

Floats = NDArray[np.float64]

# Test rows that are looked at: the mean of more moves in its second digit.
MOST_ROWS = 4000
# Where the largest fold trains on so many times the rows of the smallest, as folds forward in time
# do, what one of them scores says little of another.
_ALIKE = 1.5


def spread_of_folds(
    predictions: WeightedPredictions, folds: int, scale: TargetScale, how: str | None
) -> Floats:
    """Return the ambiguity of the folds' predictions for each target, shape (T,).

    Args:
        predictions: of n rows that no member trained on.
        folds: how many there are.
        scale: of the target.
        how: predictions are combined, as in `kaggleprice.evaluation.ensemble.combine`.
    """
    rows = np.arange(predictions.predictions.shape[1])
    each = np.stack([predictions.of_fold(k, rows).combine(scale, how) for k in range(folds)])
    values = _averaged(each.reshape(folds, len(rows), -1), scale.transforms[0], how)
    return np.asarray(values.var(axis=0).mean(axis=0))


def averaging_gain(
    metric: Metric,
    truth: Floats,
    pooled: Floats,
    spread: Floats,
    split: Folds,
    transform: TargetTransform,
    how: str | None,
    weights: Floats | None = None,
) -> float | None:
    """Estimate by how much the mean of all folds' members scores better than the pooled score.

    Args:
        metric: of the competition.
        truth: shape (n,), or (n, T) of T targets: of the rows that a fold validates.
        pooled: their out-of-fold predictions; where several folds validate a row, the mean.
        spread: as `spread_of_folds` returns it.
        split: the folds.
        transform: of the target.
        how: predictions are combined.
        weights: shape (n,), how much each row counts; None where all count the same.

    Returns:
        0 or more, in the metric's unit. None for a single fold, for folds that train on very
        different numbers of rows, and where the folds differ by more than their errors.
    """
    count, sizes = len(split), [len(train) for train, _ in split]
    if count < 2 or max(sizes) > _ALIKE * min(sizes):
        return None
    validated = len(split.lines[0]) / len(split.scored)
    left = (count - validated) / (validated * (count - 1))
    true = _averaged(truth.reshape(len(truth), -1), transform, how)
    residuals = _averaged(pooled.reshape(len(truth), -1), transform, how) - true
    errors = np.average(residuals**2, axis=0, weights=weights)
    if not (left * spread < errors).all():
        return None
    shrunk = true + residuals * np.sqrt(1 - left * spread / errors)
    if averages_logs(transform, how):
        shrunk = transform.inverse(shrunk)
    scores = [metric.score(truth, p, weights) for p in (pooled, shrunk.reshape(truth.shape))]
    return max(0.0, float(metric.worse_by(*scores)))


def _averaged(values: Floats, transform: TargetTransform, how: str | None) -> Floats:
    """Return values in the target's unit on the scale on which they are averaged."""
    return transform.forward(values) if averages_logs(transform, how) else values
