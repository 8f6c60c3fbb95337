"""Moments: a column of times as ranks, by which rows are put in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import DATE, Kind
from kaggleprice.competitions.kinds import find_date_formats
from kaggleprice.core.errors import DataError


def rank_moments(cells: NDArray[Any], column: str, kind: Kind | None) -> NDArray[np.int64]:
    """Return the rank of each cell's time, counted from 0 without holes; shape (n,).

    Args:
        cells: shape (n,), texts: numbers, such as years, or dates of one format.
        column: its name, for messages.
        kind: of the column; `date FORMAT` says how dates are read. None looks for the format.

    Raises:
        DataError: where a cell is no time.
    """
    codes, levels = pd.factorize(cells)
    times = moments_of(pd.Series(levels, dtype=object), kind)
    wrong = pd.isna(times)
    if wrong.any():
        raise DataError(
            f"the column {column!r} cannot order rows in time: {str(levels[wrong][0])!r} is no "
            "number and no date as the others; say its format in `[kinds]`, or name another "
            "--fold-column."
        )
    return np.unique(times, return_inverse=True)[1][codes]


def moments_of(levels: pd.Series, kind: Kind | None) -> NDArray[Any]:
    """Return texts as numbers or times, missing where one is none; shape (u,)."""
    form = str(kind).removeprefix(DATE).strip() if str(kind).startswith(f"{DATE} ") else ""
    numbers = pd.to_numeric(levels, errors="coerce")
    if not form and numbers.notna().all():
        return numbers.to_numpy(dtype=np.float64)
    if not form:
        # By the cells that are there: a missing one is named, rather than the first date.
        known = [level for level in levels if level not in ("nan", "")]
        form = next(iter(find_date_formats(known)), "%Y-%m-%d")
    return pd.to_datetime(levels, format=form, errors="coerce").to_numpy()
