"""A folder or a zip archive that the user names with `--from`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from kaggleprice.competitions.download.complaints import FROM_ARCHIVE, translated
from kaggleprice.competitions.download.content import Digests, Opener, copy, digest, open_binary
from kaggleprice.competitions.download.records import Origin, Wanted
from kaggleprice.core.errors import ChecksumError, DataError, MissingFileError
from kaggleprice.core.progress import BYTES, SILENT, Progress

_NAMED_IN_MESSAGES = 5


@dataclass(frozen=True)
class Entry:
    """One file in the source: `name` without folders, `label` for messages."""

    label: str
    name: str
    open: Opener


@dataclass(frozen=True)
class DatasetRef:
    """The files of a folder or archive, each read at most once to be recognised."""

    path: Path
    entries: tuple[Entry, ...]
    progress: Progress
    _digests: dict[Entry, Digests] = field(default_factory=dict)

    def origins(self, wanted: Wanted) -> Iterator[Origin]:
        """Yield the one entry that is the wanted file: by hash, or by name without a hash.

        Raises:
            ChecksumError: where only an entry with the right name but another hash is there.
            MissingFileError: where there is not even that.
            DataError: where an entry cannot be read.
        """
        entry = self._find(wanted)
        # Read to the end once, so that what fails in the copy itself is the writing.
        self._digest(entry)
        yield Origin(entry.label, "copied", partial(copy, entry.open, entry.name, self.progress))

    def _find(self, wanted: Wanted) -> Entry:
        named = [entry for entry in self.entries if entry.name == wanted.file.name]
        if not wanted.hashes and named:
            return named[0]
        if wanted.hashes:
            # The likely ones first: a downloads folder holds larger things than CSVs.
            for entry in sorted(self.entries, key=partial(_unlikeliness, wanted)):
                if not wanted.problem(self._digest(entry)):
                    return entry
        if named:
            problem = wanted.problem(self._digest(named[0]))
            raise ChecksumError(f"{named[0].label} is not the recorded {wanted}: {problem}.")
        raise MissingFileError(self._without(wanted))

    def _digest(self, entry: Entry) -> Digests:
        if entry not in self._digests:
            sentence = f"{entry.label} cannot be read"
            with translated(DataError, sentence, FROM_ARCHIVE), entry.open() as stream:
                tell = partial(self._tell, entry)
                self._digests[entry] = digest(stream, tell)
        return self._digests[entry]

    def _tell(self, entry: Entry, done: int) -> None:
        self.progress.advance("checking", done, None, entry.name, BYTES)

    def _without(self, wanted: Wanted) -> str:
        names = [entry.name for entry in self.entries]
        more = len(names) - _NAMED_IN_MESSAGES
        found = ", ".join(names[:_NAMED_IN_MESSAGES]) or "no file"
        algorithm, expected = next(iter(wanted.hashes.items()), ("the name", wanted.file.name))
        return (
            f"{self.path} does not hold {wanted}: looked for {algorithm} {expected}, "
            f"found {found}{f' and {more} more' if more > 0 else ''}."
        )


def _unlikeliness(wanted: Wanted, entry: Entry) -> tuple[bool, bool]:
    return entry.name != wanted.file.name, not entry.name.lower().endswith(".csv")


def open_source(path: Path, progress: Progress = SILENT) -> DatasetRef:
    """List the files of a folder and of the folders in it, or the members of a zip archive.

    Raises:
        MissingFileError: where there is no such path.
        DataError: where it is neither a folder nor a zip archive, or cannot be read.
    """
    with translated(DataError, f"{path} cannot be read", FROM_ARCHIVE):
        if not path.exists():
            raise MissingFileError(f"{path} is not there; expected a folder or a zip archive.")
        if path.is_dir():
            entries = _files(path)
        elif zipfile.is_zipfile(path):
            entries = _members(path)
        else:
            raise DataError(
                f"{path} is neither a folder nor a whole zip archive; name the folder that holds "
                "the files, or the zip as it was served."
            )
    return DatasetRef(path, tuple(entries), progress)


def _files(folder: Path) -> list[Entry]:
    found = [path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern))]
    return [
        Entry(str(path), path.name, partial(open_binary, path)) for path in found if path.is_file()
    ]


def _members(archive: Path) -> list[Entry]:
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
    # A member's name is only compared and shown: its content goes where the competition says.
    return [
        Entry(
            label=f"{member.filename} in {archive}",
            name=PurePosixPath(member.filename).name,
            open=partial(_open_member, archive, member),
        )
        for member in members
    ]


@contextmanager
def _open_member(archive: Path, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(archive) as opened, opened.open(member) as stream:
        yield stream
