"""Scores of a cross-validation, as run.json has them. Nothing heavy is imported with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FoldScore:
    """One fold's scores, by the competition's metric, of its members' combination.

    Attributes:
        fold: counted from 1.
        train: score on the rows that its members trained on.
        validation: score on the rows that they never saw.
    """

    fold: int
    train: float
    validation: float


@dataclass(frozen=True)
class MemberScore:
    """One member's own scores, by the competition's metric.

    Attributes:
        fold: the fold that it is validated on, from 1.
        seed: which random start, from 0.
        epochs: the epoch whose weights it has.
        train: score on the rows that it trained on.
        validation: score on the rows that it never saw.
        target: which of the targets it predicts, from 1.
        variant: which setting of the portfolio it has, from 1.
    """

    fold: int
    seed: int
    epochs: int
    train: float
    validation: float
    target: int = 1
    variant: int = 1


@dataclass(frozen=True)
class BaseModelScore:
    """One base model's own score, by the competition's metric.

    Attributes:
        name: its name, in `BASE_MODELS`.
        oof: score of its out-of-fold predictions pooled.
    """

    name: str
    oof: float


@dataclass(frozen=True)
class PartScore:
    """What a part of an ensemble counts and adds: the networks of one setting, or a base model.

    Attributes:
        name: of the setting in `PORTFOLIO`, or of the base model.
        weight: its share, from 0 to 1, mean over folds and targets.
        oof: score of its out-of-fold predictions alone, pooled.
        oof_without: that of all the others, with the weights that they have; None where a fold has
            no other.
    """

    name: str
    weight: float
    oof: float
    oof_without: float | None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of a run, by the competition's metric.

    Attributes:
        fold_mean: mean of the folds' validation scores.
        fold_sd: their standard deviation (ddof 1); None for a single fold.
        train_mean: mean of the folds' training scores.
        oof: score of all out-of-fold predictions pooled: compare runs by it. A row that is
            validated in several folds counts once, with the mean of its predictions.
        networks_oof: that of the networks alone; the same without base models.
        oof_error: standard error of `oof`: how far it would move if other rows were scored, with
            the networks as they are (`kaggleprice.competitions.metrics.Metric.standard_error`);
            None where the metric has none, and in records of earlier versions.
        targets: the pooled score of each target, by name, of which `oof` is the mean; empty where
            there is one.
        mean_squared_log_error: the book's: mean over folds of the mean squared log error; None
            where the metric is not a root mean squared log error.
        scored: how many training rows were validated; None in records of earlier versions, whose
            folds validate all.
        averaging_gain: by how much the mean of all folds' members is expected to score better than
            `oof`, on the test rows (`kaggleprice.evaluation.averaging_gain`); None where that is
            not known, and in records of earlier versions.
    """

    fold_mean: float
    fold_sd: float | None
    train_mean: float
    oof: float
    networks_oof: float
    oof_error: float | None = None
    targets: dict[str, float] = field(default_factory=dict)
    mean_squared_log_error: float | None
    scored: int | None = None
    averaging_gain: float | None = None


def expected_error(oof_error: float, rows: int, test_rows: int) -> float:
    """Return how far the score of a test set may lie from the pooled out-of-fold score.

    The latter is off by its standard error over `rows` rows; the score of other rows by
    theirs, which is sqrt(rows / test_rows) times as large. They are independent, so their squares
    add up. It takes test rows to be drawn as training rows were.

    Args:
        oof_error: standard error of the pooled score.
        rows: how many training rows it was taken over.
        test_rows: how many are to be scored.
    """
    return oof_error * math.sqrt(1 + rows / test_rows)
