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
            target: shape (n,), or (n, T) of T targets, in its own unit; the score is the mean over
                targets.
            split: the folds.
            how: predictions are combined, as in `combine`.
        """
        self._competition = competition
        self._target, self._split, self._how = target, split, how
        self._metric = METRICS[competition.metric]
        self._transform = TARGET_TRANSFORMS[competition.target_transform].load()

    def _of(self, target: int) -> Floats:
        """Return one of the targets, shape (n,)."""
        return self._target if self._target.ndim == 1 else self._target[:, target]

    def _by_target(self, oof: Floats) -> dict[str, float]:
        """Score each of several targets; empty for one."""
        if oof.ndim == 1:
            return {}
        return {
            name: self._metric.score(self._of(t), oof[:, t])
            for t, name in enumerate(self._competition.targets)
        }

    def folds(self, predictions: WeightedPredictions, oof: Floats) -> list[FoldScore]:
        """Score each fold, given the out-of-fold predictions, of the target's shape."""
        return [
            FoldScore(
                fold=fold + 1,
                train=self._metric.score(
                    self._target[train],
                    predictions.of_fold(fold, train).combine(self._transform, self._how),
                ),
                validation=self._metric.score(self._target[validation], oof[validation]),
            )
            for fold, (train, validation) in enumerate(self._split)
        ]

    def members(
        self, members: Sequence[Member], epochs: NDArray[np.int64], predictions: Floats
    ) -> list[MemberScore]:
        """Score M networks, given their predictions of shape (M, n)."""
        scores = []
        for member, epoch, line in zip(members, epochs, predictions, strict=True):
            predicted, target = self._transform.inverse(line), self._of(member.target)
            train, validation = (
                self._metric.score(target[rows], predicted[rows])
                for rows in self._split[member.fold]
            )
            scores.append(
                MemberScore(
                    member.fold + 1, member.seed, int(epoch), train, validation, member.target + 1
                )
            )
        return scores

    def base_models(self, predictions: BaseModelPredictions | None) -> list[BaseModelScore]:
        """Score each base model alone."""
        if predictions is None:
            return []
        targets = range(len(self._competition.targets))
        folds = [Member(fold, 0, t) for fold in range(len(self._split)) for t in targets]
        return [
            BaseModelScore(name, self.pooled(WeightedPredictions(folds, own)))
            for name, own in zip(predictions.names, predictions.train, strict=True)
        ]

    def pooled(self, predictions: WeightedPredictions) -> float:
        """Score out-of-fold predictions."""
        oof = predictions.out_of_fold(self._split, self._transform, self._how)
        return self._metric.score(self._target, oof)

    def summary(
        self, oof: Floats, folds: Sequence[FoldScore], networks: WeightedPredictions
    ) -> Scores:
        """Summarize, given all out-of-fold predictions and those of the networks alone."""
        validation, metric = np.array([fold.validation for fold in folds]), self._metric
        losses = metric.row_losses(self._target, oof)
        return Scores(
            fold_mean=float(validation.mean()),
            fold_sd=float(validation.std(ddof=1)),
            train_mean=float(np.mean([fold.train for fold in folds])),
            oof=metric.score(self._target, oof),
            networks_oof=self.pooled(networks),
            targets=self._by_target(oof),
            oof_error=None if losses is None else metric.standard_error(losses),
            mean_squared_log_error=float(np.mean(validation**2)) if metric.logarithmic else None,
        )
