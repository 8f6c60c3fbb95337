"""Comparisons: how far two runs' scores lie apart, and how much of that may be noise.

Two runs are compared by what they predicted of the same rows. Most rows are about as hard for one
as for the other, so the differences vary far less than the scores do.

*By row.* The score is pooled over all out-of-fold rows. To first order each row moves it by its
influence: its loss's distance from the mean loss, over twice the score for a root mean squared
error. The standard error of the difference of two scores is that of the mean of the rows'
differences of influence: the delta method (Wasserman, All of Statistics, 2004, section 5.5) on
pairs. It says what other rows to score would have changed, with the networks as they are.

*By fold.* The standard error of the mean of K differences of fold scores is s / sqrt(K), as in a
paired t-test. It is too small, since any two folds train on mostly the same rows. Nadeau and
Bengio (Inference for the Generalization Error, Machine Learning 52, 2003) put sqrt(1/K + test
rows / training rows) for sqrt(1/K). Of K folds that each row is in once, that ratio is 1 / (K - 1);
of repeated, held-out and forward folds it is the mean over folds (Bouckaert and Frank, PAKDD 2004,
for repeats). So it allows for other rows to train on as well, as far as K numbers can tell; no
estimate from one cross-validation is unbiased (Bengio and Grandvalet, JMLR 5, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kaggleprice.competitions.metrics import Metric
from kaggleprice.core.errors import UsageError
from kaggleprice.evaluation.folds import ROW
from kaggleprice.runs.run import Run


@dataclass(frozen=True)
class Difference:
    """A difference of two scores, paired: by how much the second is worse; below 0, better.

    Attributes:
        unit: what was paired: `row` or `fold`.
        count: how many of them.
        difference: of pooled scores by row, of the means of fold scores by fold; above 0, the
            second is worse.
        standard_error: of the difference; by fold, corrected for the rows that folds share.
        plain_error: by fold, s / sqrt(K); by row, the same as `standard_error`.
    """

    unit: str
    count: int
    difference: float
    standard_error: float
    plain_error: float

    def bound(self, confidence: float = 0.95) -> float:
        """Return what chance alone stays below, one-sided, with this confidence.

        It is the quantile of Student's t with `count - 1` degrees of freedom, times the
        standard error.
        """
        # Here, not above: only some commands compare, and scipy takes a while to load.
        from scipy.special import stdtrit

        return float(stdtrit(self.count - 1, confidence)) * self.standard_error


def paired_rows(
    metric: Metric,
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    weights: NDArray[np.float64] | None = None,
) -> Difference | None:
    """Compare two predictions of the same rows.

    Args:
        metric: says which scores are better.
        truth: shape (n,), or (n, T) of T targets, in the target's own unit.
        first: predictions, as truth.
        second: predictions, as truth.
        weights: shape (n,), how much each row counts; None where all count the same.

    Returns:
        The difference of their scores; None for fewer than 2 rows and for a metric without a loss
        of each row, which have no standard error.
    """
    losses = [metric.row_losses(truth, predicted, weights) for predicted in (first, second)]
    if losses[0] is None or losses[1] is None or len(losses[0]) < 2:
        return None
    moved = metric.influence(losses[1], weights) - metric.influence(losses[0], weights)
    error = float(np.std(moved, ddof=1) / np.sqrt(len(moved)))
    scores = [metric.score(truth, predicted, weights) for predicted in (first, second)]
    return Difference("row", len(moved), metric.worse_by(scores[1], scores[0]), error, error)


def paired_folds(
    metric: Metric, first: ArrayLike, second: ArrayLike, ratio: float | None = None
) -> Difference | None:
    """Compare two series of fold scores over the same folds; None for a single fold.

    Args:
        metric: says which scores are better.
        first: shape (K,).
        second: shape (K,).
        ratio: validation rows / training rows, the mean over folds; None for 1 / (K - 1).
    """
    if np.size(first) < 2:
        return None
    pairs = zip(np.asarray(first), np.asarray(second), strict=True)
    differences = [metric.worse_by(float(b), float(a)) for a, b in pairs]
    count, spread = len(differences), float(np.std(differences, ddof=1))
    ratio = 1 / (count - 1) if ratio is None else ratio
    return Difference(
        "fold",
        count,
        float(np.mean(differences)),
        spread * float(np.sqrt(1 / count + ratio)),
        spread / float(np.sqrt(count)),
    )


@dataclass(frozen=True)
class ScoreFile:
    """The scores of a run that were read from a file, without its predictions.

    Attributes:
        name: of the file.
        competition: its name.
        metric: what it was scored by.
        oof: the pooled score.
        fold_scores: each fold's validation score.
        folds_sha256: of the run's folds.csv; None where nothing says it.
        train_sha256: of the training CSV; None where nothing says it.
    """

    name: str
    competition: str
    metric: Metric
    oof: float
    fold_scores: tuple[float, ...]
    folds_sha256: str | None = None
    train_sha256: str | None = None


# A cross-validated score, with what others can be compared by.
Scored = Run | ScoreFile


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        first, second: the runs.
        same_data: whether they were trained on the same CSV.
        same_folds: whether the same rows train and validate in each fold.
        fold_scores: (fold from 1, first's score, second's), where the folds are the same.
        by_fold: paired over the folds; None where they differ, or there is but one.
        by_row: paired over the rows; None where fewer than 2 are common.
        unpaired: rows of either that are not in the other, or with another true value.
    """

    first: Run
    second: Run
    same_data: bool
    same_folds: bool
    fold_scores: tuple[tuple[int, float, float], ...]
    by_fold: Difference | None
    by_row: Difference | None
    unpaired: int


def numbered(run: Run, by_row: bool) -> pd.DataFrame:
    """Return its predictions by id and, since ids may repeat, by row or which of the same it is.

    Columns are true, predicted and, where rows are weighted, weight; as in `Run.predictions`.
    """
    found = run.predictions
    key = found[ROW] if by_row else found.groupby(level=0, sort=False).cumcount()
    return found.drop(columns=["fold", ROW], errors="ignore").set_index(
        pd.Index(key.to_numpy()), append=True
    )


def validation_ratio(run: Run) -> float:
    """Return validation rows / training rows, the mean over a run's folds.

    Raises:
        RunFolderError: where its folds.csv cannot be read.
    """
    return float(np.mean([len(held) / len(train) for train, held in run.folds()]))


def compare(first: Run, second: Run) -> Comparison:
    """Compare two finished runs of one competition.

    Raises:
        UsageError: where competition or metric differ.
        RunFolderError: where their predictions cannot be read.
    """
    for what, found in [
        ("competition", (first.competition, second.competition)),
        ("metric", (first.metric.name, second.metric.name)),
        ("target", (", ".join(first.targets), ", ".join(second.targets))),
        ("weight_column", (first.weight_column, second.weight_column)),
    ]:
        if found[0] != found[1]:
            raise UsageError(
                f"{first.name} and {second.name} cannot be compared: their {what} differs, "
                f"{found[0]} and {found[1]}."
            )
    metric = first.metric
    same_data = first.train_sha256 == second.train_sha256
    # Folds that leave rows unscored leave holes in the order of equal ids.
    by_row = same_data and all(ROW in run.predictions for run in (first, second))
    both = numbered(first, by_row).join(numbered(second, by_row).add_suffix("_second"), how="outer")
    # A row that is in one run alone has no number in the other's columns, which equals nothing.
    same = both["true"].to_numpy() == both["true_second"].to_numpy()
    paired = both[same if same.ndim == 1 else same.all(axis=1)]
    weights = paired["weight"].to_numpy() if "weight" in paired else None
    same_folds = first.folds_sha256 is not None and first.folds_sha256 == second.folds_sha256
    scores = first.fold_scores, second.fold_scores
    lines = zip(*scores, strict=same_folds)
    return Comparison(
        first=first,
        second=second,
        same_data=same_data,
        same_folds=same_folds,
        fold_scores=tuple((i, *line) for i, line in enumerate(lines, 1)) if same_folds else (),
        by_fold=paired_folds(metric, *scores, validation_ratio(second)) if same_folds else None,
        by_row=paired_rows(
            metric, paired["true"], paired["predicted"], paired["predicted_second"], weights
        ),
        unpaired=len(both) - len(paired),
    )
