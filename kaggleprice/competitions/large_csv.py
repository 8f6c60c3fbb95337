"""Blocks: a large CSV read block by block, into columns of the smallest types that hold it exactly.

pandas reads a file whole: its text, then float64 and one text object per cell, all at once. Here
only one block of rows is ever in that state. A number is never rounded: a column becomes float32
or whole numbers only where each of its values comes back as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROWS = 1 << 14

# What reads a file from its start in blocks, given the types of columns that pandas is not to find
# out: `str`, or `category`, which is much faster.
Kinds = dict[str, str]
Opener = Callable[[Kinds], Iterable[pd.DataFrame]]
# Up to here float32 holds every whole number, and takes the room of int32.
_EXACT_FLOAT32 = 1 << 24
# Up to here 4 bytes per character are less than a text object and the pointer to it.
_FIXED_WIDTH = 16


class _Column:
    """An array that grows block by block; its type grows with it."""

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
    """A numeric column that grows block by block."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, "int8")

    def append(self, block: pd.Series | NDArray[Any]) -> None:
        """Add values of any numeric type, shape (b,)."""
        self._add(compact(np.asarray(block)))


class LevelColumn:
    """A categorical column that grows block by block, as codes; -1 is missing."""

    def __init__(self, capacity: int) -> None:
        self._codes = NumberColumn(capacity)
        self._levels: dict[str, int] = {}

    def append(self, block: pd.Series) -> None:
        """Add pandas categories, or texts; NaN is missing."""
        values = block.array if isinstance(block.array, pd.Categorical) else pd.Categorical(block)
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
        kind = pd.CategoricalDtype(pd.Index(levels, dtype="str"))
        return pd.Categorical.from_codes(_looked_up(places, codes), dtype=kind)


class TextColumn(_Column):
    """A column of texts that grows block by block; an empty text is missing.

    Texts of one width take less room than Python's own, unless some are long.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, "U1")

    def append(self, block: pd.Series) -> None:
        """Add texts; NaN is missing."""
        texts = block.fillna("").to_numpy(dtype=object)
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


def read_blocks(
    opener: Opener, id_column: str, capacity: int
) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    """Read a file block by block.

    A column is numeric where all of it is, as when pandas reads the file whole; one that turns
    out to be text late is read again from the start, since `007` is another text than `7`.

    Args:
        opener: reads the file; called twice, or three times.
        id_column: is kept as texts.
        capacity: the file has no more rows than this.

    Returns:
        n rows of all other columns, numeric ones as `compact` gives them, categorical ones as
        pandas categories; and the id column as `TextColumn` gives it, None where there is none.
    """
    kinds = {}
    for first in opener({}):
        # Truth values are texts whose writing matters.
        kinds = {n: "str" if _is_bool(first[n]) else "category" for n in _texts(first, [id_column])}
        break
    while True:
        made, late = _read_once(opener(kinds), kinds, id_column, capacity)
        if not late:
            # Not in the frame, which knows no texts of fixed width.
            ids = made.pop(id_column, None)
            return frame_of(made), ids
        kinds |= dict.fromkeys(late, "str")


def _texts(frame: pd.DataFrame, known: Collection[str]) -> list[str]:
    """Return the columns that hold text, but for those that are known to."""
    kinds = {str(name): kind for name, kind in frame.dtypes.items()}
    return [n for n, kind in kinds.items() if n not in known and not _is_number(kind)]


def _is_number(kind: Any) -> bool:
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def _is_bool(column: pd.Series) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) == "boolean"


def _is_rewritten(column: pd.Series) -> bool:
    """Whether pandas made numbers or truth values of the texts of a categorical column."""
    kind = column.dtype
    if not isinstance(kind, pd.CategoricalDtype) or not len(kind.categories):
        return False
    return not all(isinstance(level, str) for level in kind.categories)


def _read_once(
    blocks: Iterable[pd.DataFrame], kinds: Kinds, id_column: str, capacity: int
) -> tuple[dict[str, Any], list[str]]:
    """Return the columns, and the columns that have to be read as text, though they were not."""
    made: dict[str, NumberColumn | LevelColumn | TextColumn] = {}
    late: dict[str, None] = {}
    for block in blocks:
        late |= dict.fromkeys(_texts(block, [id_column, *kinds]))
        late |= dict.fromkeys(n for n, k in kinds.items() if k != "str" and _is_rewritten(block[n]))
        if late:
            # Nothing is kept of this look; it goes on to find all such columns at once.
            made.clear()
            continue
        for name in map(str, block):
            if name not in made:
                made[name] = _column(name, kinds, id_column)(capacity)
            made[name].append(block[name])
    return {name: column.finish() for name, column in made.items()}, list(late)


def _column(
    name: str, kinds: Kinds, id_column: str
) -> type[NumberColumn] | type[LevelColumn] | type[TextColumn]:
    if name == id_column:
        return TextColumn
    return LevelColumn if name in kinds else NumberColumn


def frame_of(columns: dict[str, Any]) -> pd.DataFrame:
    """Return a frame of arrays, of which none is copied."""
    return pd.DataFrame(
        {n: pd.Series(c, copy=False, dtype=c.dtype) for n, c in columns.items()}, copy=False
    )


def share_levels(*columns: pd.Series) -> list[pd.Series]:
    """Give categorical columns the same sorted categories, those of all.

    A column of nothing but missing values may come as numbers.
    """
    levels = {n for c in columns if isinstance(c.array, pd.Categorical) for n in c.cat.categories}
    kind = pd.CategoricalDtype(pd.Index(sorted(levels), dtype="str"))
    return [column if column.dtype == kind else column.astype(kind) for column in columns]


def expanded(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Give a frame's rows in blocks, its numbers as float64."""
    numbers = {n: np.float64 for n, kind in frame.dtypes.items() if _is_number(kind)}
    for start in range(0, len(frame), ROWS):
        yield frame.iloc[start : start + ROWS].astype(numbers)


def add_columns(frame: pd.DataFrame, add: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Add to a compact frame what a function of rows adds to each block of its expanded rows."""
    made: dict[str, NumberColumn] = {}
    for block in expanded(frame):
        wider = add(block)
        for name in wider.columns[len(frame.columns) :]:
            column = made.setdefault(str(name), NumberColumn(len(frame)))
            column.append(wider[name])
    old = {str(name): frame[name].array for name in frame}
    return frame_of({**old, **{name: column.finish() for name, column in made.items()}})


def _looked_up(table: NDArray[Any], codes: NDArray[Any]) -> NDArray[Any]:
    """Return `table[codes]`, without making wide indices of all codes at once."""
    made = np.empty(len(codes), dtype=table.dtype)
    for start in range(0, len(codes), ROWS):
        made[start : start + ROWS] = table[codes[start : start + ROWS].astype(np.intp)]
    return made
