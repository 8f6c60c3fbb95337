"""The target's scale: what each fold's members learn it as, and the values that they may predict.

All that is learned of it, a transform's numbers and the range of the target, is learned from a
fold's training rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import Metric
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.evaluation.folds import Fold

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TargetScale:
    """How the members of K folds see the target.

    Attributes:
        transforms: K of them.
        lowest, highest: shape (K,), the range of the target in each fold's training rows.
        floor: shape (K,), the least prediction that the metric takes; -inf for any. It is kept
            whatever `bound` says.
        bound: whether predictions are kept inside the range.
    """

    transforms: Sequence[TargetTransform]
    lowest: Floats
    highest: Floats
    floor: Floats
    bound: bool

    @classmethod
    def learn(
        cls,
        metric: Metric,
        transform: TargetTransform,
        target: Floats,
        folds: Sequence[Fold],
        *,
        bound: bool,
    ) -> Self:
        """Learn the scale from each fold's training rows.

        Args:
            metric: which may not take every prediction.
            transform: of the target, which has yet to learn where it learns.
            target: shape (n,), in its own unit.
            folds: K pairs of training and validation rows.
            bound: as the attribute.
        """
        own = [target[train] for train, _ in folds]
        return cls(
            transforms=[transform.fitted(values) for values in own],
            lowest=np.array([values.min() for values in own]),
            highest=np.array([values.max() for values in own]),
            floor=np.array([metric.floor(values) for values in own]),
            bound=bound,
        )

    @property
    def unbounded(self) -> TargetScale:
        """The same scale for predictions as they come."""
        anything = np.full(len(self.floor), -np.inf)
        return TargetScale(self.transforms, self.lowest, self.highest, anything, bound=False)

    def of(self, folds: Sequence[int]) -> TargetTransform:
        """Return the transform of V lines of predictions, given the fold of each."""
        first = self.transforms[folds[0]]
        if all(self.transforms[fold].learned == first.learned for fold in folds):
            return first

        def inverse(values: Floats) -> Floats:
            turned = [self.transforms[k].inverse(v) for k, v in zip(folds, values, strict=True)]
            return np.stack(turned)

        return replace(first, inverse=inverse)

    def forward(self, target: Floats) -> Floats:
        """Return the target as it is learned: shape (n,), or (K, n) where each fold has its own.

        Args:
            target: shape (n,), in its own unit.
        """
        if not self.transforms[0].learned:
            return self.transforms[0].forward(target)
        return np.stack([transform.forward(target) for transform in self.transforms])

    def outside(self, values: Floats, folds: Sequence[int]) -> NDArray[np.bool_]:
        """Tell for each value, shape (n,), whether it leaves the range of some folds' targets."""
        low, high = self.lowest[list(folds)].min(), self.highest[list(folds)].max()
        return np.asarray((values < low) | (values > high))

    def keep_inside(self, values: Floats, folds: Sequence[int]) -> Floats:
        """Return values, of any shape, as the members of some folds may predict them."""
        own = list(folds)
        if self.bound:
            values = np.clip(values, self.lowest[own].min(), self.highest[own].max())
        floor = self.floor[own].min()
        return np.maximum(values, floor) if floor > -np.inf else values

    def turn_back(self, values: Floats, fold: int) -> Floats:
        """Return what a member of a fold predicts, of any shape, in the target's own unit."""
        return self.keep_inside(self.of([fold]).inverse(values), [fold])

    def to_record(self) -> dict[str, Any]:
        """Return all that was learned, as plain data."""
        record: dict[str, Any] = {
            "lowest": self.lowest.tolist(),
            "highest": self.highest.tolist(),
        }
        if self.transforms[0].learned:
            record["learned"] = [list(transform.learned) for transform in self.transforms]
        return record | ({"floor": self.floor.tolist()} if np.isfinite(self.floor).any() else {})

    @classmethod
    def from_record(
        cls, transform: TargetTransform, record: Mapping[str, Any], *, bound: bool
    ) -> Self:
        """Read what `to_record` wrote; other arguments as in `learn`."""
        lowest = np.array(record["lowest"])
        learned = record.get("learned", [[]] * len(lowest))
        return cls(
            transforms=[transform.knowing(numbers) for numbers in learned],
            lowest=lowest,
            highest=np.array(record["highest"]),
            floor=np.array(record.get("floor", [-np.inf] * len(lowest))),
            bound=bound,
        )
