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
from kaggleprice.settings.training import Member

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TargetScale:
    """How the members of K folds see each of T targets.

    Attributes:
        transforms: K * T of them, by fold, then target.
        lowest, highest: shape (K, T), the range of each target in each fold's training rows.
        floor: shape (K, T), the least prediction that the metric takes; -inf for any. It is kept
            whatever `bound` says.
        bound: whether predictions are kept inside the range.
    """

    transforms: Sequence[TargetTransform]
    lowest: Floats
    highest: Floats
    floor: Floats
    bound: bool

    @property
    def folds(self) -> int:
        """The number of folds, K."""
        return len(self.lowest)

    @property
    def targets(self) -> int:
        """The number of targets, T."""
        return int(self.lowest.shape[1])

    def of_target(self, target: int) -> TargetScale:
        """Return the scale of one target, counted from 0."""
        own = slice(target, target + 1)
        return TargetScale(
            self.transforms[target :: self.targets],
            self.lowest[:, own],
            self.highest[:, own],
            self.floor[:, own],
            self.bound,
        )

    def _transform_of(self, member: Member) -> TargetTransform:
        return self.transforms[member.fold * self.targets + member.target]

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
            target: shape (n,), in its own unit, or (n, T) of T targets.
            folds: K pairs of training and validation rows.
            bound: as the attribute.
        """
        columns = target.reshape(len(target), -1).T
        own = [[column[train] for column in columns] for train, _ in folds]
        return cls(
            transforms=[transform.fitted(values) for fold in own for values in fold],
            lowest=np.array([[values.min() for values in fold] for fold in own]),
            highest=np.array([[values.max() for values in fold] for fold in own]),
            floor=np.array([[metric.floor(values) for values in fold] for fold in own]),
            bound=bound,
        )

    @property
    def unbounded(self) -> TargetScale:
        """The same scale for predictions as they come."""
        anything = np.full(self.floor.shape, -np.inf)
        return TargetScale(self.transforms, self.lowest, self.highest, anything, bound=False)

    def of(self, members: Sequence[Member]) -> TargetTransform:
        """Return the transform of V lines of predictions, one of each member."""
        own = [self._transform_of(member) for member in members]
        if all(transform.learned == own[0].learned for transform in own):
            return own[0]

        def inverse(values: Floats) -> Floats:
            pairs = zip(own, values, strict=True)
            return np.stack([transform.inverse(line) for transform, line in pairs])

        return replace(own[0], inverse=inverse)

    def forward(self, target: Floats) -> Floats:
        """Return targets as they are learned, given them in their own unit.

        Args:
            target: shape (n,), or (n, T) of T targets.

        Returns:
            Shape (n,) for one target that all folds learn alike, else (K * T, n).
        """
        if self.targets == 1 and not self.transforms[0].learned:
            return self.transforms[0].forward(target)
        columns = target.reshape(len(target), -1).T
        lines = list(columns) * self.folds
        pairs = zip(self.transforms, lines, strict=True)
        return np.stack([transform.forward(line) for transform, line in pairs])

    def outside(self, values: Floats, folds: Sequence[int]) -> NDArray[np.bool_]:
        """Tell of which values some folds' targets leave the range.

        Args:
            values: shape (n,), or (n, T) of T targets; so is the result.
            folds: whose members predicted them.
        """
        own = list(folds)
        low, high = self.lowest[own].min(axis=0), self.highest[own].max(axis=0)
        return np.asarray((values < low) | (values > high))

    def keep_inside(self, values: Floats, folds: Sequence[int]) -> Floats:
        """Return values, shape (n,) or (n, T), as the members of some folds may predict them."""
        own = list(folds)
        if self.bound:
            values = np.clip(values, self.lowest[own].min(axis=0), self.highest[own].max(axis=0))
        floor = self.floor[own].min(axis=0)
        return np.maximum(values, floor) if (floor > -np.inf).any() else values

    def turn_back(self, values: Floats, member: Member) -> Floats:
        """Return what one member predicts, shape (n,), in its target's own unit."""
        own = self.of_target(member.target)
        return own.keep_inside(self._transform_of(member).inverse(values), [member.fold])

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
        learned = record.get("learned", [[]] * lowest.size)
        return cls(
            transforms=[transform.knowing(numbers) for numbers in learned],
            lowest=lowest,
            highest=np.array(record["highest"]),
            floor=np.array(record.get("floor", np.full(lowest.shape, -np.inf))),
            bound=bound,
        )
