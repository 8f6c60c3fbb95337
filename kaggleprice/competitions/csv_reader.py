"""One CSV of any size, read chunk by chunk into compact columns; what is no CSV is refused."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions import columns
from kaggleprice.competitions.catalog import Competition
from kaggleprice.core.errors import DataError, MissingFileError
from kaggleprice.core.progress import BYTES, SILENT, Progress

_BUFFER = 1 << 20
_MARK = b"\xef\xbb\xbf"
# The types of the columns that pandas is not to find out: `str` or `category`.
_Kinds = dict[str, str]


def read_csv(
    path: Path, competition: Competition, progress: Progress = SILENT
) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    """Read one CSV.

    A column is numeric where all of its cells are numbers or missing, wherever a chunk ends.

    Args:
        path: the file.
        competition: says which column holds the ids, and what means "missing".
        progress: told of bytes.

    Returns:
        n rows of all other columns, numeric ones of the types that `columns.compact` gives,
        categorical ones as pandas categories; and the ids, texts of shape (n,), empty where
        missing; None where there is no such column.

    Raises:
        MissingFileError: where the file is not there.
        DataError: where it is not a CSV with a header and rows.
    """
    header = _read_header(path)
    repeated = sorted(name for name, times in Counter(header).items() if times > 1)
    if repeated:
        raise DataError(f"{path}: the column {repeated[0]!r} stands twice in the header.")
    try:
        with warnings.catch_warnings():
            # A row longer than the header loses its last cells with no more than a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            made = _read_columns(path, competition, progress)
    except (ValueError, pd.errors.ParserWarning) as error:
        raise DataError(f"{path} cannot be read as CSV: {_first_line(error)}.") from None
    if not made or not len(next(iter(made.values()))):
        raise DataError(f"{path} has a header but no rows; expected at least one row of data.")
    # Not in the frame, which has no texts of fixed width.
    ids = made.pop(competition.id_column, None)
    return columns.frame_of(made), ids


def read_shape(path: Path) -> tuple[int, int]:
    """Return a CSV's number of rows (without the header) and of columns.

    Raises:
        MissingFileError, DataError: where it is absent or not a CSV.
    """
    width = len(_read_header(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return sum(1 for row in csv.reader(file) if row) - 1, width
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {_first_line(error)}.") from None


def _read_header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {_first_line(error)}.") from None
    if header and header[0].lstrip().startswith("<"):
        raise DataError(
            f"{path} is an HTML or XML page, not a CSV: it begins with {header[0].strip()[:40]!r}; "
            "a sign-in page may have been saved in its place."
        )
    if not any(name.strip() for name in header):
        raise DataError(f"{path} is empty; expected a CSV with a header and rows.")
    return header


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _read_columns(path: Path, competition: Competition, progress: Progress) -> dict[str, Any]:
    """Read all columns. Text that begins late makes the file be read again from its start.

    A number that was read already does not tell how it was written: `007` is another text than
    `7`.
    """
    ids = competition.id_column
    kinds = {ids: "str"}
    while True:
        chunks: dict[str, list[Any]] = {}
        found: _Kinds = {}
        for number, chunk in enumerate(_chunks(path, competition, kinds, progress)):
            # Categories are much faster; late ones may look like numbers in an earlier chunk.
            found |= _new_kinds(chunk, kinds, "str" if number else "category")
            if found and number:
                # Nothing is kept; reading goes on to find all such columns at once.
                chunks.clear()
                continue
            if found:
                break
            for name, column in chunk.items():
                chunks.setdefault(str(name), []).append(_compacted(column, str(name) == ids))
        if not found:
            return columns.joined(chunks)
        kinds |= found


def _new_kinds(chunk: pd.DataFrame, kinds: _Kinds, kind_of_text: str) -> _Kinds:
    """Return the columns whose texts pandas did not keep as written, with the kind they need."""
    found = {}
    for name, column in chunk.items():
        kind = column.dtype
        if str(name) not in kinds and kind.kind not in "iuf":
            found[str(name)] = kind_of_text
        # Of texts that look like numbers or truth values pandas makes such categories.
        levels = kind.categories if isinstance(kind, pd.CategoricalDtype) else ()
        if not all(isinstance(level, str) for level in levels):
            found[str(name)] = "str"
    return found


def _compacted(column: pd.Series, is_id: bool) -> Any:
    if is_id:
        return columns.as_texts(column)
    numeric = column.dtype.kind in "iuf"
    return columns.compact(column.to_numpy()) if numeric else columns.as_levels(column)


def _chunks(
    path: Path, competition: Competition, kinds: _Kinds, progress: Progress
) -> Iterator[pd.DataFrame]:
    size = path.stat().st_size
    with path.open("rb", _BUFFER) as file:
        # Not the encoding `utf-8-sig`: its decoder is written in Python.
        marked = file.read(len(_MARK)) == _MARK
        file.seek(len(_MARK) if marked else 0)
        reader: Any = pd.read_csv(
            file,
            dtype=kinds,
            # Only the competition's own markers mean "missing": pandas would also take `None`,
            # which is a category of House Prices' MasVnrType.
            keep_default_na=False,
            na_values=["", *competition.missing_values],
            encoding="utf-8",
            low_memory=False,
            index_col=False,
            chunksize=columns.ROWS,
        )
        for chunk in reader:
            progress.advance("reading", file.tell(), size, path.name, BYTES)
            yield chunk
