"""Sources: where a competition's data come from, and the data once read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaggleprice.competitions.catalog import COMPETITIONS, DEFAULT_COMPETITION, Competition, Kind
from kaggleprice.competitions.download import FetchedFile, locate
from kaggleprice.competitions.tables import Tables, read_tables
from kaggleprice.core.errors import UsageError
from kaggleprice.core.progress import SILENT, Progress


@dataclass(frozen=True)
class DatasetRef:
    """Where a competition's data come from.

    Attributes:
        competition: which one.
        data_dir: the data folder.
        verify: whether present files must have their recorded hashes.
        later_test: a file to predict in place of the competition's test file; None for that.
        group_column: one whose values are the groups of the training rows; None for no groups.
        demanded_kinds: those kinds of columns that a run must have been trained with; its own
            stand in for all others.
    """

    competition: Competition = COMPETITIONS[DEFAULT_COMPETITION]
    data_dir: Path = Path("data")
    verify: bool = True
    later_test: Path | None = None
    group_column: str | None = None
    demanded_kinds: Mapping[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A competition's data, read and checked.

    Attributes:
        files: the training and the test file, as found.
        tables: their content.
        later_test: a file that was read in place of the test file; None for that.
    """

    files: list[FetchedFile]
    tables: Tables
    later_test: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """Every file that was found or read."""
        later = [] if self.later_test is None else [self.later_test]
        return [*(file.path for file in self.files), *later]

    @property
    def record(self) -> dict[str, Any]:
        """What a run keeps of its data: each file's name, hash and number of rows."""
        rows = {"train": len(self.tables.train), "test": len(self.tables.test)}
        return {
            file.role: {"name": file.path.name, "sha256": file.sha256, "rows": rows[file.role]}
            for file in self.files
        }


def refuse_overwriting_inputs(data: Dataset, *outputs: Path) -> None:
    """Refuse to write over the data.

    Raises:
        UsageError: where an output is one of the competition's files.
    """
    inputs = {path.resolve() for path in data.paths}
    for output in outputs:
        if output.resolve() in inputs:
            raise UsageError(
                f"--output {output} is a data file of the competition and would be lost; "
                "name another file."
            )


def load(source: DatasetRef, progress: Progress = SILENT) -> Dataset:
    """Read a competition's data, fetching what is missing.

    Raises:
        NetworkError, ChecksumError, MissingFileError, DataError, OutputError: as
            `download.locate` and `tables.read_tables`.
    """
    files = locate(source.competition, source.data_dir, verify=source.verify, progress=progress)
    for file in files:
        known = "as recorded" if file.verified else "not verified"
        progress.detail(f"{file.path}: {file.bytes:,} bytes, SHA-256 {file.sha256}, {known}")
    paths = {file.role: file.path for file in files}
    test = source.later_test or paths.get("test")
    tables = read_tables(source.competition, paths["train"], test, progress, source.group_column)
    progress.detail(
        f"{len(tables.train)} training and {len(tables.test)} test rows, "
        f"{len(tables.train.numeric_columns)} numeric and "
        f"{len(tables.train.categorical_columns)} categorical columns"
    )
    return Dataset(files, tables, source.later_test)
