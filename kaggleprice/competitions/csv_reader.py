"""One CSV of any size, read chunk by chunk into compact columns; what is no CSV is refused."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions import columns
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.csv_format import CsvFormat
from kaggleprice.core.errors import DataError, MissingFileError
from kaggleprice.core.progress import BYTES, SILENT, Progress

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BUFFER = 1 << 20
_MARK = b"\xef\xbb\xbf"
# The types of the columns that pandas is not to find out: `str`, or `category`, which is much
# faster.
_Kinds = dict[str, str]


def read_csv(
    path: Path, competition: Competition, progress: Progress = SILENT
) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    """Read one CSV.

    A column is numeric where all of its cells are numbers or missing, wherever a chunk ends. Of two
    columns of one name `a` the second is `a.1`.

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
    header = _read_header(path, competition.csv_format)
    for name in (competition.id_column, competition.target_column):
        if header.count(str(name)) > 1:
            raise DataError(f"{path}: the column {name!r} stands twice in the header.")
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
    ids = made.pop(competition.id_column, None) if competition.id_column else None
    return columns.frame_of(made), ids


def read_shape(path: Path, how: CsvFormat | None = None) -> tuple[int, int]:
    """Return a CSV's number of rows (without the header) and of columns.

    Args:
        path: the file.
        how: it is written; None for a plain CSV.

    Raises:
        MissingFileError, DataError: where it is absent or not a CSV.
    """
    how = how or CsvFormat()
    width = len(_read_header(path, how))
    try:
        with path.open(encoding=how.codec, newline="") as file:
            rows = csv.reader(file, delimiter=how.separator)
            return sum(1 for row in rows if row) - 1, width
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {_first_line(error)}.") from None


def _read_header(path: Path, how: CsvFormat) -> list[str]:
    try:
        with path.open(encoding=how.codec, newline="") as file:
            header = next(csv.reader(file, delimiter=how.separator), [])
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
    capacity, ids = _most_rows(path), competition.id_column
    kinds = dict.fromkeys(competition.text_columns, "category")
    if ids is not None:
        kinds[ids] = "str"
    for first in _chunks(path, competition, kinds, progress):
        # Truth values are texts whose writing matters.
        kinds |= {n: "str" if _is_bool(first[n]) else "category" for n in _new_texts(first, kinds)}
        break
    while True:
        made: dict[str, columns.NumberColumn | columns.LevelColumn | columns.TextColumn] = {}
        late: _Kinds = {}
        for chunk in _chunks(path, competition, kinds, progress):
            late |= dict.fromkeys(_new_texts(chunk, kinds), "str")
            late |= {n: "str" for n in kinds if n in chunk and _is_rewritten(chunk[n])}
            if late:
                # Nothing is kept; reading goes on to find all such columns at once.
                made.clear()
                continue
            for name in map(str, chunk):
                if name not in made:
                    text = columns.TextColumn if name == ids else columns.LevelColumn
                    made[name] = (text if name in kinds else columns.NumberColumn)(capacity)
                made[name].append(chunk[name])
        if not late:
            return {name: column.finish() for name, column in made.items()}
        kinds |= late


def _new_texts(chunk: pd.DataFrame, kinds: Iterable[str]) -> list[str]:
    """Return the columns that hold text, but are not read as such."""
    return [
        str(name)
        for name, kind in chunk.dtypes.items()
        if str(name) not in kinds
        and (pd.api.types.is_bool_dtype(kind) or not pd.api.types.is_numeric_dtype(kind))
    ]


def _is_bool(column: pd.Series) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) == "boolean"


def _is_rewritten(column: pd.Series) -> bool:
    """Whether pandas made numbers or truth values of the texts of a categorical column."""
    kind = column.dtype
    if not isinstance(kind, pd.CategoricalDtype):
        return False
    return not all(isinstance(level, str) for level in kind.categories)


def _chunks(
    path: Path, competition: Competition, kinds: _Kinds, progress: Progress
) -> Iterator[pd.DataFrame]:
    with io.BufferedReader(_WatchedFile(path, progress), _BUFFER) as file:
        # Not the encoding `utf-8-sig`: its decoder is written in Python.
        file.seek(len(_MARK) if file.peek(len(_MARK)).startswith(_MARK) else 0)
        reader: Any = pd.read_csv(
            file,
            dtype=kinds,
            # Only the competition's own markers mean "missing": pandas would also take `None`,
            # which is a category of House Prices' MasVnrType.
            keep_default_na=False,
            na_values=["", *competition.missing_values],
            encoding=competition.csv_format.encoding,
            sep=competition.csv_format.separator,
            decimal=competition.csv_format.decimal,
            low_memory=False,
            index_col=False,
            chunksize=columns.ROWS,
        )
        yield from reader


class _WatchedFile(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path)
        self._path, self._progress, self._done = path, progress, 0
        self._size = path.stat().st_size

    def readinto(self, buffer: Buffer) -> int | None:
        """Read, and tell."""
        read = super().readinto(buffer)
        self._done += read or 0
        self._progress.advance("reading", self._done, self._size, self._path.name, BYTES)
        return read


def _most_rows(path: Path) -> int:
    """Return a number of rows that a CSV does not exceed: a record has a line, or several."""
    ends = 0
    with path.open("rb") as file:
        while chunk := file.read(_BUFFER):
            ends += chunk.count(b"\n") + chunk.count(b"\r")
    return ends + 1
