"""Voices: all that vote on a row's prediction, networks and partners, and how they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaggleprice.ensemble import Floats, combine
from kaggleprice.metrics.transforms import TargetTransform
from kaggleprice.partners.fitting import Votes
from kaggleprice.settings import RunSettings
from kaggleprice.training import Member


@dataclass(frozen=True)
class Voices:
    """Networks, then partners, each with its prediction of n rows.

    Attributes:
        members: V of them.
        predictions: shape (V, n), float64, the transformed target.
        weights: shape (V,); None where all weigh the same.
    """

    members: Sequence[Member]
    predictions: Floats
    weights: Floats | None = None

    @classmethod
    def with_partners(
        cls, members: Sequence[Member], predictions: Floats, partners: Floats, settings: RunSettings
    ) -> Voices:
        """Put networks and partners side by side; the shares do not depend on who agrees.

        Args:
            members: M networks.
            predictions: shape (M, n), theirs.
            partners: shape (P, K, n), a partner's prediction by each fold.
            settings: says how they weigh.
        """
        if settings.weights is None:
            return cls(members, predictions)
        count, folds, rows = partners.shape
        voting = [Member(k, settings.seeds + p) for p in range(count) for k in range(folds)]
        return cls(
            [*members, *voting],
            np.concatenate([predictions, partners.reshape(count * folds, rows)]),
            np.repeat(settings.weights, [len(members), len(voting)]),
        )

    def combine(self, transform: TargetTransform, how: str | None) -> Floats:
        """Combine everybody's predictions; shape (n,), in the target's own unit."""
        return combine(self.predictions, transform, how, self.weights)

    def of_fold(self, fold: int, rows: NDArray[np.bool_]) -> Voices:
        """Return a fold's voices on the rows of a mask of shape (n,)."""
        own = np.array([member.fold == fold for member in self.members])
        weights = None if self.weights is None else self.weights[own]
        members = [member for member in self.members if member.fold == fold]
        return Voices(members, self.predictions[np.ix_(own, rows)], weights)

    def out_of_fold(
        self, fold_of_row: NDArray[np.int64], transform: TargetTransform, how: str | None
    ) -> Floats:
        """Combine, for each row, those that did not train on it.

        Args:
            fold_of_row: shape (n,).
            transform: of the target.
            how: as in `combine`.

        Returns:
            Shape (n,), in the target's own unit.
        """
        oof = np.empty(len(fold_of_row))
        for fold in range(int(fold_of_row.max()) + 1):
            held = fold_of_row == fold
            oof[held] = self.of_fold(fold, held).combine(transform, how)
        return oof


def partner_voices(votes: Votes, p: int) -> Voices:
    """Return one partner's voices on the training rows."""
    folds = range(votes.train.shape[1])
    return Voices([Member(fold, 0) for fold in folds], votes.train[p])
