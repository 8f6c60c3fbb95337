"""Where a file may come from on this computer: a folder, a zip archive, our own package."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar

from kaggleprice.competitions.download.content import (
    READ_ERRORS,
    Chunks,
    Digests,
    digest,
    read,
    reported,
    translated,
    write,
)
from kaggleprice.competitions.download.records import CompetitionFile, FetchSettings, Status
from kaggleprice.core.errors import ChecksumError, DataError, MissingFileError
from kaggleprice.core.progress import Progress

_NAMES_IN_MESSAGES = 5


@dataclass
class LocalFile:
    """A file, or a member of an archive, read at most once to be recognised.

    Attributes:
        label: its path, for messages.
        name: its name, without folders.
        size: bytes, unpacked; None where that is unknown.
        open: opens it for reading.
        settings: of these, the largest size.
        progress: told of bytes.
    """

    label: str
    name: str
    size: int | None
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    settings: FetchSettings
    progress: Progress
    status: ClassVar[Status] = "copied"

    @classmethod
    def at(cls, path: Path, settings: FetchSettings, progress: Progress) -> LocalFile:
        """Return the file at `path`."""
        size = path.stat().st_size
        return cls(str(path), path.name, size, lambda: path.open("rb"), settings, progress)

    @cached_property
    def digests(self) -> Digests:
        """Its digests.

        Raises:
            DataError: where it cannot be read.
        """
        return digest(self._chunks("checking"))

    def save(self, path: Path) -> None:
        """Write the content to `path`.

        Raises:
            DataError: where it cannot be read or is too large.
            OSError: where `path` cannot be written.
        """
        write(self._chunks("copying"), path, self.settings.max_bytes)

    def _chunks(self, stage: str) -> Chunks:
        chunks = read(self.open, self.label)
        return reported(chunks, self.progress, stage, self.name, self.size)


def find_by_hash(files: Iterable[LocalFile], wanted: CompetitionFile) -> LocalFile | None:
    """Return the first file that has the recorded hash; None where none is recorded, or has it.

    Raises:
        DataError: where a file cannot be read.
    """
    for file in files if wanted.hashes else ():
        if (file.size or 0) <= file.settings.max_bytes and not wanted.mismatch(file.digests):
            return file
    return None


def local_origins(
    path: Path, settings: FetchSettings, progress: Progress
) -> Callable[[CompetitionFile], list[LocalFile]]:
    """Return a function that finds a file in a folder and the folders in it, or in a zip archive.

    Raises:
        MissingFileError: where there is no such path; from the function, where a file is not there.
        ChecksumError: from the function, where only a file of that name with another hash is there.
        DataError: where it is neither a folder nor a zip archive, or cannot be read.
    """
    with translated(DataError, f"{path} cannot be read", READ_ERRORS):
        if not path.exists():
            raise MissingFileError(f"{path} is not there; expected a folder or a zip archive.")
        if path.is_dir():
            paths = [p for pattern in ("*", "*/*") for p in sorted(path.glob(pattern))]
            files = [LocalFile.at(p, settings, progress) for p in paths if p.is_file()]
        elif zipfile.is_zipfile(path):
            files = list(_members(path, settings, progress))
        else:
            raise DataError(
                f"{path} is neither a folder nor a whole zip archive; name the folder that holds "
                "the files, or the zip as it was served."
            )
    return lambda wanted: [_find(path, files, wanted)]


def _members(archive: Path, settings: FetchSettings, progress: Progress) -> Iterator[LocalFile]:
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
    for member in members:
        # Its name is only compared and shown: the content goes where the competition says.
        name = PurePosixPath(member.filename).name
        opener = partial(_open_member, archive, member)
        label = f"{member.filename} in {archive}"
        yield LocalFile(label, name, member.file_size, opener, settings, progress)


@contextmanager
def _open_member(archive: Path, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(archive) as opened, opened.open(member) as stream:
        yield stream


def _find(path: Path, files: Sequence[LocalFile], wanted: CompetitionFile) -> LocalFile:
    """Return the one of the files in `path` that is wanted: by hash or, without one, by name."""
    name = wanted.record.name
    # The likely ones first: a downloads folder holds larger things than CSVs.
    likely = sorted(files, key=lambda f: (f.name != name, not f.name.lower().endswith(".csv")))
    if found := find_by_hash(likely, wanted):
        return found
    if likely and likely[0].name == name:
        if not wanted.hashes:
            return likely[0]
        mismatch = wanted.mismatch(likely[0].digests)
        raise ChecksumError(f"{likely[0].label} is not the recorded {wanted}: {mismatch}.")
    names = [file.name for file in files]
    more = len(names) - _NAMES_IN_MESSAGES
    found_names = ", ".join(names[:_NAMES_IN_MESSAGES]) or "no file"
    algorithm, expected = next(iter(wanted.hashes.items()), ("the name", name))
    raise MissingFileError(
        f"{path} does not hold {wanted}: looked for {algorithm} {expected}, "
        f"found {found_names}{f' and {more} more' if more > 0 else ''}."
    )
