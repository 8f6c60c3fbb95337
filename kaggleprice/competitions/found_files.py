"""Files never seen before: which is for training, testing, a sample; and whose they are."""

from __future__ import annotations

import csv
import re
import shlex
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kaggleprice.competitions.catalog import COMPETITIONS, DEFAULT_COMPETITION, FILE_NAME
from kaggleprice.competitions.csv_format import CsvFormat, find_format
from kaggleprice.core.errors import DataError, UsageError

SUFFIXES = (".csv", ".tsv")
# What runs and predictions write.
_OURS = ("submission.csv", "oof.csv", "folds.csv", "history.csv")
_LONGEST_LINE = 1 << 20
# Rows that are looked at; more of them seldom change a guess.
ROWS = 50_000


@dataclass(frozen=True)
class Files:
    """The files of a competition.

    Attributes:
        train: rows with the target.
        test: rows without; None where there is no such file.
        sample: a sample submission; None where there is none.
    """

    train: Path
    test: Path | None = None
    sample: Path | None = None


def find_files(paths: Sequence[Path]) -> Files:
    """Tell training, test and sample file from each other, by their names and their columns.

    Args:
        paths: one folder, or files.

    Raises:
        UsageError: where there is no training file among them, or two files may be it.
    """
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    found = sorted(folder.iterdir()) if folder else list(paths)
    if folder:
        found = [p for p in found if p.name.lower().endswith(SUFFIXES) and p.name not in _OURS]
    where = str(folder or ", ".join(map(str, paths)))
    headers = {path: frozenset(read_cells(path, find_format(path), 1).columns) for path in found}
    if not headers:
        raise UsageError(f"{where}: there are no tables ({', '.join(SUFFIXES)}).")
    samples = [p for p in headers if re.search("(?i)sample|submission", p.name)]
    rest = [path for path in headers if path not in samples]
    tests = [p for p in rest if re.search("(?i)test", p.name)] if len(rest) > 1 else []
    trains = [p for p in rest if p not in tests and re.search("(?i)train", p.name)]
    if not tests and len(rest) == 2:
        # The test file lacks the target.
        tests = [min(rest, key=lambda path: len(headers[path]))]
    trains = trains or [path for path in rest if path not in tests]
    if len(trains) != 1 or len(tests) > 1 or len(samples) > 1:
        names = ", ".join(path.name for path in headers)
        raise UsageError(
            f"{where}: which of {names} is the training file, and which the test file? "
            "Name them with --train and --test."
        )
    return Files(trains[0], next(iter(tests), None), next(iter(samples), None))


def competition_here() -> str:
    """Return the competition that a command means where none is named.

    Returns:
        `competition.toml` where the working folder has one, else the default competition.

    Raises:
        UsageError: where the working folder holds a training and a test file of another one.
    """
    if Path(FILE_NAME).is_file():
        return FILE_NAME
    try:
        files = find_files([Path()])
        header = list(read_cells(files.train, find_format(files.train), 1))
    except (DataError, UsageError):
        return DEFAULT_COMPETITION
    default = COMPETITIONS[DEFAULT_COMPETITION]
    if {default.id_column, *default.targets} <= set(header):
        return DEFAULT_COMPETITION
    named = f"{files.train} is" if files.test is None else f"{files.train} and {files.test} are"
    raise UsageError(
        f"{named} of a competition that is not known yet; describe it "
        "with `kaggleprice init`, or name another one with -c."
    )


def refuse_other_files(path: Path) -> None:
    """Refuse files that the user has, where they are none of the default competition.

    Args:
        path: a folder or a zip.

    Raises:
        UsageError: where there are tables, and none has the default competition's id and target.
    """
    default = COMPETITIONS[DEFAULT_COMPETITION]
    headers = [set(next(csv.reader([line]), [])) for line in _first_lines(path)]
    known = {str(default.id_column), *default.targets}
    if headers and not any(known <= header for header in headers):
        raise UsageError(
            f"{path} holds no training file of {default.name}, with the columns "
            f"{' and '.join(map(repr, sorted(known)))}; describe another competition with "
            f"`kaggleprice init {shlex.quote(str(path))}`, or name it with -c."
        )


def _first_lines(path: Path) -> Iterator[str]:
    """Yield the first line of each CSV in a folder or a zip; nothing for anything else."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.lower().endswith(".csv"):
                    with archive.open(name) as stream:
                        yield stream.readline(_LONGEST_LINE).decode("utf-8-sig", "replace")
    elif path.is_dir():
        for file in sorted(path.rglob("*.csv")):
            with file.open("rb") as stream:
                yield stream.readline(_LONGEST_LINE).decode("utf-8-sig", "replace")


def read_cells(path: Path, csv_format: CsvFormat, rows: int | None = ROWS) -> pd.DataFrame:
    """Read a table's first rows, or all, as text as it stands; an empty cell is an empty text.

    Raises:
        DataError: where it cannot be read.
    """
    try:
        frame = pd.read_csv(
            path,
            sep=csv_format.separator,
            encoding=csv_format.codec,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            nrows=rows,
        )
        return frame.set_axis([str(name) for name in frame], axis=1)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from None
