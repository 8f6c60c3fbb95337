"""Exponents: how seconds and memory grow with the size of the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaggleprice.core.errors import UsageError


@dataclass(frozen=True)
class Growth:
    """`value = factor * size ** exponent`, fitted by least squares of the logs.

    Attributes:
        exponent: 1 for what doubles with the size.
        error: standard error of the exponent; NaN for two points, through which a line goes.
        steepest: the largest exponent between neighbouring sizes, which a mean may hide.
    """

    exponent: float
    error: float
    steepest: float


def growth(sizes: Sequence[float], values: Sequence[float]) -> Growth:
    """Fit the growth of positive values with positive sizes.

    Raises:
        UsageError: for fewer than two sizes, or values that have no logarithm.
    """
    if len(set(sizes)) < 2 or min(*sizes, *values) <= 0:
        raise UsageError(
            f"an exponent needs two or more sizes and values above 0, found sizes {list(sizes)} "
            f"and values {list(values)}."
        )
    order = np.argsort(sizes)
    x, y = np.log(np.asarray(sizes)[order]), np.log(np.asarray(values)[order])
    centered = x - x.mean()
    exponent = float(centered @ (y - y.mean()) / (centered @ centered))
    left = y - y.mean() - exponent * centered
    error = np.sqrt(left @ left / (len(x) - 2) / (centered @ centered)) if len(x) > 2 else np.nan
    return Growth(exponent, float(error), float(np.max(np.diff(y) / np.diff(x))))
