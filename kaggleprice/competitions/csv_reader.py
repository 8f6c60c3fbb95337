"""One CSV of any size, read chunk by chunk into compact columns; what is no CSV is refused."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions import columns
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.csv_format import CsvFormat
from kaggleprice.core.errors import DataError, MissingFileError
from kaggleprice.core.large_arrays import Arena, memory
from kaggleprice.core.progress import BYTES, SILENT, Progress

_BUFFER = 1 << 20
# The columns of a file of this part of the memory, or more, are kept in files while it is read.
_LARGE = 1 / 8
_MARK = b"\xef\xbb\xbf"


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
    repeated = [name for name, times in Counter(header).items() if times > 1]
    for name in repeated:
        if name in (competition.id_column, *competition.targets):
            raise DataError(f"{path}: the column {name!r} stands twice in the header.")
        progress.notice(f"{path}: columns of the same name {name!r} are told apart by number.")
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
    """Read all columns.

    pandas finds out chunk by chunk what a column holds. Where that is text in one chunk and
    numbers in another, or truth values, the file is read again with the column as text: what was
    read does not tell how it was written. `007` is another text than `7`.
    """
    ids = competition.id_column
    as_text = {*competition.text_columns, *({ids} if ids is not None else ())}
    arena = Arena() if path.stat().st_size > _LARGE * memory() else None
    while True:
        chunks: dict[str, list[Any]] = {}
        kinds: dict[str, set[str]] = {}
        mixed: set[str] = set()
        for number, chunk in enumerate(_chunks(path, competition, as_text, progress)):
            for name, column in chunk.items():
                kind, part = _compacted(column) if name != ids else ("", columns.as_texts(column))
                if arena is not None:
                    part = _kept(arena, part)
                chunks.setdefault(str(name), []).append(part)
                kinds.setdefault(str(name), set()).add(kind)
            mixed = {n for n, found in kinds.items() if "other" in found or len(found - {""}) > 1}
            if mixed and not number:
                break
            if mixed:
                # Nothing is kept; reading goes on to find all such columns at once.
                chunks.clear()
        if not mixed:
            return columns.joined(chunks, arena)
        as_text |= mixed


def _compacted(column: pd.Series) -> tuple[str, Any]:
    """Return what a chunk of a column holds, and it in less room.

    It is "number", "text", "other" for truth values, or nothing where all rows are missing.
    """
    if column.dtype.kind in "iuf":
        empty = column.dtype.kind == "f" and column.isna().all()
        return "" if empty else "number", columns.compact(column.to_numpy())
    part = columns.Levels.of(column)
    if not part.levels:
        return "", part
    return "text" if all(isinstance(n, str) for n in part.levels) else "other", part


def _kept(arena: Arena, part: Any) -> Any:
    if isinstance(part, columns.Levels):
        return replace(part, codes=arena.keep(part.codes))
    return arena.keep(part)


def _chunks(
    path: Path, competition: Competition, as_text: set[str], progress: Progress
) -> Iterator[pd.DataFrame]:
    size = path.stat().st_size
    how: dict[str, Any] = {
        "encoding": competition.csv_format.encoding,
        "sep": competition.csv_format.separator,
        "decimal": competition.csv_format.decimal,
    }
    missing: Any = ["", *competition.missing_values]
    if own := competition.missing_values_of:
        # By the names that pandas gives to columns of the same one, and of none.
        header = {**how, "encoding": competition.csv_format.codec}
        names = pd.read_csv(path, nrows=0, index_col=False, **header).columns
        missing = {name: ["", *own[name]] if name in own else missing for name in names}
    with path.open("rb", _BUFFER) as file:
        # Not the encoding `utf-8-sig`: its decoder is written in Python.
        marked = file.read(len(_MARK)) == _MARK
        file.seek(len(_MARK) if marked else 0)
        reader: Any = pd.read_csv(
            file,
            dtype=dict.fromkeys(as_text, "str"),
            # Only the competition's own markers mean "missing": pandas would also take `None`,
            # which is a category of House Prices' MasVnrType.
            keep_default_na=False,
            na_values=missing,
            low_memory=False,
            index_col=False,
            **how,
            chunksize=columns.ROWS,
        )
        for chunk in reader:
            progress.advance("reading", file.tell(), size, path.name, BYTES)
            yield chunk
