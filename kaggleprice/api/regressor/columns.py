"""Columns: what a regressor's X becomes, numbers in float64 and categories as text.

A column of a stated kind is read as text, and becomes what it becomes in a CSV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kaggleprice.competitions.catalog import TEXT, Kind
from kaggleprice.competitions.csv_format import CsvFormat
from kaggleprice.competitions.kinds import NUMBERS, apply_kinds, pairs_of_places, settle_kinds

# What messages call the table.
_X = Path("X")
# Of larger numbers the moments overflow.
LARGEST = 1e100
# What pandas calls the content of a column of Python objects that are numbers.
_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal", "empty"}
_REFUSED = {"datetime", "datetime64", "date", "time", "timedelta", "timedelta64", "period", "bytes"}


@dataclass(frozen=True)
class Columns:
    """The columns that a regressor was fitted on.

    Attributes:
        names: p different names, in order.
        texts: for each, whether it holds categories; otherwise it holds numbers.
        kinds: of columns that are neither, dates with their formats.
    """

    names: tuple[str, ...]
    texts: tuple[bool, ...]
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    @classmethod
    def learn(
        cls,
        X: Any,  # noqa: N803
        names: Sequence[str] | None,
        kinds: Mapping[str, Kind],
    ) -> Columns:
        """Find out which columns hold numbers and which categories.

        Args:
            X: a DataFrame, or an array of shape (n, p).
            names: of the columns; None where they have none.
            kinds: column to kind, as in `kaggleprice.competitions.kinds`.

        Raises:
            ValueError: for a column of times or bytes that has no kind, and for a kind of a column
                that X lacks.
            DataError: where no format fits the dates of a column.
        """
        if kinds:
            lacking = [name for name in kinds if names is None or name not in names]
            if lacking:
                raise ValueError(f"kinds names {lacking[0]!r}, which is no column of X.")
            own = replace(cls._of(X, names, kinds), kinds=kinds)
            return replace(own, kinds=settle_kinds(kinds, own._cells(X), CsvFormat(), _X))
        return cls._of(X, names, {})

    @classmethod
    def _of(
        cls,
        X: Any,  # noqa: N803
        names: Sequence[str] | None,
        kinds: Mapping[str, Kind],
    ) -> Columns:
        count = X.shape[1]
        known = tuple(f"x{j}" for j in range(count)) if names is None else tuple(map(str, names))
        if _is_numeric_array(X):
            return cls(known, (False,) * count)
        frame = pd.DataFrame(X)
        texts = (name in kinds or _is_text(frame.iloc[:, j], name) for j, name in enumerate(known))
        return cls(known, tuple(texts))

    @property
    def free_texts(self) -> tuple[str, ...]:
        """The columns that hold free text."""
        return tuple(name for name, kind in self.kinds.items() if kind == TEXT)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """The pairs of latitude and longitude."""
        return tuple(pairs_of_places(self.kinds))

    def read(self, X: Any) -> pd.DataFrame:  # noqa: N803
        """Return the features of n rows: float64 columns, and columns of text; NaN is missing.

        Args:
            X: a DataFrame, or an array of shape (n, p), with these columns in this order.

        Raises:
            ValueError: where a column does not hold what it held in `fit`, or is infinite.
            DataError: where a cell is not of its column's kind.
        """
        return apply_kinds(self._cells(X), self.kinds, CsvFormat(), _X)

    def _cells(self, X: Any) -> pd.DataFrame:  # noqa: N803
        """Return n rows as float64 columns and columns of text, before kinds are applied.

        Raises:
            ValueError: where a column does not hold what it held in `fit`, or is infinite.
        """
        if _is_numeric_array(X) and not any(self.texts):
            frame = pd.DataFrame(np.array(X, dtype=np.float64), columns=list(self.names))
        else:
            given = pd.DataFrame(X)
            parts = {}
            for j, (name, text) in enumerate(zip(self.names, self.texts, strict=True)):
                read = _as_text if text else _as_numbers
                if name in self.kinds:
                    read = _as_numbers if self._holds_numbers(name, given) else _as_cells
                parts[name] = read(given.iloc[:, j], name).reset_index(drop=True)
            frame = pd.DataFrame(parts)
        self._check_finite(frame)
        return frame

    def _holds_numbers(self, name: str, given: pd.DataFrame) -> bool:
        """Tell whether a column's stated kind is one of numbers, and X has it as numbers."""
        column = given.iloc[:, self.names.index(name)]
        numeric = pd.api.types.is_numeric_dtype(column) and column.dtype.kind != "b"
        return numeric and self.kinds[name] in NUMBERS

    def _check_finite(self, frame: pd.DataFrame) -> None:
        numeric = [name for name, text in zip(self.names, self.texts, strict=True) if not text]
        beyond = (np.abs(frame[numeric].to_numpy(dtype=np.float64)) > LARGEST).any(axis=0)
        if beyond.any():
            name = numeric[int(np.argmax(beyond))]
            raise ValueError(
                f"Input X contains infinity or a number beyond {LARGEST:g} in column {name!r}; "
                "a missing value is NaN."
            )


def check_names(X: pd.DataFrame) -> None:  # noqa: N803
    """Raise ValueError where two columns have the same name."""
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(f"two columns of X are called {twice!r}; give each a name of its own.")


def _is_numeric_array(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "iuf"


def _is_text(column: pd.Series, name: str) -> bool:
    if column.dtype == object:
        content = pd.api.types.infer_dtype(column, skipna=True)
    elif isinstance(column.dtype, pd.CategoricalDtype):
        content = "categorical"
    elif column.dtype.kind in "Mm" or isinstance(column.dtype, pd.PeriodDtype):
        content = "datetime"
    elif column.dtype.kind == "c":
        raise ValueError(f"Complex data not supported, found in column {name!r}.")
    else:
        numeric = pd.api.types.is_numeric_dtype(column) and column.dtype.kind != "b"
        content = "floating" if numeric else "string"
    if content in _REFUSED:
        raise ValueError(
            f"Column {name!r} of X holds {content} values; expected numbers, text, categories or "
            "truth values: make it numbers first, such as days since a date."
        )
    return content not in _NUMBERS


def _as_cells(column: pd.Series, name: str) -> pd.Series:
    """Return values as the texts that a CSV would have, whole numbers without a point."""
    texts, known = column.astype("str"), column.notna()
    if column.dtype.kind == "f":
        texts = texts.str.removesuffix(".0")
    return texts.where(known)


def _as_text(column: pd.Series, name: str) -> pd.Series:
    known = column.notna()
    if column.dtype.kind in "iuf" and known.any():
        raise ValueError(
            f"Column {name!r} of X held categories in fit and holds numbers ({column.dtype}) now; "
            "give it the type that it had."
        )
    return column.astype("str").where(known)


def _as_numbers(column: pd.Series, name: str) -> pd.Series:
    if column.isna().all():
        return pd.Series(np.nan, index=range(len(column)))
    if column.dtype.kind != "b" and _is_text(column, name):
        known = column.dropna()
        texts = [value for value in known if isinstance(value, str)]
        raise ValueError(
            f"Column {name!r} of X held numbers in fit and holds categories now, such as "
            f"{[*texts, *known][0]!r}; give it the type that it had."
        )
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
