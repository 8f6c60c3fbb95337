"""Target statistics: what a category of many levels says of the target, by training rows alone.

A level becomes the mean of the target over its rows, drawn towards the mean of all (Micci-Barreca
2001, "A preprocessing scheme for high-cardinality categorical attributes"), and the log of how
many rows it has. A row's own target would be part of its level's mean, so rows that a model is
trained on get the mean of other rows: those of the other parts of an inner split, as
scikit-learn's `TargetEncoder` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Gt
from numpy.typing import NDArray

from kaggleprice.preprocessing.distribution import Distribution, Floats, factorized, numbered
from kaggleprice.preprocessing.features import Feature
from kaggleprice.settings.declaration import STRICT

# A level's mean counts as if so many rows with the mean of all were among its own.
SMOOTHING = 10.0
INNER_FOLDS = 5


@dataclass(frozen=True)
class TargetState:
    """What was learned of one categorical column and the target.

    Attributes:
        name: the column.
        target: which of several targets, counted from 0.
        levels: the categories of the training rows, sorted; None, the last, is missing.
        means: of each level, the smoothed mean of the transformed target.
        counts: of each level, the number of rows.
        center, scale: of the means, `(mean - center) / scale` is the feature; the center is the
            mean of all rows, that of a category never seen.
        count_center, count_scale: of log(1 + count), likewise.
    """

    name: str
    target: int
    levels: tuple[str | None, ...]
    means: tuple[float, ...]
    counts: tuple[int, ...]
    center: float
    scale: Annotated[float, Gt(0)]
    count_center: float
    count_scale: Annotated[float, Gt(0)]

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Check that every level has its numbers.

        Raises:
            ValueError: where one has not.
        """
        if not len(self.levels) == len(self.means) == len(self.counts):
            raise ValueError(f"{self.name!r}: a level without a mean or count")

    @property
    def columns(self) -> list[str]:
        """The column that it needs."""
        return [self.name]

    @property
    def features(self) -> list[Feature]:
        """The two numbers that a category becomes; of one target of several only the first."""
        if self.target:
            return [Feature("learned", self.name, f"target {self.target + 1}")]
        return [Feature("learned", self.name, what) for what in ("target", "count")]

    def transform(self, frame: pd.DataFrame) -> Floats:
        """Return the features of n rows that nothing was learned from, shape (n, f)."""
        codes, place = self._places(frame[self.name])
        means = np.array([*self.means, self.center])[place]
        counts = np.array([*self.counts, 0])[place]
        made: Floats = self._scaled(means, counts)[codes]
        return made

    def cross_fitted(self, frame: pd.DataFrame, target: Floats, seed: int) -> Floats:
        """Return the features of the very rows that were learned from, shape (n, f).

        Args:
            frame: the n rows.
            target: shape (n,) or (n, T), as learned from.
            seed: of the inner split.
        """
        # Not above: a prediction does without scikit-learn.
        from sklearn.model_selection import KFold

        codes, place = self._places(frame[self.name])
        own = target.reshape(len(target), -1)[:, self.target]
        level, size = place[codes], len(self.levels)
        means = np.full(len(level), self.center)
        if len(level) > 1:
            inner = KFold(min(INNER_FOLDS, len(level)), shuffle=True, random_state=seed)
            for fitted, held in inner.split(level):
                means[held] = smoothed_means(level[fitted], own[fitted], size)[level[held]]
        return self._scaled(means, np.array(self.counts)[level])

    def _places(self, column: pd.Series) -> tuple[NDArray[np.integer[Any]], NDArray[np.int64]]:
        places = {level: place for place, level in enumerate(self.levels)}
        return numbered(column, places, unknown=len(places))

    def _scaled(self, means: Floats, counts: NDArray[np.int64]) -> Floats:
        return np.stack(
            [
                (means - self.center) / self.scale,
                (np.log1p(counts) - self.count_center) / self.count_scale,
            ],
            axis=1,
        )[:, : len(self.features)]


def targets_of(target: Floats, fold: int, folds: int) -> Floats:
    """Return the T targets of a fold, shape (T, n).

    Args:
        target: shape (n,), one target that all folds learn alike, or (F * T, n), by fold, then
            target.
        fold: counted from 0.
        folds: how many there are, F.
    """
    if target.ndim == 1:
        return target[None]
    own: Floats = target.reshape(folds, -1, target.shape[1])[fold]
    return own


def smoothed_means(codes: NDArray[Any], target: Floats, levels: int) -> Floats:
    """Return the smoothed mean of the target of each level, shape (levels,).

    Args:
        codes: shape (n,), the level of each row, counted from 0.
        target: shape (n,).
        levels: how many there are; one without rows gets the mean of all rows.
    """
    counts = np.bincount(codes, minlength=levels)
    sums = np.bincount(codes, weights=target, minlength=levels)
    means: Floats = (sums + SMOOTHING * target.mean()) / (counts + SMOOTHING)
    return means


def learn_target(
    column: pd.Series, target: Floats, trained: NDArray[np.bool_], number: int = 0
) -> TargetState:
    """Learn a categorical column's levels from training rows.

    Args:
        column: n rows.
        target: shape (n,), the transformed target; that of other rows is not looked at.
        trained: shape (n,), which rows are learned from; at least one.
        number: which of several targets it is, counted from 0.
    """
    codes, levels = factorized(column)
    # Missing, whose code is -1, comes last.
    own = np.where(codes < 0, len(levels), codes)[trained]
    counts = np.bincount(own, minlength=len(levels) + 1)
    means = smoothed_means(own, target[trained], len(counts))
    seen = np.flatnonzero(counts)
    names = [*map(str, levels), None]
    _, scale = _spread(means[seen], counts[seen])
    count_center, count_scale = _spread(np.log1p(counts[seen]), counts[seen])
    return TargetState(
        name=str(column.name),
        target=number,
        levels=tuple(names[i] for i in seen),
        means=tuple(means[seen].tolist()),
        counts=tuple(counts[seen].tolist()),
        center=float(target[trained].mean()),
        scale=scale,
        count_center=count_center,
        count_scale=count_scale,
    )


def _spread(values: Floats, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return mean and standard deviation of values that so many rows have."""
    order = np.argsort(values, kind="stable")
    found = Distribution.of(values[order], counts[order], ddof=0)
    return found.mean, found.deviation
