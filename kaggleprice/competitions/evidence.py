"""Evidence: what a test file says of how rows should be split into folds.

Where the test file has other groups than the training file, or later times, folds of rows drawn at
random are easier than the test file, and their score is too good.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import DATE, DROP, Kind
from kaggleprice.competitions.moments import moments_of
from kaggleprice.settings.run import RunSettings

GROUPED, FORWARD, CONTIGUOUS = "grouped", "forward", "contiguous"
# Fewer rows may lack a value by chance.
_LEAST_TEST_ROWS = 10
# Of training rows that are compared first: nearly all columns share a value in them.
_HEAD = 1000
# Share of validation rows.
_MOSTLY = 0.5
_GROUP_NAME = re.compile(
    r"(?i).*(subject|patient|person|user|customer|client|player|driver|group|station|site|store"
    r"|household|family|batch|session|participant).*"
)


@dataclass(frozen=True)
class Evidence:
    """That rows belong together, or in order.

    Attributes:
        scheme: `grouped`, `forward` or `contiguous`.
        column: by which.
        reason: why, in a few words.
        codes: shape (n,), the group of each training row, or the rank of its time or day.
    """

    scheme: str
    column: str
    reason: str
    codes: NDArray[np.int64]

    @property
    def options(self) -> str:
        """The options of `cv` that split rows by it."""
        column = "" if self.scheme == CONTIGUOUS else f" --fold-column {shlex.quote(self.column)}"
        return f"--fold-scheme {self.scheme}{column}"

    def easier(self, train: NDArray[np.int64], held: NDArray[np.int64]) -> str:
        """Say why rows that are held out are easier to predict than the test file's.

        Args:
            train: shape (t,), the training rows of a fold.
            held: shape (h,), its validation rows.

        Returns:
            What is so of these, in a few words; empty where they are not easier.
        """
        if self.scheme == FORWARD:
            mixed = self.codes[train].max() >= self.codes[held].min()
            return "are earlier than rows of training" if mixed else ""
        shared = np.isin(self.codes[held], self.codes[train])
        if self.scheme == CONTIGUOUS:
            # Blocks of rows in order share a day at their ends.
            alike = float(shared.mean()) > _MOSTLY
            return f"share a day of {self.column!r} with rows of training" if alike else ""
        return f"share {self.column!r} with rows of training" if shared.any() else ""


def find_evidence(
    train: pd.DataFrame, test: pd.DataFrame, kinds: Mapping[str, Kind]
) -> Evidence | None:
    """Look for times that go on in the test file, groups that are others there, and other days.

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
    if not groups:
        days = (_other_days(train[c], test[c], kinds[c]) for c in dates)
        return next((found for found in days if found is not None), None)
    # What is called a group is one; else the coarsest keeps the others apart as well.
    return min(groups, key=lambda g: (not _GROUP_NAME.fullmatch(g.column), int(g.codes.max())))


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


def _other_days(train: pd.Series, test: pd.Series, kind: Kind) -> Evidence | None:
    """Return the evidence that no day of the test file is one of training, of days in order."""
    codes, levels = pd.factorize(train)
    days, others = (
        moments_of(_texts(part), kind).astype("datetime64[D]")
        for part in (levels, test.dropna().unique())
    )
    if (codes < 0).any() or np.isnat(days).any() or np.isin(others, days).any():
        return None
    known, ranks = np.unique(days, return_inverse=True)
    of_rows = ranks[codes]
    if len(known) <= RunSettings.k or 2 * len(known) > len(train) or (np.diff(of_rows) < 0).any():
        return None
    name = str(train.name)
    reason = f"no day of {name!r} in the test file is one of training"
    return Evidence(CONTIGUOUS, name, reason, of_rows)


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
