"""Scoring a cross-validation: by fold, by member, by base model, and pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.base_models import BaseModelPredictions
from kaggleprice.evaluation.ensemble import Floats, WeightedPredictions
from kaggleprice.evaluation.folds import Folds, Rows
from kaggleprice.evaluation.scores import BaseModelScore, FoldScore, MemberScore, Scores
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.settings.training import Member


class Scorer:
    """The competition's metric on the training rows of one cross-validation."""

    def __init__(
        self,
        competition: Competition,
        target: Floats,
        split: Folds,
        scale: TargetScale,
        how: str | None,
        weights: Floats | None = None,
    ) -> None:
        """Keep what all scores share.

        Args:
            competition: for the metric.
            target: shape (n,), in its own unit.
            split: the folds.
            scale: of the target.
            how: predictions are combined, as in `combine`.
            weights: shape (n,), how much each row counts; None where all count the same.
        """
        self._target, self._split, self._scale, self._how = target, split, scale, how
        self._metric, self._weights = METRICS[competition.metric], weights

    def _score(self, rows: Rows, predicted: Floats) -> float:
        """Score predictions of some rows, given their numbers."""
        weights = None if self._weights is None else self._weights[rows]
        return self._metric.score(self._target[rows], predicted, weights)

    def folds(self, predictions: WeightedPredictions, oof: Floats) -> list[FoldScore]:
        """Score each fold, given the out-of-fold predictions of shape (n,)."""
        return [
            FoldScore(
                fold=fold + 1,
                train=self._score(
                    train,
                    predictions.of_fold(fold, train).combine(self._scale, self._how),
                ),
                validation=self._score(validation, oof[validation]),
            )
            for fold, (train, validation) in enumerate(self._split)
        ]

    def members(
        self, members: Sequence[Member], epochs: NDArray[np.int64], predictions: Floats
    ) -> list[MemberScore]:
        """Score M networks, given their predictions of shape (M, n)."""
        scores = []
        for member, epoch, line in zip(members, epochs, predictions, strict=True):
            predicted = self._scale.turn_back(line, member.fold)
            train, validation = (
                self._score(rows, predicted[rows]) for rows in self._split[member.fold]
            )
            scores.append(MemberScore(member.fold + 1, member.seed, int(epoch), train, validation))
        return scores

    def base_models(self, predictions: BaseModelPredictions | None) -> list[BaseModelScore]:
        """Score each base model alone."""
        if predictions is None:
            return []
        folds = [Member(fold, 0) for fold in range(len(self._split))]
        return [
            BaseModelScore(name, self.pooled(WeightedPredictions(folds, own)))
            for name, own in zip(predictions.names, predictions.train, strict=True)
        ]

    def pooled(self, predictions: WeightedPredictions) -> float:
        """Score out-of-fold predictions."""
        oof = predictions.out_of_fold(self._split, self._scale, self._how)
        return self._metric.score(self._target, oof, self._weights)

    def summary(
        self, oof: Floats, folds: Sequence[FoldScore], networks: WeightedPredictions
    ) -> Scores:
        """Summarize, given all out-of-fold predictions and those of the networks alone."""
        validation, metric = np.array([fold.validation for fold in folds]), self._metric
        losses = metric.row_losses(self._target, oof, self._weights)
        return Scores(
            fold_mean=float(validation.mean()),
            fold_sd=float(validation.std(ddof=1)),
            train_mean=float(np.mean([fold.train for fold in folds])),
            oof=metric.score(self._target, oof, self._weights),
            networks_oof=self.pooled(networks),
            oof_error=None if losses is None else metric.standard_error(losses, self._weights),
            mean_squared_log_error=float(np.mean(validation**2)) if metric.logarithmic else None,
        )
