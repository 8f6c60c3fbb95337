"""Scoring a cross-validation: by fold, by member, by base model, and pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.evaluation.base_models import BaseModelPredictions
from kaggleprice.evaluation.ensemble import Floats, WeightedPredictions
from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.scores import BaseModelScore, FoldScore, MemberScore, Scores
from kaggleprice.settings.training import Member


class Scorer:
    """The competition's metric on the training rows of one cross-validation."""

    def __init__(
        self, competition: Competition, target: Floats, split: Folds, how: str | None
    ) -> None:
        """Keep what all scores share.

        Args:
            competition: metric and target transform.
            target: shape (n,), in its own unit.
            split: the folds.
            how: predictions are combined, as in `combine`.
        """
        self._target, self._split, self._how = target, split, how
        self._metric = METRICS[competition.metric]
        self._transform = TARGET_TRANSFORMS[competition.target_transform].load()

    def folds(self, predictions: WeightedPredictions, oof: Floats) -> list[FoldScore]:
        """Score each fold, given the out-of-fold predictions of all lines, shape (L,)."""
        return [
            FoldScore(
                fold=fold + 1,
                train=self._metric.score(
                    self._target[train],
                    predictions.of_fold(fold, train).combine(self._transform, self._how),
                ),
                validation=self._metric.score(self._target[validation], oof[places]),
            )
            for fold, ((train, validation), places) in enumerate(
                zip(self._split, self._split.places, strict=True)
            )
        ]

    def members(
        self, members: Sequence[Member], epochs: NDArray[np.int64], predictions: Floats
    ) -> list[MemberScore]:
        """Score M networks, given their predictions of shape (M, n)."""
        scores = []
        for member, epoch, line in zip(members, epochs, predictions, strict=True):
            predicted = self._transform.inverse(line)
            train, validation = (
                self._metric.score(self._target[rows], predicted[rows])
                for rows in self._split[member.fold]
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
        """Score out-of-fold predictions; those of one row by their mean."""
        oof = predictions.out_of_fold(self._split, self._transform, self._how)
        return self._metric.score(self._target[self._split.scored], self._split.pool(oof))

    def summary(
        self, oof: Floats, folds: Sequence[FoldScore], networks: WeightedPredictions
    ) -> Scores:
        """Summarize, given all out-of-fold predictions and those of the networks alone."""
        validation, metric = np.array([fold.validation for fold in folds]), self._metric
        target, pooled = self._target[self._split.scored], self._split.pool(oof)
        losses = metric.row_losses(target, pooled)
        return Scores(
            fold_mean=float(validation.mean()),
            fold_sd=float(validation.std(ddof=1)) if len(validation) > 1 else None,
            train_mean=float(np.mean([fold.train for fold in folds])),
            oof=metric.score(target, pooled),
            networks_oof=self.pooled(networks),
            oof_error=None if losses is None or len(losses) < 2 else metric.standard_error(losses),
            mean_squared_log_error=float(np.mean(validation**2)) if metric.logarithmic else None,
            scored=len(target),
        )
