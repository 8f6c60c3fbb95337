"""Folds: which fold validates each row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from kaggleprice.core.errors import DataError, MissingFileError, UsageError


def make_folds(rows: int, k: int, *, shuffle: bool, seed: int) -> NDArray[np.int64]:
    """Return the fold (counted from 0) that validates each row, shape (rows,).

    Every row is validated exactly once, also where k does not divide the number of rows; folds
    are those of `sklearn.model_selection.KFold(k, shuffle=shuffle, random_state=seed)`.

    Raises:
        UsageError: where k is less than 2 or more than the number of rows.
    """
    if not 2 <= k <= rows:
        raise UsageError(
            f"k must lie between 2 and the number of training rows ({rows}), found {k}."
        )
    splitter = KFold(k, shuffle=shuffle, random_state=seed if shuffle else None)
    folds = np.empty(rows, dtype=np.int64)
    for fold, (_, validation) in enumerate(splitter.split(np.empty(rows))):
        folds[validation] = fold
    return folds


def read_folds(path: Path, ids: NDArray[Any], id_column: str) -> NDArray[np.int64]:
    """Read folds from a CSV with the id column and a column `fold`, as a run writes it.

    Args:
        path: the CSV; folds may have any whole numbers.
        ids: shape (n,), the training rows' ids, in whose order the result stands.
        id_column: its name.

    Returns:
        Shape (n,), folds counted from 0 in the order of the file's numbers.

    Raises:
        MissingFileError, DataError: where the file is absent, or does not give each training id
            exactly one fold, or gives only one fold.
    """
    frame = _read(path, id_column)
    fold_of_id = dict(zip(frame[id_column], frame["fold"], strict=True))
    lacking = [i for i in ids if i not in fold_of_id]
    if lacking or len(frame) != len(ids):
        raise DataError(
            f"{path}: expected every {id_column} of the training file exactly once "
            f"({len(ids)} rows), found {len(frame)} rows"
            + (f"; {id_column} {lacking[0]} is missing." if lacking else ".")
        )
    numbers, folds = np.unique([fold_of_id[i] for i in ids], return_inverse=True)
    if len(numbers) < 2:
        raise DataError(f"{path}: expected 2 folds or more, found {len(numbers)}.")
    return np.asarray(folds, dtype=np.int64)


def _read(path: Path, id_column: str) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype={id_column: str}, keep_default_na=False)
    except FileNotFoundError:
        raise MissingFileError(f"folds file {path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"folds file {path} cannot be read as CSV: {error}.") from None
    for column in (id_column, "fold"):
        if column not in frame:
            found = [repr(str(name)) for name in frame]
            more = ", ..." if len(found) > 5 else ""
            raise DataError(
                f"{path}: the column {column!r} is missing; found {', '.join(found[:5])}{more}."
            )
    if not pd.api.types.is_integer_dtype(frame["fold"]):
        raise DataError(f"{path}: the column 'fold' must hold whole numbers.")
    return frame
