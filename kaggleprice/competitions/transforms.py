"""Target transforms: how the target becomes the number that networks are trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TargetTransform:
    """A monotone function and its inverse.

    Attributes:
        domain: what the target has to be, for error messages.
        forward, inverse: functions of float64 arrays of any shape, inverse to each other.
        lower: the target must lie above this bound.
        inclusive: whether the bound itself is allowed.
        logarithmic: whether a mean of transformed values is a geometric mean.
    """

    domain: str
    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    lower: float = -np.inf
    inclusive: bool = False
    logarithmic: bool = False

    def accepts(self, target: Array) -> NDArray[np.bool_]:
        """Tell for each value, shape (n,), whether it is finite and in the domain."""
        above = target >= self.lower if self.inclusive else target > self.lower
        return np.isfinite(target) & above


def _expm1_from_zero(values: Array) -> Array:
    """Invert log1p; what a model puts below 0, where the target cannot be, is 0."""
    return np.maximum(np.expm1(values), 0.0)


def _identity(values: Array) -> Array:
    return values


LOG = TargetTransform("a number above 0", np.log, np.exp, lower=0.0, logarithmic=True)
LOG1P = TargetTransform(
    "a number of 0 or above",
    np.log1p,
    _expm1_from_zero,
    lower=0.0,
    inclusive=True,
    logarithmic=True,
)
NONE = TargetTransform("a finite number", _identity, _identity)
