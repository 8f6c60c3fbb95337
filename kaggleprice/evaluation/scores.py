"""Scores of a cross-validation: by fold, by member, by partner, and pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.competitions.scoring import LOSSES
from kaggleprice.evaluation.base_models import BaseModelPredictions
from kaggleprice.evaluation.ensemble import Floats, WeightedPredictions, partner_voices
from kaggleprice.settings.training import Member


@dataclass(frozen=True)
class FoldScore:
    """One fold's scores, by the competition's metric, of its members' combination.

    Attributes:
        fold: counted from 1.
        train: on the rows it trained on.
        validation: on the rows it never saw.
    """

    fold: int
    train: float
    validation: float


@dataclass(frozen=True)
class MemberScore:
    """One member's own scores, by the competition's metric.

    Attributes:
        fold: counted from 1.
        seed: counted from 0.
        epochs: the epoch whose weights it has.
        train, validation: as in `FoldScore`.
    """

    fold: int
    seed: int
    epochs: int
    train: float
    validation: float


@dataclass(frozen=True)
class PartnerScore:
    """One partner's own score, by the competition's metric.

    Attributes:
        name: in `PARTNERS`.
        oof: score of its out-of-fold predictions pooled.
    """

    name: str
    oof: float


@dataclass(frozen=True)
class Scores:
    """The scores of a run, by the competition's metric.

    Attributes:
        fold_mean, fold_sd: mean and standard deviation (ddof 1) of the folds' validation scores.
        train_mean: mean of the folds' training scores.
        oof: score of all out-of-fold predictions pooled.
        networks_oof: that of the networks alone; the same without partners.
        oof_error: standard error of `oof`: how far it would move if other rows were scored, with
            the networks as they are; s / (2 oof sqrt(n)) for a root mean squared error, s being
            the standard deviation (ddof 1) of n squared errors, and s / sqrt(n) of absolute ones
            for their mean (`kaggleprice.competitions.metrics`).
        mean_squared_log_error: the book's: mean over folds of the mean squared log error; None
            where the metric is not a root mean squared log error.
    """

    fold_mean: float
    fold_sd: float
    train_mean: float
    oof: float
    networks_oof: float
    oof_error: float
    mean_squared_log_error: float | None


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
    return oof_error * float(np.sqrt(1 + rows / test_rows))


class Scorer:
    """The competition's metric on the training rows of one cross-validation.

    Attributes:
        target: shape (n,), in its own unit.
        fold_of_row: shape (n,), the fold in which each row is validated.
    """

    def __init__(
        self,
        competition: Competition,
        target: Floats,
        fold_of_row: NDArray[np.int64],
        how: str | None,
    ) -> None:
        """Remember what all scores share.

        Args:
            competition: metric and target transform.
            target: shape (n,).
            fold_of_row: shape (n,).
            how: predictions are combined, as in `combine`.
        """
        self.target, self.fold_of_row = target, fold_of_row
        self._how, self._name = how, competition.metric
        self._metric = METRICS[competition.metric].load()
        self._transform = TARGET_TRANSFORMS[competition.target_transform].load()

    def folds(self, voices: WeightedPredictions, oof: Floats) -> list[FoldScore]:
        """Score each fold, given the out-of-fold predictions of shape (n,)."""
        scores = []
        for fold in range(int(self.fold_of_row.max()) + 1):
            held = self.fold_of_row == fold
            trained = voices.of_fold(fold, ~held).combine(self._transform, self._how)
            scores.append(
                FoldScore(
                    fold + 1,
                    self._metric(self.target[~held], trained),
                    self._metric(self.target[held], oof[held]),
                )
            )
        return scores

    def members(
        self, members: Sequence[Member], epochs: NDArray[np.int64], predictions: Floats
    ) -> list[MemberScore]:
        """Score M networks, given their predictions of shape (M, n)."""
        scores = []
        for member, epoch, line in zip(members, epochs, predictions, strict=True):
            held, predicted = self.fold_of_row == member.fold, self._transform.inverse(line)
            scores.append(
                MemberScore(
                    fold=member.fold + 1,
                    seed=member.seed,
                    epochs=int(epoch),
                    train=self._metric(self.target[~held], predicted[~held]),
                    validation=self._metric(self.target[held], predicted[held]),
                )
            )
        return scores

    def partners(self, votes: BaseModelPredictions | None) -> list[PartnerScore]:
        """Score each partner alone."""
        if votes is None:
            return []
        return [
            PartnerScore(name, self.pooled(partner_voices(votes, p)))
            for p, name in enumerate(votes.names)
        ]

    def pooled(self, voices: WeightedPredictions) -> float:
        """Score the out-of-fold predictions of some voices."""
        oof = voices.out_of_fold(self.fold_of_row, self._transform, self._how)
        return float(self._metric(self.target, oof))

    def summary(
        self, oof: Floats, folds: Sequence[FoldScore], networks: WeightedPredictions
    ) -> Scores:
        """Summarize, given everybody's out-of-fold predictions and the networks' voices."""
        validation = np.array([fold.validation for fold in folds])
        loss = LOSSES[self._name]
        logarithmic = self._name in ("log_rmse", "log1p_rmse")
        return Scores(
            fold_mean=float(validation.mean()),
            fold_sd=float(validation.std(ddof=1)),
            train_mean=float(np.mean([fold.train for fold in folds])),
            oof=float(self._metric(self.target, oof)),
            networks_oof=self.pooled(networks),
            oof_error=loss.standard_error(loss.of_rows(self.target, oof)),
            mean_squared_log_error=float(np.mean(validation**2)) if logarithmic else None,
        )
