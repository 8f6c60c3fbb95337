"""Columns joined from chunks, in the smallest types that hold their values exactly.

A table of any size is kept so: pandas by itself takes 8 bytes per number and one text object per
cell. A number is never rounded: a column becomes float32 or whole numbers only where each of its
values comes back as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.core.large_arrays import Arena

# Rows of a chunk: only so many are ever held in the types that pandas gives them.
ROWS = 1 << 16
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


@dataclass(frozen=True)
class Levels:
    """A chunk of a categorical column.

    Attributes:
        codes: shape (n,), whole numbers; -1 for missing.
        levels: what the codes stand for, each once.
    """

    codes: NDArray[np.integer[Any]]
    levels: list[Any]

    @classmethod
    def of(cls, column: pd.Series) -> Levels:
        """Number what a column holds, in the order in which it stands there; NaN is missing."""
        codes, levels = pd.factorize(column)
        return cls(codes.astype(np.min_scalar_type(-max(len(levels), 1))), levels.tolist())


def as_texts(column: pd.Series) -> NDArray[Any]:
    """Return texts, shape (n,), of one width unless some are long; a missing one is empty."""
    texts = column.fillna("").to_numpy(dtype=object)
    width = max(map(len, texts), default=1)
    # A NUL at the end of a text of fixed width is lost.
    fixed = width <= _FIXED_WIDTH and "\0" not in "".join(texts)
    return texts.astype(f"U{max(width, 1)}") if fixed else texts


def joined(chunks: dict[str, list[Any]], arena: Arena | None = None) -> dict[str, Any]:
    """Join each column's chunks, which are given up for it.

    Of arrays an array is made; of `Levels` a `pd.Categorical` with sorted categories, in which
    an array stands for rows that are missing.

    Args:
        chunks: by column.
        arena: where to put the result; None for memory.
    """
    join = np.concatenate if arena is None else arena.join
    return {name: _join(chunks.pop(name), join) for name in list(chunks)}


def _join(chunks: list[Any], join: Callable[[list[NDArray[Any]]], NDArray[Any]]) -> Any:
    known = {level for chunk in chunks if isinstance(chunk, Levels) for level in chunk.levels}
    if not any(isinstance(chunk, Levels) for chunk in chunks):
        return join(chunks)
    place = {level: code for code, level in enumerate(sorted(known))}
    kind = np.min_scalar_type(-max(len(place), 1))
    codes = []
    for chunk in chunks:
        if isinstance(chunk, Levels):
            # The code -1 takes the last place.
            table = np.array([*map(place.__getitem__, chunk.levels), -1], dtype=kind)
            codes.append(table[chunk.codes])
        else:
            codes.append(np.full(len(chunk), -1, dtype=kind))
    return pd.Categorical.from_codes(join(codes), dtype=_levels_dtype(place))


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
