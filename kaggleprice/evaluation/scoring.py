"""Scoring a cross-validation: by fold, by member, by base model, and pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.base_models import BaseModelPredictions
from kaggleprice.evaluation.ensemble import Floats, WeightedPredictions
from kaggleprice.evaluation.folds import Folds, Rows
from kaggleprice.evaluation.scores import (
    BaseModelScore,
    FoldScore,
    MemberScore,
    PartScore,
    Scores,
)
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.settings.run import RunSettings
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
            competition: for the metric, and the targets' names.
            target: shape (n,), or (n, T) of T targets, in its own unit; the score is the mean over
                targets.
            split: the folds.
            scale: of the target.
            how: predictions are combined, as in `combine`.
            weights: shape (n,), how much each row counts; None where all count the same.
        """
        self._competition = competition
        self._target, self._split, self._scale, self._how = target, split, scale, how
        self._metric, self._weights = METRICS[competition.metric], weights

    def _score(self, rows: Rows, predicted: Floats, target: int | None = None) -> float:
        """Score predictions of some rows, given their numbers, of all targets or of one."""
        truth = self._target[rows]
        if target is not None and truth.ndim == 2:
            truth = truth[:, target]
        return self._metric.score(truth, predicted, self._weights_of(rows))

    def _weights_of(self, rows: Rows) -> Floats | None:
        return None if self._weights is None else self._weights[rows]

    def _by_target(self, pooled: Floats) -> dict[str, float]:
        """Score each of several targets, shape (S, T); empty for one."""
        if pooled.ndim == 1:
            return {}
        scored, names = self._split.scored, self._competition.targets
        return {name: self._score(scored, pooled[:, t], t) for t, name in enumerate(names)}

    def folds(self, predictions: WeightedPredictions, oof: Floats) -> list[FoldScore]:
        """Score each fold, given the predictions of all lines, shape (L,) or (L, T)."""
        return [
            FoldScore(
                fold=fold + 1,
                train=self._score(
                    train,
                    predictions.of_fold(fold, train).combine(self._scale, self._how),
                ),
                validation=self._score(validation, oof[places]),
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
            predicted = self._scale.turn_back(line, member)
            train, validation = (
                self._score(rows, predicted[rows], member.target)
                for rows in self._split[member.fold]
            )
            scores.append(
                MemberScore(
                    member.fold + 1,
                    member.seed,
                    int(epoch),
                    train,
                    validation,
                    member.target + 1,
                    member.variant + 1,
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

    def parts(self, predictions: WeightedPredictions, settings: RunSettings) -> list[PartScore]:
        """Score each setting's networks and each base model; none where there is but one."""
        of_member = np.array([member.variant for member in predictions.members])
        names = [*(variant.name for variant in settings.variants), *settings.base_models]
        if len(names) == 1:
            return []
        weights = predictions.weights
        counted = np.ones(len(of_member)) if weights is None else weights
        return [
            PartScore(
                name=name or "networks",
                weight=float(counted[of_member == number].sum() / counted.sum()),
                oof=self.pooled(replace(predictions.of(of_member == number), weights=None)),
                oof_without=self._without(predictions, of_member == number),
            )
            for number, name in enumerate(names)
            if (of_member == number).any()
        ]

    def _without(
        self, predictions: WeightedPredictions, left_out: NDArray[np.bool_]
    ) -> float | None:
        """Score the members that are not left out; None where they have no weight in a fold."""
        rest = predictions.of(~left_out)
        weights = np.ones(len(rest.members)) if rest.weights is None else rest.weights
        total = {(member.fold, member.target): 0.0 for member in predictions.members}
        for member, weight in zip(rest.members, weights.tolist(), strict=True):
            total[member.fold, member.target] += weight
        return self.pooled(rest) if min(total.values()) > 0 else None

    def pooled(self, predictions: WeightedPredictions) -> float:
        """Score out-of-fold predictions; those of one row by their mean."""
        oof = predictions.out_of_fold(self._split, self._scale, self._how)
        return self._score(self._split.scored, self._split.pool(oof))

    def of_lines(self, oof: Floats) -> tuple[float, list[float]]:
        """Return the pooled score of all predictions out of fold, and that of each fold."""
        pairs = zip(self._split, self._split.places, strict=True)
        folds = [self._score(validation, oof[places]) for (_, validation), places in pairs]
        return self._score(self._split.scored, self._split.pool(oof)), folds

    def standard_error(self, oof: Floats) -> float | None:
        """Return how far the pooled score would move if other rows were scored; None: unknown."""
        scored, pooled = self._split.scored, self._split.pool(oof)
        weights = self._weights_of(scored)
        losses = self._metric.row_losses(self._target[scored], pooled, weights)
        if losses is None or len(losses) < 2:
            return None
        return self._metric.standard_error(losses, weights)

    def summary(
        self, oof: Floats, folds: Sequence[FoldScore], networks: WeightedPredictions
    ) -> Scores:
        """Summarize, given all out-of-fold predictions and those of the networks alone."""
        validation, metric = np.array([fold.validation for fold in folds]), self._metric
        scored, pooled = self._split.scored, self._split.pool(oof)
        return Scores(
            fold_mean=float(validation.mean()),
            fold_sd=float(validation.std(ddof=1)) if len(validation) > 1 else None,
            train_mean=float(np.mean([fold.train for fold in folds])),
            oof=self._score(scored, pooled),
            networks_oof=self.pooled(networks),
            targets=self._by_target(pooled),
            oof_error=self.standard_error(oof),
            mean_squared_log_error=float(np.mean(validation**2)) if metric.logarithmic else None,
            scored=len(scored),
        )
