"""Writing tables as CSV, so that every reader finds the very cells again."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Literal, TextIO

import pandas as pd


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as `write_csv` writes it."""
    text = io.StringIO()
    write_csv(frame, text)
    return text.getvalue()


def write_csv(frame: pd.DataFrame, to: Path | TextIO, *, header: bool = True) -> None:
    """Write a table without its index, lines ended by a line feed.

    pandas leaves a carriage return in a text unquoted, and readers would take it for the end of a
    line: where there is one, all texts are quoted.
    """
    texts = [
        frame.iloc[:, i]
        for i, kind in enumerate(frame.dtypes)
        if not pd.api.types.is_numeric_dtype(kind)
    ]
    returns = any("\r" in str(name) for name in frame.columns) or any(
        column.astype(str).str.contains("\r", regex=False).any() for column in texts
    )
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    frame.to_csv(to, index=False, header=header, lineterminator="\n", quoting=quoting)
