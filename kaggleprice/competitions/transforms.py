"""Target transforms: how the target becomes the number that networks are trained on.

Some learn numbers from the target of training rows, which are all that is kept of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function: TypeAlias = Callable[[Array], Array]

# Points of the quantile transform; as many as scikit-learn's by default.
_QUANTILES = 1000
# Beyond these, differences of the transformed target are lost to rounding.
_LAMBDAS = (-2.0, 4.0)


@dataclass(frozen=True)
class TargetTransform:
    """A monotone function and its inverse.

    Attributes:
        domain: what the target has to be, for error messages.
        forward, inverse: functions of float64 arrays of any shape, inverse to each other.
        lower: the target must lie above this bound.
        inclusive: whether the bound itself is allowed.
        logarithmic: whether a mean of transformed values is a geometric mean.
        learn: from a target of shape (n,) to the numbers that forward and inverse need; None where
            they need none.
        make: from these numbers to forward and inverse.
        learned: the numbers, of a transform that has learned.
    """

    domain: str
    forward: Function
    inverse: Function
    lower: float = -np.inf
    inclusive: bool = False
    logarithmic: bool = False
    learn: Callable[[Array], list[float]] | None = None
    make: Callable[[Array], tuple[Function, Function]] | None = None
    learned: tuple[float, ...] = ()

    def accepts(self, target: Array) -> NDArray[np.bool_]:
        """Tell for each value, shape (n,), whether it is finite and in the domain."""
        above = target >= self.lower if self.inclusive else target > self.lower
        return np.isfinite(target) & above

    def fitted(self, target: Array) -> TargetTransform:
        """Return the transform that learned from a target of shape (n,)."""
        return self if self.learn is None else self.knowing(self.learn(target))

    def knowing(self, learned: Sequence[float]) -> TargetTransform:
        """Return the transform that has learned these numbers."""
        if self.make is None:
            return self
        forward, inverse = self.make(np.array(learned))
        return replace(self, forward=forward, inverse=inverse, learned=tuple(learned))


def _expm1_from_zero(values: Array) -> Array:
    """Invert log1p; what a model puts below 0, where the target cannot be, is 0."""
    return np.maximum(np.expm1(values), 0.0)


def _square_from_zero(values: Array) -> Array:
    """Invert the square root; what a model puts below 0 is 0."""
    return np.square(np.maximum(values, 0.0))


def _identity(values: Array) -> Array:
    return values


def _unlearned(values: Array) -> Array:
    raise ValueError("a target transform that learns must be fitted first")


def _learn_quantiles(target: Array) -> list[float]:
    points = np.linspace(0, 1, min(_QUANTILES, len(target)))
    return [float(value) for value in np.quantile(target, points)]


def _by_quantiles(quantiles: Array) -> tuple[Function, Function]:
    return partial(_to_normal, quantiles), partial(_from_normal, quantiles)


def _to_normal(quantiles: Array, values: Array) -> Array:
    """Return which normal quantiles values are, by scikit-learn's `QuantileTransformer`."""
    return _through(quantiles, values, "transform")


def _from_normal(quantiles: Array, values: Array) -> Array:
    """Invert `_to_normal`; beyond the ends stands the smallest, or the largest, quantile."""
    return _through(quantiles, np.clip(values, -9.0, 9.0), "inverse_transform")


def _through(quantiles: Array, values: Array, method: str) -> Array:
    from sklearn.preprocessing import QuantileTransformer

    transformer = QuantileTransformer(output_distribution="normal")
    transformer.quantiles_ = quantiles[:, None]
    transformer.references_ = np.linspace(0, 1, len(quantiles))
    transformer.n_quantiles_, transformer.n_features_in_ = len(quantiles), 1
    column = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    found: Array = getattr(transformer, method)(column)
    return found.reshape(np.shape(values))


def _learn_power(target: Array) -> list[float]:
    """Return the exponent of greatest likelihood, and the range of the target."""
    from sklearn.preprocessing import PowerTransformer

    low, high = float(target.min()), float(target.max())
    power = 1.0
    if low < high:
        transformer = PowerTransformer("yeo-johnson", standardize=False)
        with np.errstate(all="ignore"):
            power = float(transformer.fit(target[:, None]).lambdas_[0])
    return [float(np.clip(power, *_LAMBDAS)), low, high]


def _by_power(learned: Array) -> tuple[Function, Function]:
    return partial(_yeo_johnson, learned[0]), partial(_invert_yeo_johnson, learned)


def _yeo_johnson(power: float, values: Array) -> Array:
    """Transform as Yeo and Johnson (2000), "A new family of power transformations"."""
    # Not above: other predictions do without scipy.
    from scipy.special import boxcox1p

    size = np.abs(values)
    found: Array = np.where(values >= 0, boxcox1p(size, power), -boxcox1p(size, 2 - power))
    return found


def _invert_yeo_johnson(learned: Array, values: Array) -> Array:
    """Invert `_yeo_johnson`, up to a range's width beyond the range that was learned from.

    The transform may be bounded, so that no value at all has a larger one.
    """
    from scipy.special import inv_boxcox1p

    power, low, high = learned
    width = high - low
    ends = _yeo_johnson(power, np.array([low - width, high + width]))
    inside = np.clip(values, *ends)
    size = np.abs(inside)
    found: Array = np.where(inside >= 0, inv_boxcox1p(size, power), -inv_boxcox1p(size, 2 - power))
    return found


LOG = TargetTransform("a number above 0", np.log, np.exp, lower=0.0, logarithmic=True)
LOG1P = TargetTransform(
    "a number of 0 or above",
    np.log1p,
    _expm1_from_zero,
    lower=0.0,
    inclusive=True,
    logarithmic=True,
)
SQRT = TargetTransform(
    "a number of 0 or above", np.sqrt, _square_from_zero, lower=0.0, inclusive=True
)
QUANTILE = TargetTransform(
    "a finite number", _unlearned, _unlearned, learn=_learn_quantiles, make=_by_quantiles
)
YEO_JOHNSON = TargetTransform(
    "a finite number", _unlearned, _unlearned, learn=_learn_power, make=_by_power
)
NONE = TargetTransform("a finite number", _identity, _identity)
