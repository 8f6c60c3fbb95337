"""Columns joined from chunks, in the smallest types that hold their values exactly.

A table of any size is kept so: pandas by itself takes 8 bytes per number and one text object per
cell. A number is never rounded: a column becomes float32 or whole numbers only where each of its
values comes back as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

# Rows of a chunk: only so many are ever held in the types that pandas gives them.
ROWS = 1 << 14
_KINDS = ("int8", "int16", "float32", "int32")
# Up to here 4 bytes per character are less than a text object and the pointer to it.
_FIXED_WIDTH = 16


def compact(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in the first of `_KINDS` that gives each of them back, NaN included.

    Shapes (n,) → (n,).
    """
    # NaN, infinity and what is too large are no whole numbers, and come out of a cast as others.
    with np.errstate(invalid="ignore", over="ignore"):
        for kind in _KINDS:
            cast = values.astype(kind)
            same = cast == values
            if kind.startswith("float"):
                same |= np.isnan(values)
            if same.all():
                return cast
    return values.astype(np.float64)


def as_levels(column: pd.Series) -> pd.Categorical:
    """Return pandas categories, or texts, as sorted categories of text; NaN is missing."""
    values = column.array if isinstance(column.array, pd.Categorical) else pd.Categorical(column)
    return pd.Categorical.from_codes(values.codes, dtype=_levels_dtype(values.categories))


def as_texts(column: pd.Series) -> NDArray[Any]:
    """Return texts, shape (n,), of one width unless some are long; a missing one is empty."""
    texts = column.fillna("").to_numpy(dtype=object)
    width = max(map(len, texts), default=1)
    # A NUL at the end of a text of fixed width is lost.
    fixed = width <= _FIXED_WIDTH and not any(text.endswith("\0") for text in texts)
    return texts.astype(f"U{max(width, 1)}") if fixed else texts


def joined(chunks: dict[str, list[Any]]) -> dict[str, Any]:
    """Join each column's chunks, categories sorted; a column's chunks are given up for it."""
    return {name: _join(chunks.pop(name)) for name in list(chunks)}


def _join(chunks: list[Any]) -> Any:
    if isinstance(chunks[0], pd.Categorical):
        return union_categoricals(chunks, sort_categories=True)
    return np.concatenate(chunks)


def share_levels(*columns: pd.Series) -> list[pd.Series]:
    """Give categorical columns the same sorted categories, those of all.

    A column of nothing but missing values may come as numbers.
    """
    levels = {n for c in columns if isinstance(c.array, pd.Categorical) for n in c.cat.categories}
    kind = _levels_dtype(sorted(levels))
    return [column if column.dtype == kind else column.astype(kind) for column in columns]


def _levels_dtype(levels: Iterable[str]) -> Any:
    return pd.CategoricalDtype(pd.Index(list(levels), dtype="str"))


def frame_of(columns: dict[str, Any]) -> pd.DataFrame:
    """Return a frame of arrays, of which none is copied."""
    return pd.DataFrame(
        {n: pd.Series(c, copy=False, dtype=c.dtype) for n, c in columns.items()}, copy=False
    )


def add_columns(frame: pd.DataFrame, add: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Add what a function of rows adds, which gets its numbers as float64, chunk by chunk."""
    # Whole numbers of few bits would overflow.
    numbers = {n: np.float64 for n in frame if pd.api.types.is_numeric_dtype(frame[n])}
    chunks: dict[str, list[Any]] = {}
    for start in range(0, max(len(frame), 1), ROWS):
        wider = add(frame.iloc[start : start + ROWS].astype(numbers))
        for name in wider.columns[len(frame.columns) :]:
            chunks.setdefault(str(name), []).append(compact(wider[name].to_numpy()))
    return frame_of({**{str(name): frame[name].array for name in frame}, **joined(chunks)})
