"""Tables: a competition's CSVs, read exactly and checked against its record."""

from __future__ import annotations

import csv
import io
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions import large_csv
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.engineering import ENGINEERINGS
from kaggleprice.competitions.metrics import TARGET_TRANSFORMS
from kaggleprice.core.errors import DataError, MissingFileError
from kaggleprice.core.progress import BYTES, SILENT, Progress

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Of larger numbers the moments overflow.
_LARGEST = 1e100
_BLOCK = 1 << 20
# From this many bytes on a file is read block by block, into the smallest types.
LARGE = 1 << 24
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Table:
    """One CSV, taken apart. Row order is that of the file.

    Attributes:
        ids: shape (n,), the id column's text exactly as it stands in the file; objects, or of
            large files texts of a fixed width.
        features: n rows; float64 columns are numeric, `str` columns categorical; NaN is missing.
            Of large files numeric columns have the smallest type that holds them exactly (whole
            numbers overflow: make them float64 before arithmetic), and categorical ones are
            pandas categories.
        target: shape (n,), float64, in the target's own unit; None for a test file.
    """

    ids: NDArray[Any]
    features: pd.DataFrame
    target: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def known_target(self) -> NDArray[np.float64]:
        """The target of a training table, shape (n,), float64.

        Raises:
            DataError: for a table without a target.
        """
        if self.target is None:
            raise DataError("this table has no target; a training table is needed.")
        return self.target

    @property
    def numeric_columns(self) -> list[str]:
        """Names of the numeric columns, in the file's order."""
        return [str(name) for name, kind in self.features.dtypes.items() if kind.kind in "fi"]

    @property
    def categorical_columns(self) -> list[str]:
        """Names of the categorical columns, in the file's order."""
        numeric = set(self.numeric_columns)
        return [c for c in map(str, self.features) if c not in numeric]

    def engineered(self, competition: Competition) -> Table:
        """Return this table with the competition's own features added to its columns."""
        if competition.engineering is None:
            return self
        return replace(self, features=engineer(self.features, competition.engineering))


@dataclass(frozen=True)
class Tables:
    """A competition's training and test table, with the same feature columns in the same order."""

    train: Table
    test: Table

    def engineered(self, competition: Competition) -> Tables:
        """Return both tables with the competition's own features added to their columns."""
        return Tables(self.train.engineered(competition), self.test.engineered(competition))


def engineer(features: pd.DataFrame, engineering: str) -> pd.DataFrame:
    """Return n rows of features with those of an entry of `ENGINEERINGS` added."""
    add = ENGINEERINGS[engineering].load()
    if any(isinstance(kind, pd.CategoricalDtype) or kind.kind == "i" for kind in features.dtypes):
        return large_csv.add_columns(features, add)
    widened: pd.DataFrame = add(features)
    return widened


def read_tables(
    competition: Competition, train: Path, test: Path, progress: Progress = SILENT
) -> Tables:
    """Read both CSVs of a competition and check them against its record and each other.

    Args:
        competition: says what the columns are.
        train: a CSV.
        test: another one.
        progress: told of bytes.

    Raises:
        MissingFileError: where a file is not there.
        DataError: where a file is not a CSV or its content is not what the competition says;
            the message names the file, the column and what was found.
    """
    large = any(path.is_file() and path.stat().st_size >= LARGE for path in (train, test))
    train_frame, train_ids = _read_csv(train, competition, large, progress)
    test_frame, test_ids = _read_csv(test, competition, large, progress)
    target = _take_target(train_frame, train_ids, competition, train)
    _check_same_columns(train_frame, test_frame, competition, train, test)
    if list(test_frame) != list(train_frame):
        test_frame = test_frame[train_frame.columns]
    _settle_kinds(train_frame, test_frame, train, test, large)
    return Tables(Table(train_ids, train_frame, target), Table(test_ids, test_frame))


def read_shape(path: Path) -> tuple[int, int]:
    """Return a CSV's number of rows (without the header) and of columns.

    Raises:
        MissingFileError, DataError: where it is absent or not a CSV.
    """
    columns = len(_read_header(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return sum(1 for row in csv.reader(file) if row) - 1, columns
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {_first_line(error)}.") from None


def _read_csv(
    path: Path, competition: Competition, large: bool, progress: Progress
) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Return a file's columns, and apart from them its ids."""
    header = _read_header(path)
    repeated = sorted(name for name, times in Counter(header).items() if times > 1)
    if repeated:
        raise DataError(f"{path}: the column {repeated[0]!r} stands twice in the header.")
    try:
        with warnings.catch_warnings():
            # A row longer than the header loses its last cells with no more than a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            read = (_parse_blocks if large else _parse)(path, competition, progress)
    except (ValueError, pd.errors.ParserWarning) as error:
        raise DataError(f"{path} cannot be read as CSV: {_first_line(error)}.") from None
    frame, ids = read
    if not len(frame) and (ids is None or not len(ids)):
        raise DataError(f"{path} has a header but no rows; expected at least one row of data.")
    return frame, _check_ids(ids, list(map(str, frame)), competition, path)


class _Watched(io.FileIO):
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


# Columns, and the ids: texts, empty where missing; None where there is no such column.
_Read = tuple[pd.DataFrame, NDArray[Any] | None]


def _parse(path: Path, competition: Competition, progress: Progress) -> _Read:
    frame = next(_parsed(path, competition, {}, None, progress))
    truths = [str(name) for name in frame if _holds_truths(frame[name])]
    if truths:
        # `TRUE` is a text like any other: as a truth value it would become `True`, but only where
        # no other text stands in the column.
        frame = next(_parsed(path, competition, dict.fromkeys(truths, "str"), None, progress))
    if competition.id_column not in frame:
        return frame, None
    return frame, frame.pop(competition.id_column).fillna("").to_numpy(dtype=object)


def _parse_blocks(path: Path, competition: Competition, progress: Progress) -> _Read:
    def opener(kinds: large_csv.Kinds) -> Iterator[pd.DataFrame]:
        return _parsed(path, competition, kinds, large_csv.ROWS, progress)

    return large_csv.read_blocks(opener, competition.id_column, _most_rows(path))


def _parsed(
    path: Path,
    competition: Competition,
    kinds: large_csv.Kinds,
    rows: int | None,
    progress: Progress,
) -> Iterator[pd.DataFrame]:
    """Give a file's rows in blocks of so many rows, or all in one."""
    with io.BufferedReader(_Watched(path, progress), _BLOCK) as file:
        # Not the encoding `utf-8-sig`: its decoder is written in Python.
        file.seek(len(_MARK) if file.peek(len(_MARK)).startswith(_MARK) else 0)
        read: Any = pd.read_csv(
            file,
            dtype={competition.id_column: "str", **kinds},
            # Only the competition's own markers mean "missing": pandas would also take `None`,
            # which is a category of House Prices' MasVnrType.
            keep_default_na=False,
            na_values=["", *competition.missing_values],
            encoding="utf-8",
            low_memory=False,
            index_col=False,
            chunksize=rows,
        )
        if rows is None:
            yield read
        else:
            yield from read


def _most_rows(path: Path) -> int:
    """Return a number of rows that a CSV does not exceed: a record has a line, or several."""
    ends = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            ends += block.count(b"\n") + block.count(b"\r")
    return ends + 1


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


def _check_ids(
    ids: NDArray[Any] | None, others: Sequence[str], competition: Competition, path: Path
) -> NDArray[Any]:
    column = competition.id_column
    if ids is None:
        raise DataError(f"{path}: the id column {column!r} is missing; found {_some(others)}.")
    missing = pd.Series(ids == "")
    if missing.any():
        raise DataError(f"{path}: the id column {column!r} is empty in {_rows(missing)}.")
    repeated = pd.Series(ids).duplicated().to_numpy()
    if repeated.any():
        twice = str(ids[repeated][0])
        where = _rows(pd.Series(ids == twice))
        raise DataError(f"{path}: the id {twice!r} in column {column!r} stands twice, in {where}.")
    return ids


def _take_target(
    frame: pd.DataFrame, ids: NDArray[Any], competition: Competition, path: Path
) -> NDArray[np.float64]:
    column = competition.target_column
    if column not in frame:
        raise DataError(
            f"{path}: the target column {column!r} is missing; found {_some(list(frame.columns))}."
        )
    written = frame.pop(column)
    if isinstance(written.dtype, pd.CategoricalDtype):
        written = written.astype(object)
    target = pd.to_numeric(written, errors="coerce").to_numpy(dtype=np.float64)
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    wrong = ~transform.accepts(target)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        found = "nothing" if pd.isna(written.iloc[row]) else repr(str(written.iloc[row]))
        raise DataError(
            f"{path}: the target {column!r} must be {transform.domain} in every row; "
            f"found {found} for {competition.id_column} {ids[row]} "
            f"({int(wrong.sum())} such row{'s' if wrong.sum() > 1 else ''})."
        )
    return target


def _check_same_columns(
    train_frame: pd.DataFrame,
    test_frame: pd.DataFrame,
    competition: Competition,
    train: Path,
    test: Path,
) -> None:
    if competition.target_column in test_frame:
        raise DataError(
            f"{test}: the target column {competition.target_column!r} must not stand in the test "
            "file; is it the training file?"
        )
    only_train = [c for c in map(str, train_frame) if c not in test_frame]
    only_test = [c for c in map(str, test_frame) if c not in train_frame]
    if only_train or only_test:
        parts = [f"{_some(only_train)} only in {train}"] if only_train else []
        parts += [f"{_some(only_test)} only in {test}"] if only_test else []
        raise DataError(f"the two files have different columns: {'; '.join(parts)}.")
    if not len(train_frame.columns):
        raise DataError(f"{train}: there are no feature columns beside the id and the target.")


def _settle_kinds(
    train_frame: pd.DataFrame, test_frame: pd.DataFrame, train: Path, test: Path, large: bool
) -> None:
    """Make each column float64 or `str` in both frames, or compact in both; in place."""
    for column in train_frame.columns:
        parts = [(train_frame, train), (test_frame, test)]
        texts = [_is_text(frame[column]) for frame, _ in parts]
        if any(texts):
            for (frame, path), text in zip(parts, texts, strict=True):
                if not text and frame[column].notna().any():
                    raise DataError(_mixed_kinds(column, parts, texts, path))
                if not large:
                    frame[column] = frame[column].astype("str").where(frame[column].notna())
            if large:
                shared = large_csv.share_levels(train_frame[column], test_frame[column])
                train_frame[column], test_frame[column] = shared
        else:
            for frame, path in parts:
                if not large:
                    frame[column] = frame[column].astype(np.float64)
                _check_finite(frame[column], path)


def _holds_truths(column: pd.Series) -> bool:
    plain = column.dtype in (bool, object)
    return plain and pd.api.types.infer_dtype(column) == "boolean"


def _is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def _mixed_kinds(
    column: str,
    parts: Sequence[tuple[pd.DataFrame, Path]],
    texts: Sequence[bool],
    numbers_in: Path,
) -> str:
    frame, path = parts[texts.index(True)]
    values = frame[column].dropna().astype(str)
    odd = values[pd.to_numeric(values, errors="coerce").isna()]
    # Whole numbers of more than 64 bits are text to pandas, too.
    example = str(odd.iloc[0]) if len(odd) else max(values, key=len)
    return (
        f"the column {column!r} is text in {path} (for example {example!r}) "
        f"and numbers in {numbers_in}; expected one kind in both files."
    )


def _check_finite(column: pd.Series, path: Path) -> None:
    if column.dtype.kind == "i":
        return
    infinite = np.abs(column.to_numpy(dtype=np.float64)) > _LARGEST
    if infinite.any():
        raise DataError(
            f"{path}: the column {column.name!r} is infinite in {_rows(pd.Series(infinite))}; "
            f"expected numbers up to {_LARGEST:g} or missing values."
        )


def _rows(mask: pd.Series) -> str:
    """Name the first rows of a mask by their number in the file (the header is line 1)."""
    rows = [str(i + 2) for i in np.flatnonzero(mask.to_numpy())]
    return f"line{'s' if len(rows) > 1 else ''} {_some(rows, quote=False)}"


def _some(names: Sequence[str], *, most: int = 5, quote: bool = True) -> str:
    shown = ", ".join(repr(n) if quote else n for n in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
