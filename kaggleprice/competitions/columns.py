"""Columns that grow chunk by chunk, in the smallest types that hold their values exactly.

A table of any size is kept so: pandas by itself takes 8 bytes per number and one text object per
cell. A number is never rounded: a column becomes float32 or whole numbers only where each of its
values comes back as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Rows of a chunk: only so many are ever held in the types that pandas gives them.
ROWS = 1 << 14
# Up to here float32 holds every whole number, and takes the room of int32.
_EXACT_FLOAT32 = 1 << 24
# Up to here 4 bytes per character are less than a text object and the pointer to it.
_FIXED_WIDTH = 16


class _Column:
    """An array that grows chunk by chunk; its type grows with it."""

    def __init__(self, capacity: int, smallest: str) -> None:
        # Memory that nothing was written to is only promised.
        self._values: NDArray[Any] = np.empty(capacity, dtype=smallest)
        self._rows = 0

    def _add(self, values: NDArray[Any]) -> None:
        kind = np.result_type(self._values.dtype, values.dtype)
        if kind != self._values.dtype:
            grown = np.empty(len(self._values), dtype=kind)
            grown[: self._rows] = self._values[: self._rows]
            self._values = grown
        self._values[self._rows : self._rows + len(values)] = values
        self._rows += len(values)

    def finish(self) -> NDArray[Any]:
        """Return all values, shape (n,)."""
        return self._values[: self._rows]


class NumberColumn(_Column):
    """A numeric column that grows chunk by chunk."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, "int8")

    def append(self, chunk: pd.Series | NDArray[Any]) -> None:
        """Add values of any numeric type, shape (b,)."""
        self._add(compact(np.asarray(chunk)))


class LevelColumn:
    """A categorical column that grows chunk by chunk, as codes; -1 is missing."""

    def __init__(self, capacity: int) -> None:
        self._codes = NumberColumn(capacity)
        self._levels: dict[str, int] = {}

    def append(self, chunk: pd.Series) -> None:
        """Add pandas categories, or texts; NaN is missing."""
        values = chunk.array if isinstance(chunk.array, pd.Categorical) else pd.Categorical(chunk)
        places = [self._levels.setdefault(n, len(self._levels)) for n in values.categories]
        # The code -1 takes the last place.
        self._codes.append(np.array([*places, -1])[values.codes])

    def finish(self) -> pd.Categorical:
        """Return all values, their categories sorted."""
        levels = sorted(self._levels)
        places = np.empty(len(levels) + 1, dtype=np.min_scalar_type(-max(len(levels), 1)))
        places[[self._levels[level] for level in levels]] = np.arange(len(levels))
        places[-1] = -1
        codes = self._codes.finish()
        made: NDArray[Any] = np.empty(len(codes), dtype=places.dtype)
        for start in range(0, len(codes), ROWS):
            # numpy makes wide indices of codes: of one chunk, not of all rows.
            made[start : start + ROWS] = places[codes[start : start + ROWS].astype(np.intp)]
        return pd.Categorical.from_codes(made, dtype=_levels_dtype(levels))


class TextColumn(_Column):
    """A column of texts that grows chunk by chunk; an empty text is missing.

    Texts of one width take less room than Python's own, unless some are long.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, "U1")

    def append(self, chunk: pd.Series) -> None:
        """Add texts; NaN is missing."""
        texts = chunk.fillna("").to_numpy(dtype=object)
        width = max(map(len, texts), default=1)
        # A NUL at the end of a text of fixed width is lost.
        fixed = width <= _FIXED_WIDTH and not any(text.endswith("\0") for text in texts)
        self._add(texts.astype(f"U{max(width, 1)}") if fixed else texts)


def compact(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in the smallest type that gives each of them back, NaN included.

    It is int8, int16, float32, int32 or float64, whichever fits first; shapes (n,) → (n,).
    """
    if values.dtype.kind == "f":
        # NaN and infinity are no whole numbers.
        with np.errstate(invalid="ignore", over="ignore"):
            whole = bool((values == np.rint(values)).all() and np.isfinite(values).all())
            if not whole:
                short = values.astype(np.float32)
                same = bool(((short == values) | np.isnan(values)).all())
                return short if same else values.astype(np.float64)
    elif values.dtype.kind == "b":
        return values.astype(np.int8)
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    for kind in (np.int8, np.int16):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    if low >= -_EXACT_FLOAT32 and high <= _EXACT_FLOAT32:
        return values.astype(np.float32)
    if np.iinfo(np.int32).min <= low and high <= np.iinfo(np.int32).max:
        return values.astype(np.int32)
    return values.astype(np.float64)


def _levels_dtype(levels: list[str]) -> Any:
    return pd.CategoricalDtype(pd.Index(levels, dtype="str"))


def share_levels(*columns: pd.Series) -> list[pd.Series]:
    """Give categorical columns the same sorted categories, those of all.

    A column of nothing but missing values may come as numbers.
    """
    levels = {n for c in columns if isinstance(c.array, pd.Categorical) for n in c.cat.categories}
    kind = _levels_dtype(sorted(levels))
    return [column if column.dtype == kind else column.astype(kind) for column in columns]


def frame_of(columns: dict[str, Any]) -> pd.DataFrame:
    """Return a frame of arrays, of which none is copied."""
    return pd.DataFrame(
        {n: pd.Series(c, copy=False, dtype=c.dtype) for n, c in columns.items()}, copy=False
    )


def add_columns(frame: pd.DataFrame, add: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Add what a function of rows adds, which gets its numbers as float64, chunk by chunk."""
    made: dict[str, NumberColumn] = {}
    for chunk in _expanded(frame):
        wider = add(chunk)
        for name in wider.columns[len(frame.columns) :]:
            made.setdefault(str(name), NumberColumn(len(frame))).append(wider[name])
    old = {str(name): frame[name].array for name in frame}
    return frame_of({**old, **{name: column.finish() for name, column in made.items()}})


def _expanded(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Give a frame's rows in chunks, its numbers as float64: whole ones of few bits overflow."""
    numbers = {n: np.float64 for n in frame if pd.api.types.is_numeric_dtype(frame[n])}
    for start in range(0, max(len(frame), 1), ROWS):
        yield frame.iloc[start : start + ROWS].astype(numbers)
