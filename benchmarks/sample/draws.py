"""Random draws that give the same houses on every machine and with every numpy.

The stream of `RandomState` is frozen by numpy's compatibility policy. What remains are last
bits of `exp` and the like, which differ between processors: `whole` takes them away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.sample.vocabulary import Category

Floats = NDArray[np.floating[Any]]
Codes = NDArray[np.int8]
Mask = NDArray[np.bool_]


def whole(values: Floats) -> Floats:
    """Round to whole numbers, shape (n,).

    Rounding to six decimals first keeps a half a half where the last bits are off.
    """
    rounded: Floats = np.rint(np.round(values, 6))
    return rounded


def groups(values: Floats, limits: Sequence[float]) -> Codes:
    """Tell for each value how many of the ascending limits it reaches, shape (n,)."""
    return np.searchsorted(np.asarray(limits), values, side="right").astype(np.int8)


class Draws:
    """One random stream for `n` houses; every method returns an array of shape (n,)."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        # not a Generator: those may change their streams between numpy releases
        self._stream = np.random.RandomState(seed)

    def uniform(self, low: float | Floats = 0.0, high: float | Floats = 1.0) -> Floats:
        """Draw from [low, high)."""
        return low + (high - low) * self._stream.random_sample(self.n)

    def normal(self) -> Floats:
        """Draw from the standard normal distribution."""
        values: Floats = self._stream.standard_normal(self.n)
        return values

    def spread(self, median: float | Floats, log_sd: float) -> Floats:
        """Draw from the log-normal distribution of this median."""
        values: Floats = median * np.exp(log_sd * self.normal())
        return values

    def chance(self, probability: float | Floats) -> Mask:
        """Draw yes with this probability."""
        return self._stream.random_sample(self.n) < probability

    def code(self, shares: NDArray[np.int64], group: Codes | None = None) -> Codes:
        """Draw codes in proportion to whole-number shares.

        Args:
            shares: shape (categories,), or (groups, categories) with `group`.
            group: each house's row of `shares`.
        """
        position = self._stream.random_sample(self.n)
        codes = np.zeros(self.n, dtype=np.int8)
        for number, row in enumerate(np.atleast_2d(shares)):
            here = slice(None) if group is None else group == number
            limits = np.cumsum(row)
            codes[here] = np.searchsorted(limits, position[here] * limits[-1], side="right")
        return codes

    def category(self, category: Category, group: Codes | None = None) -> Codes:
        """Draw the codes of a text column; `group` is its driver's."""
        codes = self.code(category.shares, group)
        missing = category.shares.shape[1] - len(category.names)
        return codes - np.int8(missing)

    def some_rows(self, per_ten_thousand: int, first: int, last: int) -> NDArray[np.int64]:
        """Draw rows of [first, last), with repetition, at least one where the rate is not 0."""
        count = -(-per_ten_thousand * (last - first) // 10_000)
        return first + (self._stream.random_sample(count) * (last - first)).astype(np.int64)
