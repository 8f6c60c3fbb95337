"""The place where files lie: find them there, or put them there verified and whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import requests
from filelock import FileLock, Timeout

from kaggleprice.competitions.download.complaints import reason, translated
from kaggleprice.competitions.download.content import Digests, copy, digest_file, open_binary
from kaggleprice.competitions.download.records import (
    FetchedFile,
    FetchSettings,
    Origin,
    Origins,
    Wanted,
)
from kaggleprice.core.errors import (
    ChecksumError,
    DataError,
    KagglePriceError,
    MissingFileError,
    NetworkError,
    OutputError,
)
from kaggleprice.core.progress import Progress

# ValueError: what pooch makes of a Content-Length that is not a number.
_TRY_THE_NEXT = (requests.RequestException, ValueError, DataError, ChecksumError)


@dataclass(frozen=True)
class Cache:
    """A data folder, with a way to get what it lacks.

    Attributes:
        data_dir: the folder.
        settings: of these, how long to wait for another process.
        progress: told what happens, and of bytes.
        origins: where a file may come from, best first.
        replace: whether a present file with a wrong hash is replaced, or an error.
        verify: whether present files are held against the recorded hashes.
    """

    data_dir: Path
    settings: FetchSettings
    progress: Progress
    origins: Origins
    replace: bool
    verify: bool = True

    def get(self, wanted: Wanted) -> FetchedFile:
        """Return the file, from the cache or fetched into it.

        Raises:
            ChecksumError, NetworkError, MissingFileError, DataError, OutputError: as `fetch`
                and `locate` document them.
        """
        # Without the lock first, so that a cache that is complete may be read-only.
        with translated(DataError, f"{wanted.target} cannot be read"):
            found = self._present(wanted)
        if found:
            return found
        with translated(OutputError, f"cannot write {wanted.target}"), self._locked(wanted):
            return self._present(wanted) or self._fetch(wanted)

    def lacks(self, wanted: Wanted) -> bool:
        """Say whether the file is to be fetched.

        Raises:
            DataError: where a present file cannot be read.
        """
        with translated(DataError, f"{wanted.target} cannot be read"):
            return self._present(wanted) is None

    def _present(self, wanted: Wanted) -> FetchedFile | None:
        """Return the cached file; None where there is none, or one that is to be replaced."""
        path = wanted.target if wanted.target.is_file() else self._dropped(wanted)
        if path is None:
            return None
        digests = digest_file(path, self.progress)
        problem = wanted.problem(digests) if self.verify else None
        if problem is None:
            return wanted.result(path, digests, "cached", verified=self.verify)
        if self.replace:
            return None
        raise ChecksumError(
            f"{path} is not the recorded {wanted}: {problem}; run `{wanted.command}` to "
            "replace it (the old file is kept), or pass `--no-verify` to use it as it is."
        )

    def _dropped(self, wanted: Wanted) -> Path | None:
        """Find the file by its hash among the CSV files that lie straight in the data folder."""
        if not (wanted.hashes and self.data_dir.is_dir()):
            return None
        for path in sorted(self.data_dir.iterdir()):
            is_csv = path.suffix.lower() == ".csv" and path.is_file()
            if is_csv and not wanted.problem(digest_file(path)):
                return path
        return None

    def _fetch(self, wanted: Wanted) -> FetchedFile:
        """Place the file from the first origin that gives the right one; the lock is held."""
        old = self._report_wrong(wanted)
        part = wanted.target.with_name(f".{wanted.target.name}.part")
        failures: list[tuple[str, Exception]] = []
        try:
            for origin in self._all_origins(wanted, old):
                self.progress.notice(f"getting {wanted} from {origin.label}.")
                try:
                    origin.save(part)
                    result = wanted.result(
                        wanted.target, self._checked(wanted, part), origin.status
                    )
                except _TRY_THE_NEXT as error:
                    failures.append((origin.label, error))
                    self.progress.notice(f"{origin.label} did not give {wanted}: {reason(error)}.")
                else:
                    return replace(result, backup=self._place(part, wanted.target, old))
        finally:
            part.unlink(missing_ok=True)
        raise _failure(wanted, failures, old)

    def _report_wrong(self, wanted: Wanted) -> Digests | None:
        """Name files that look like the wanted one and are not; return the one to replace."""
        stray = self.data_dir / wanted.file.name
        for path in dict.fromkeys((wanted.target, stray)):
            if wanted.hashes and path.is_file():
                problem = wanted.problem(digest_file(path))
                self.progress.notice(f"{path} is not the recorded {wanted}: {problem}.")
        return digest_file(wanted.target) if wanted.target.is_file() else None

    def _all_origins(self, wanted: Wanted, old: Digests | None) -> Iterator[Origin]:
        # `_present` looks at dropped files only where nothing lies in the file's own place.
        if old and (path := self._dropped(wanted)):
            opener = partial(open_binary, path)
            yield Origin(str(path), "copied", partial(copy, opener, path.name, self.progress))
        yield from self.origins(wanted)

    def _place(self, part: Path, target: Path, old: Digests | None) -> Path | None:
        """Give a verified file its final name; return where the old one was put."""
        with part.open("r+b") as stream:
            os.fsync(stream.fileno())
        backup = target.with_name(f"{target.name}.{old.sha256[:8]}.bak") if old else None
        if backup:
            target.replace(backup)
            self.progress.notice(f"the old {target} is kept as {backup.name}.")
        part.replace(target)
        return backup

    def _checked(self, wanted: Wanted, path: Path) -> Digests:
        digests = digest_file(path, self.progress)
        if problem := wanted.problem(digests):
            raise ChecksumError(problem)
        return digests

    @contextmanager
    def _locked(self, wanted: Wanted) -> Iterator[None]:
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(wanted.target.with_name(f".{wanted.target.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.progress.notice(f"waiting for another process that is fetching {wanted}.")
            lock.acquire(timeout=self.settings.lock_timeout)
        try:
            yield
        finally:
            lock.release()


def _failure(
    wanted: Wanted, failures: Sequence[tuple[str, Exception]], old: Digests | None
) -> KagglePriceError:
    """Put into one sentence why no origin gave the file."""
    if not failures:
        found = "is not the recorded file" if old else "is missing"
        kind = ChecksumError if old else MissingFileError
        return kind(
            f"{wanted}: {wanted.target} {found} and there is no mirror to fetch it from; "
            f"{wanted.advice}."
        )
    reasons = "; ".join(f"{label}: {reason(error)}" for label, error in failures)
    message = f"{wanted} could not be fetched ({reasons}); {wanted.advice}."
    if any(isinstance(error, ChecksumError) for _, error in failures):
        return ChecksumError(message)
    if all(isinstance(error, DataError) for _, error in failures):
        return DataError(message)
    return NetworkError(message)
