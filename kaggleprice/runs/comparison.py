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
rows / training rows) for sqrt(1/K); with K folds that ratio is 1 / (K - 1). So it allows for other
rows to train on as well, as far as K numbers can tell; no estimate from one cross-validation is
unbiased (Bengio and Grandvalet, JMLR 5, 2004).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from kaggleprice.competitions.scoring import LOSSES
from kaggleprice.core.errors import RunFolderError, UsageError
from kaggleprice.core.files import sha256
from kaggleprice.core.registry import look_up

Floats = NDArray[np.float64]
_OOF, _FOLDS = "oof.csv", "folds.csv"


@dataclass(frozen=True)
class Difference:
    """A difference of two scores, paired: second minus first, so that above 0 is worse.

    Attributes:
        unit: what was paired, `row` or `fold`.
        count: how many of them.
        difference: of pooled scores by row; of the means of fold scores by fold.
        standard_error: of the difference, as in the module's docstring; by fold, corrected for
            the rows that folds share.
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
        return float(stdtrit(self.count - 1, confidence)) * self.standard_error


def paired_rows(
    metric: str, truth: ArrayLike, first: ArrayLike, second: ArrayLike
) -> Difference | None:
    """Compare two predictions of the same rows.

    Args:
        metric: a name in `METRICS`.
        truth: shape (n,), in the target's own unit.
        first: predictions, as truth.
        second: predictions, as truth.

    Returns:
        The difference of their scores; None for fewer than 2 rows, which have no standard error.
    """
    loss = look_up(LOSSES, metric, "metric")
    losses = [loss.of_rows(truth, predicted) for predicted in (first, second)]
    count = len(losses[0])
    if count < 2:
        return None
    moved = loss.influence(losses[1]) - loss.influence(losses[0])
    error = float(np.std(moved, ddof=1) / np.sqrt(count))
    return Difference("row", count, loss.score(losses[1]) - loss.score(losses[0]), error, error)


def paired_folds(first: ArrayLike, second: ArrayLike) -> Difference:
    """Compare two series of fold scores over the same folds.

    Args:
        first: shape (K,), K of 2 or more.
        second: shape (K,).
    """
    differences = _floats(second) - _floats(first)
    count = len(differences)
    spread = float(np.std(differences, ddof=1))
    return Difference(
        "fold",
        count,
        float(np.mean(differences)),
        spread * float(np.sqrt(1 / count + 1 / (count - 1))),
        spread / float(np.sqrt(count)),
    )


@dataclass(frozen=True)
class Scored:
    """A cross-validated score, with what others can be compared by.

    Attributes:
        name: of the run, or of the file it was read from.
        competition, metric: their names.
        oof: the pooled score.
        folds: each fold's validation score.
        folds_sha256: of the run's folds.csv; None where it is not known.
        train_sha256: of the training CSV; None where it is not known.
        path: the run folder, with its oof.csv; None where there is none.
        record: the run's record; None where there is none.
    """

    name: str
    competition: str
    metric: str
    oof: float
    folds: tuple[float, ...]
    folds_sha256: str | None = None
    train_sha256: str | None = None
    path: Path | None = None
    record: Mapping[str, Any] | None = None

    @classmethod
    def of_run(cls, path: Path | None, record: Mapping[str, Any], name: str = "") -> Scored:
        """Describe a run.

        Args:
            path: its folder; None where only the record is there.
            record: its record.
            name: how it is called; empty for the name it was given when it was made.
        """
        return cls(
            name=name or (record["run"] if path is None else path.name),
            competition=record["competition"],
            metric=record["metric"],
            oof=record["scores"]["oof"],
            folds=tuple(fold["validation"] for fold in record["folds"]),
            folds_sha256=record["files"].get(_FOLDS),
            train_sha256=record["data"]["train"]["sha256"],
            path=path,
            record=record,
        )

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The out-of-fold predictions, read once: index id (text), columns true and predicted.

        Raises:
            RunFolderError: where the file is missing, truncated or altered, or was never there.
        """
        if self.path is None or self.record is None:
            raise RunFolderError(f"{self.name} is a score alone, without a run's {_OOF}.")
        file = self.path / _OOF
        if not file.is_file():
            raise RunFolderError(f"run {self.name}: {file} is missing; train the run again.")
        if sha256(file) != self.record["files"].get(_OOF):
            raise RunFolderError(
                f"run {self.name}: {file} was truncated or altered after it was written; "
                "train the run again."
            )
        column = self.record["columns"]["id_column"]
        # Each number exactly as it was written, in every version of pandas.
        frame = pd.read_csv(file, dtype=str, keep_default_na=False).set_index(column)
        return pd.DataFrame({name: frame[name].map(float) for name in ("true", "predicted")})


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        first, second: the runs.
        same_data: whether they were trained on the same CSV.
        same_folds: whether every row was validated in the same fold.
        fold_scores: (fold from 1, first's score, second's), where the folds are the same.
        by_fold: paired over the folds; None where they differ.
        by_row: paired over the rows; None where fewer than 2 are common.
        unpaired: rows of either that are not in the other, or with another true value.
    """

    first: Scored
    second: Scored
    same_data: bool
    same_folds: bool
    fold_scores: tuple[tuple[int, float, float], ...]
    by_fold: Difference | None
    by_row: Difference | None
    unpaired: int


def compare(first: Scored, second: Scored) -> Comparison:
    """Compare two runs of one competition.

    Raises:
        UsageError: where competition or metric differ.
        RunFolderError: where their predictions cannot be read.
    """
    check_comparable(first, second)
    both = first.predictions.join(second.predictions.add_suffix("_second"), how="outer")
    # A row that is in one run alone has no number in the other's columns, which equals nothing.
    paired = both[both["true"] == both["true_second"]]
    same_folds = _known_equal(first.folds_sha256, second.folds_sha256)
    lines = tuple(
        (fold, a, b)
        for fold, (a, b) in enumerate(zip(first.folds, second.folds, strict=same_folds), start=1)
    )
    return Comparison(
        first=first,
        second=second,
        same_data=_known_equal(first.train_sha256, second.train_sha256),
        same_folds=same_folds,
        fold_scores=lines if same_folds else (),
        by_fold=paired_folds(first.folds, second.folds) if same_folds else None,
        by_row=paired_rows(
            first.metric, paired["true"], paired["predicted"], paired["predicted_second"]
        ),
        unpaired=len(both) - len(paired),
    )


def check_comparable(first: Scored, second: Scored) -> None:
    """Check that two scores are of the same competition and metric.

    Raises:
        UsageError: where they are not.
    """
    for what in ("competition", "metric"):
        found = [getattr(scored, what) for scored in (first, second)]
        if found[0] != found[1]:
            raise UsageError(
                f"{first.name} and {second.name} cannot be compared: their {what} differs, "
                f"{found[0]} and {found[1]}."
            )


def folds_digest(ids: NDArray[Any], fold_of_row: NDArray[np.int64], id_column: str) -> str:
    """Return the SHA-256 of the folds.csv that a run with these folds will have.

    Args:
        ids: shape (n,), the training rows' ids.
        fold_of_row: shape (n,), the fold that validates each, counted from 0.
        id_column: its name.
    """
    frame = pd.DataFrame({id_column: ids, "fold": fold_of_row + 1})
    return hashlib.sha256(frame.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def _known_equal(first: str | None, second: str | None) -> bool:
    return first is not None and first == second


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
