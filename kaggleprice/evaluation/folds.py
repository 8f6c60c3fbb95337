"""Folds: which rows train and which validate, made by a scheme or read from a file."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.core.errors import DataError, MissingFileError, UsageError
from kaggleprice.core.registry import look_up
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES, target_bins

Rows = NDArray[np.int64]
Fold = tuple[Rows, Rows]
# Of up to 18 digits, which 64 bits hold.
_WHOLE = re.compile(r"\s*[-+]?[0-9]{1,18}\s*")


class Folds(Sequence[Fold]):
    """The (training rows, validation rows) of each fold, which cannot be changed.

    Attributes:
        rows: the number of rows n that are split.
    """

    def __init__(self, folds: Iterable[tuple[Rows, Rows]], rows: int) -> None:
        """Take row numbers from 0 to rows - 1 of each fold, in ascending order."""
        self.rows = rows
        self._folds = tuple((_fixed(train), _fixed(validation)) for train, validation in folds)

    @classmethod
    def of_rows(cls, fold_of_row: Rows) -> Folds:
        """Return the folds in which each row is validated once, and trains in all others.

        Args:
            fold_of_row: shape (n,), the fold that validates each row, counted from 0.
        """
        count = int(fold_of_row.max()) + 1
        masks = [fold_of_row == fold for fold in range(count)]
        pairs = [(np.flatnonzero(~held), np.flatnonzero(held)) for held in masks]
        return cls(pairs, len(fold_of_row))

    @cached_property
    def fold_of_row(self) -> Rows:
        """The fold that validates each row, counted from 0; shape (n,).

        Raises:
            ValueError: where a row is validated more than once, or never.
        """
        validated = np.concatenate([validation for _, validation in self])
        if not np.array_equal(np.sort(validated), np.arange(self.rows)):
            raise ValueError("not every row is validated exactly once")
        found = np.empty(self.rows, dtype=np.int64)
        for fold, (_, validation) in enumerate(self):
            found[validation] = fold
        return _fixed(found)

    def to_csv(self, ids: NDArray[Any], id_column: str) -> str:
        """Return the text of folds.csv: each id, and the fold (from 1) that validates its row."""
        # By place, since the id column may be named fold as well.
        frame = pd.DataFrame({0: ids, 1: self.fold_of_row + 1})
        frame.columns = pd.Index([id_column, "fold"])
        return str(frame.to_csv(index=False, lineterminator="\n"))

    def sha256(self, ids: NDArray[Any], id_column: str) -> str:
        """Return the hash of folds.csv; arguments as in `to_csv`."""
        return hashlib.sha256(self.to_csv(ids, id_column).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._folds)

    def __iter__(self) -> Iterator[Fold]:
        return iter(self._folds)

    @overload
    def __getitem__(self, index: int) -> Fold: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Fold]: ...
    def __getitem__(self, index: int | slice) -> Fold | Sequence[Fold]:
        return self._folds[index]


def _fixed(rows: Rows) -> Rows:
    fixed = np.array(rows, dtype=np.int64)
    fixed.flags.writeable = False
    return fixed


def make_folds(
    rows: int,
    k: int,
    *,
    scheme: str = "shuffled",
    seed: int = 0,
    target: NDArray[np.float64] | None = None,
    groups: NDArray[Any] | None = None,
) -> Folds:
    """Split rows into k folds.

    Args:
        rows: their number n.
        k: how many folds.
        scheme: a name in `FOLD_SCHEMES`.
        seed: of what is random.
        target: shape (n,), for schemes that split by it.
        groups: shape (n,), the group of each row, for schemes that keep groups together.

    Raises:
        UnknownNameError: where no scheme has this name.
        UsageError: where k is less than 2 or more than the number of rows or groups; where target
            or groups are lacking.
    """
    found = look_up(FOLD_SCHEMES, scheme, "fold scheme")
    if not 2 <= k <= rows:
        raise UsageError(
            f"k must lie between 2 and the number of training rows ({rows}), found {k}."
        )
    if found.grouped and groups is None:
        raise UsageError(f"fold scheme {scheme!r} needs groups; name their column: --fold-column.")
    if found.grouped and groups is not None and len(set(groups)) < k:
        raise UsageError(
            f"k must not exceed the number of groups, found {k}; give --k {len(set(groups))}."
        )
    if found.stratifies and target is None:
        raise UsageError(f"fold scheme {scheme!r} needs a target.")
    classes = target_bins(target, k) if found.stratifies and target is not None else None
    splits = found.splitter(k, seed).split(
        np.empty((rows, 1)), classes, groups if found.grouped else None
    )
    return Folds(splits, rows)


def read_folds(path: Path, ids: NDArray[Any], id_column: str) -> Folds:
    """Read folds from a CSV with the id column and a column `fold`, as a run writes it.

    Args:
        path: the CSV; folds may have any whole numbers, and are put in their order.
        ids: shape (n,), the training rows' ids.
        id_column: its name.

    Raises:
        MissingFileError, DataError: where the file is absent, or does not give each training id
            exactly one fold, or gives only one fold.
    """
    found, numbers = _read(path, id_column)
    fold_of_id = dict(zip(_numbered(found), numbers, strict=True))
    wanted = _numbered(ids)
    lacking = [i for i, number in wanted if (i, number) not in fold_of_id]
    if lacking or len(found) != len(ids):
        raise DataError(
            f"{path}: expected every {id_column} of the training file exactly once "
            f"({len(ids)} rows), found {len(found)} rows"
            + (f"; {id_column} {lacking[0]} is missing." if lacking else ".")
        )
    names, folds = np.unique([fold_of_id[i] for i in wanted], return_inverse=True)
    if len(names) < 2:
        raise DataError(f"{path}: expected 2 folds or more, found {len(names)}.")
    return Folds.of_rows(folds)


def _numbered(ids: Iterable[Any]) -> list[tuple[str, int]]:
    """Return each id with which of the same ids it is: ids may repeat."""
    seen: Counter[str] = Counter()
    numbered = []
    for i in map(str, ids):
        numbered.append((i, seen[i]))
        seen[i] += 1
    return numbered


def _read(path: Path, id_column: str) -> tuple[list[str], list[int]]:
    """Return the ids and the folds' numbers."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, header=None)
    except FileNotFoundError:
        raise MissingFileError(f"folds file {path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"folds file {path} cannot be read as CSV: {error}.") from None
    header, cells = list(frame.iloc[0]), frame.iloc[1:]
    # By place, since the id column may be named fold as well.
    place = header.index(id_column) if id_column in header else None
    others = [i for i, name in enumerate(header) if name == "fold" and i != place]
    if place is None or not others:
        lacking = id_column if place is None else "fold"
        names = ", ".join(map(repr, header[:5])) + (", ..." if len(header) > 5 else "")
        raise DataError(f"{path}: the column {lacking!r} is missing; found {names}.")
    numbers = list(cells[others[0]])
    if not all(_WHOLE.fullmatch(number) for number in numbers):
        raise DataError(f"{path}: the column 'fold' must hold whole numbers.")
    return list(cells[place]), [int(number) for number in numbers]
