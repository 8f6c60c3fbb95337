"""Columns: what a regressor's X becomes, numbers in float64 and categories as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

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
    """

    names: tuple[str, ...]
    texts: tuple[bool, ...]

    @classmethod
    def learn(cls, X: Any, names: Sequence[str] | None) -> Columns:  # noqa: N803
        """Find out which columns hold numbers and which categories.

        Args:
            X: a DataFrame, or an array of shape (n, p).
            names: of the columns; None where they have none.

        Raises:
            ValueError: for a column of times or bytes.
        """
        count = X.shape[1]
        known = tuple(f"x{j}" for j in range(count)) if names is None else tuple(map(str, names))
        if _is_numeric_array(X):
            return cls(known, (False,) * count)
        frame = pd.DataFrame(X)
        return cls(known, tuple(_is_text(frame.iloc[:, j], known[j]) for j in range(count)))

    def read(self, X: Any) -> pd.DataFrame:  # noqa: N803
        """Return n rows as float64 columns and columns of text; NaN is missing.

        Args:
            X: a DataFrame, or an array of shape (n, p), with these columns in this order.

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
                parts[name] = read(given.iloc[:, j], name).reset_index(drop=True)
            frame = pd.DataFrame(parts)
        self._check_finite(frame)
        return frame

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
