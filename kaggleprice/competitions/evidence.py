"""Evidence: what a test file says of how rows should be split into folds.

Where the test file has other groups than the training file, or later times, folds of rows drawn at
random are easier than the test file, and their score is too good.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import DATE, DROP, Kind
from kaggleprice.competitions.moments import moments_of
from kaggleprice.settings.run import RunSettings

GROUPED, FORWARD = "grouped", "forward"
# Fewer rows may lack a value by chance.
_LEAST_TEST_ROWS = 10
# Of training rows that are compared first: nearly all columns share a value in them.
_HEAD = 1000
_GROUP_NAME = re.compile(
    r"(?i).*(subject|patient|person|user|customer|client|player|driver|group|station|site|store"
    r"|household|family|batch|session|participant).*"
)


@dataclass(frozen=True)
class Evidence:
    """That rows belong together, or in order.

    Attributes:
        scheme: `grouped` or `forward`.
        column: by which.
        reason: why, in a few words.
        codes: shape (n,), the group of each training row, or the rank of its time.
    """

    scheme: str
    column: str
    reason: str
    codes: NDArray[np.int64]


def find_evidence(
    train: pd.DataFrame, test: pd.DataFrame, kinds: Mapping[str, Kind]
) -> Evidence | None:
    """Look for times that go on in the test file, then for groups that are others there.

    There must be enough of them for the default number of folds.

    Args:
        train: n rows of features, as numbers, categories or texts; without the target and an id
            that is no feature.
        test: the same columns, or some of them.
        kinds: column to kind; times are looked for among dates with a format.
    """
    if len(test) < _LEAST_TEST_ROWS:
        return None
    shared = [c for c in map(str, train) if c in test]
    dates = [c for c in shared if str(kinds.get(c, "")).startswith(f"{DATE} ")]
    for column in dates:
        found = _later(train[column], test[column], kinds[column])
        if found is not None:
            return found
    rest = [c for c in shared if c not in dates and kinds.get(c) != DROP]
    groups = [g for g in (_groups(train[c], test[c]) for c in rest) if g is not None]
    # What is called a group is one; else the coarsest keeps the others apart as well.
    return min(
        groups,
        key=lambda g: (not _GROUP_NAME.fullmatch(g.column), int(g.codes.max())),
        default=None,
    )


def _later(train: pd.Series, test: pd.Series, kind: Kind) -> Evidence | None:
    """Return the evidence that every test time is after all of training."""
    codes, levels = pd.factorize(train)
    times = moments_of(_texts(levels), kind)
    if (codes < 0).any() or pd.isna(times).any():
        # Rows without a time have no place in the order.
        return None
    after = moments_of(_texts(test.dropna().unique()), kind)
    after = after[~pd.isna(after)]
    known, ranks = np.unique(times, return_inverse=True)
    if len(known) <= RunSettings.k or not len(after) or not after.min() > known.max():
        return None
    name = str(train.name)
    reason = f"every {name!r} of the test file is later than those of training"
    return Evidence(FORWARD, name, reason, ranks[codes])


def _groups(train: pd.Series, test: pd.Series) -> Evidence | None:
    """Return the evidence that values repeat in training, and that the test file has others."""
    others = pd.Index(test.dropna().unique())
    if len(others) < 2 or train.head(_HEAD).isin(others).any() or train.isin(others).any():
        return None
    codes, levels = pd.factorize(train)
    count, name = len(levels), str(train.name)
    if count < RunSettings.k or 2 * count > int((codes >= 0).sum()):
        return None
    numbers, later = (pd.to_numeric(_texts(part), errors="coerce") for part in (levels, others))
    if numbers.notna().all() and later.notna().all():
        beyond = later.min() > numbers.max() or later.max() < numbers.min()
        # Measurements are no groups, and a counter that goes on is one by its name alone.
        if (numbers % 1 != 0).any() or (beyond and not _GROUP_NAME.fullmatch(name)):
            return None
    reason = f"{count} values of {name!r} repeat in training, and the test file has none of them"
    return Evidence(GROUPED, name, reason, codes.astype(np.int64))


def _texts(levels: object) -> pd.Series:
    return pd.Series(np.asarray(levels, dtype=object)).astype(str)
