"""Packed tables made plain: archives, compressed files and Parquet become CSVs."""

from __future__ import annotations

import gzip
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from kaggleprice.competitions.csv_writer import write_csv
from kaggleprice.core.errors import DataError, MissingFileError
from kaggleprice.core.files import replacing

_TABLES = (".csv", ".tsv", ".txt")
# Rows of a Parquet file that are held in memory.
_ROWS = 1 << 16
# Whole numbers stay so where some are missing: `1` is another category than `1.0`.
_WHOLE = {
    name.lower(): pd.api.types.pandas_dtype(name)
    for name in (f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
}
_PACKED = (".zip", ".gz", ".parquet")
# Above this a member is refused: an archive of a few kB can hold any amount of zeros.
_MOST_BYTES = 10 * 10**9


def unpack(
    paths: Sequence[Path], told: Callable[[str], None], into: Path | None = None
) -> list[Path]:
    """Return folders and plain tables, having written the CSVs of what is packed.

    A CSV that is there already is kept. Members of archives lose their folders, and so never leave
    that which they are written to.

    Args:
        paths: one folder, or files.
        told: called with a sentence on each file that was written.
        into: the folder that packed files are unpacked to; None for their own, as it is for those
            that lie in a named folder.

    Raises:
        MissingFileError: where a path is not there.
        DataError: where a file cannot be read; where a file is kept that is not the archive's.
        OutputError: where a CSV cannot be written.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            if len(paths) > 1:
                raise DataError(f"{path} is a folder; expected one folder, or files.")
            for packed in sorted(p for p in path.iterdir() if p.suffix in _PACKED):
                list(_unpack(packed, told, None))
            found.append(path)
        elif not path.exists():
            raise MissingFileError(f"{path} does not exist.")
        elif path.suffix in _PACKED:
            found += _unpack(path, told, into)
        else:
            found.append(path)
    return found


def _unpack(
    path: Path, told: Callable[[str], None], into: Path | None, nested: bool = True
) -> Iterator[Path]:
    beside = (into or path.parent) / path.name
    try:
        if path.suffix == ".zip":
            yield from _unpack_archive(path, told, into, nested)
        elif path.suffix == ".parquet":
            yield from _write(beside.with_suffix(".csv"), told, lambda to: _convert(path, to))
        elif path.suffix == ".gz":
            plain = beside.with_suffix("")
            if plain.suffix in _TABLES:
                yield from _write(plain, told, lambda to: _inflate(path, to))
    except (OSError, EOFError, zipfile.BadZipFile, ValueError, ImportError, RuntimeError) as error:
        raise DataError(f"{path} cannot be unpacked: {error}.") from None


def _unpack_archive(
    path: Path, told: Callable[[str], None], into: Path | None, nested: bool
) -> Iterator[Path]:
    """Write the tables of an archive, and those packed once more where it may be nested."""
    wanted = (*_TABLES, *_PACKED) if nested else _TABLES
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = Path(member.filename.replace("\\", "/")).name
            if not name.lower().endswith(wanted) or name.startswith("."):
                continue
            if member.file_size > _MOST_BYTES:
                raise DataError(f"{path}: {name} is larger than {_MOST_BYTES:,} bytes.")

            def extract(to: Path, member: zipfile.ZipInfo = member) -> None:
                with archive.open(member) as source, to.open("wb") as target:
                    shutil.copyfileobj(source, target)

            place = (into or path.parent) / name
            if into is not None and place.exists() and _crc(place) != member.CRC:
                raise DataError(
                    f"{place} is there already, and is not the {name} of {path}; name another "
                    "folder with --into."
                )
            for written in _write(place, told, extract):
                if written.suffix.lower() in _PACKED:
                    yield from _unpack(written, told, into, nested=False)
                else:
                    yield written


def _crc(path: Path) -> int:
    """Return the checksum of a file, as archives have it."""
    found = 0
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            found = zlib.crc32(chunk, found)
    return found


def _write(path: Path, told: Callable[[str], None], make: Callable[[Path], None]) -> Iterator[Path]:
    if not path.exists():
        with replacing(path) as beside:
            make(beside)
        told(f"unpacked {path}")
    yield path


def _inflate(path: Path, to: Path) -> None:
    try:
        with gzip.open(path, "rb") as source, to.open("wb") as target:
            while chunk := source.read(1 << 20):
                if target.tell() + len(chunk) > _MOST_BYTES:
                    raise DataError(f"{path} unpacks to more than {_MOST_BYTES:,} bytes.")
                target.write(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked: {error}.") from None


def _convert(path: Path, to: Path) -> None:
    """Write a Parquet file as a CSV, some rows at a time."""
    parquet: Any = import_module("pyarrow.parquet")
    with parquet.ParquetFile(path) as file, to.open("w", encoding="utf-8", newline="") as stream:
        write_csv(file.schema_arrow.empty_table().to_pandas(), stream)
        for batch in file.iter_batches(_ROWS):
            rows = batch.to_pandas(types_mapper=lambda kind: _WHOLE.get(str(kind)))
            write_csv(rows, stream, header=False)
