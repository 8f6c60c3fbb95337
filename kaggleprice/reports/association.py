"""Association: how much of the target one column tells by itself.

It orders columns where no importance was measured; it says nothing about what networks use.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.tables import Table

_BINS = 10


def by_association(table: Table, target: NDArray[np.float64]) -> list[str]:
    """Return the columns, the one that explains most of the target's variance first.

    The measure is the correlation ratio, corrected for the number of groups (Kelley 1935,
    "An unbiased correlation ratio measure"): 1 - (1 - eta²)(n - 1)/(n - k). Groups are levels,
    or ten bins of equally many numbers; missing is a group.

    Args:
        table: n rows.
        target: shape (n,), the transformed target.
    """
    numeric = set(table.numeric_columns)
    explained = {
        str(name): _explained(_groups(table.features[name], str(name) in numeric), target)
        for name in table.features
    }
    return sorted(explained, key=lambda name: -explained[name])


def _groups(column: pd.Series, numeric: bool) -> NDArray[np.int64]:
    if numeric and column.nunique() > _BINS:
        column = pd.qcut(column, _BINS, labels=False, duplicates="drop")
    return np.asarray(pd.factorize(column, use_na_sentinel=False)[0], dtype=np.int64)


def _explained(groups: NDArray[np.int64], target: NDArray[np.float64]) -> float:
    counts = np.bincount(groups)
    total = float(np.sum((target - target.mean()) ** 2))
    free = len(target) - len(counts)
    if total == 0 or free < 1:
        return 0.0
    means = np.bincount(groups, weights=target) / counts
    within = float(np.sum((target - means[groups]) ** 2))
    return 1 - within / total * (len(target) - 1) / free
