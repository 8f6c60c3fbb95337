"""The data folder: find a file there, or put it there verified and whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path

import pooch
from filelock import Timeout

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.download.content import Digests, reason, translated
from kaggleprice.competitions.download.local_files import LocalFile, find_by_hash, local_origins
from kaggleprice.competitions.download.mirrors import NETWORK_ERRORS, Mirror, mirror_origins
from kaggleprice.competitions.download.records import (
    DEFAULT_SETTINGS,
    CompetitionFile,
    FetchedFile,
    FetchSettings,
    competition_files,
)
from kaggleprice.core.errors import (
    ChecksumError,
    DataError,
    KagglePriceError,
    MissingFileError,
    NetworkError,
    OutputError,
)
from kaggleprice.core.progress import SILENT, Progress

Origin = LocalFile | Mirror
Origins = Callable[[CompetitionFile], Iterable[Origin]]

# ValueError: an address that is none; or, from pooch, a file that changed while it was checked.
_TRY_THE_NEXT = (*NETWORK_ERRORS, ValueError, DataError, NetworkError)
# pooch logs what our progress reports already.
pooch.get_logger().setLevel("WARNING")


def fetch(
    competition: Competition,
    data_dir: Path,
    *,
    source: Path | None = None,
    replace: bool = True,
    verify: bool = True,
    settings: FetchSettings = DEFAULT_SETTINGS,
    progress: Progress = SILENT,
) -> list[FetchedFile]:
    """Make sure that both files are there and right.

    Args:
        competition: whose files.
        data_dir: the cache; files go to `<data_dir>/<competition>/`.
        source: a folder or a zip archive to take the files from, instead of the mirrors.
        replace: whether a present file with a wrong hash is replaced, or an error.
        verify: whether present files must have the recorded hashes; fetched ones always must.
        settings: limits: times, attempts, size.
        progress: told what happens, and of bytes.

    Returns:
        The training file and the test file.

    Raises:
        NetworkError: where no mirror gave a file.
        ChecksumError: where a present file, or all that could be had, has another hash than the
            recorded one.
        MissingFileError: where `source` is not there or lacks a file, or there is no mirror.
        DataError: where `source`, or a file in the cache, cannot be read; where all that could be
            had is too large or, without a recorded hash, no table of this competition.
        OutputError: where a file cannot be written.
    """
    origins: Origins = partial(mirror_origins, settings=settings, progress=progress)
    if source is not None:
        origins = local_origins(source, settings, progress)
    cache = _Cache(data_dir, settings, progress, origins, replace, verify)
    files = [cache.get(file) for file in competition_files(competition, data_dir)]
    for found in files:
        if source is not None and found.status == "cached" and not found.verified:
            progress.notice(
                f"{found.path} was there already and is kept, since no hash is recorded that "
                f"could tell it from the one in {source}; move it away to take that one."
            )
    return files


# What every command but `download` does: fetch what is missing, never replace a user's file.
locate = partial(fetch, replace=False)


def absent(competition: Competition, data_dir: Path) -> list[Path]:
    """Return where files would be put that are still to be fetched; fetches nothing.

    Raises:
        DataError: where a present file cannot be read.
    """
    cache = _Cache(data_dir, DEFAULT_SETTINGS, SILENT, lambda _: [], replace=False, verify=False)
    return [f.path for f in competition_files(competition, data_dir) if cache.find(f) is None]


@dataclass(frozen=True)
class _Cache:
    """A data folder, where its files may come from, and how `fetch` was told to treat them."""

    data_dir: Path
    settings: FetchSettings
    progress: Progress
    origins: Origins
    replace: bool
    verify: bool

    def get(self, file: CompetitionFile) -> FetchedFile:
        """Return the file, from the cache or fetched into it; errors are those of `fetch`."""
        # Without the lock first, so that a cache that is complete may be read-only.
        if found := self.find(file):
            if file.staging.exists():
                # Left by a killed download: the lock of a live one is not free. OSError: the
                # folder is read-only; Timeout is one, too.
                with suppress(OSError), file.lock.acquire(timeout=0):
                    shutil.rmtree(file.staging)
            return found
        if file.record.path and not file.path.exists() and not [*self.origins(file)]:
            # Nothing is made where a description names a wrong path.
            raise _failure(file, [], None)
        with translated(OutputError, f"cannot write {file.path}"), self._locked(file):
            return self.find(file) or self._fetch(file)

    def find(self, file: CompetitionFile) -> FetchedFile | None:
        """Return the cached file; None where there is none, or one that is to be replaced."""
        with translated(DataError, f"{file.path} cannot be read"):
            path = file.path if file.path.is_file() else self._find_by_hash(file)
            if path is None:
                return None
            digests = self._digests(path, self.progress)
        mismatch = file.mismatch(digests) if self.verify else None
        if mismatch is None:
            return file.result(path, digests, "cached", verified=self.verify)
        if self.replace:
            return None
        cure = f"run `{file.command}`" if file.record.mirrors else file.advice
        raise ChecksumError(
            f"{path} is not the recorded {file}: {mismatch}; {cure} to replace it (the old file is "
            "kept), or pass `--no-verify` to use it as it is, but not with a run that was trained "
            "on another one."
        )

    def _digests(self, path: Path, progress: Progress = SILENT) -> Digests:
        return LocalFile.at(path, self.settings, progress).digests

    def _find_by_hash(self, file: CompetitionFile) -> Path | None:
        """Return which of the CSV files straight in the data folder is this one, if any."""
        if not (file.hashes and self.data_dir.is_dir()):
            return None
        paths = [p for p in sorted(self.data_dir.iterdir()) if p.suffix.lower() == ".csv"]
        files = (LocalFile.at(p, self.settings, SILENT) for p in paths if p.is_file())
        found = find_by_hash(files, file)
        return None if found is None else Path(found.label)

    def _fetch(self, file: CompetitionFile) -> FetchedFile:
        """Place the file from the first origin that gives the right one; the lock is held."""
        old = self._report_wrong(file)
        failures: list[tuple[str, Exception]] = []
        with ExitStack() as stack:
            # The lock is held: what is there was left behind.
            shutil.rmtree(file.staging, ignore_errors=True)
            file.staging.mkdir()
            stack.callback(shutil.rmtree, file.staging, ignore_errors=True)
            for origin in self._all_origins(file, old):
                self.progress.notice(f"getting {file} from {origin.label}.")
                try:
                    saved, digests = self._save(origin, file)
                except _TRY_THE_NEXT as error:
                    failures.append((origin.label, error))
                    self.progress.notice(f"{origin.label} did not give {file}: {reason(error)}.")
                else:
                    result = file.result(file.path, digests, origin.status)
                    return with_fields(result, backup=self._place(saved, file.path, old))
        raise _failure(file, failures, old)

    def _report_wrong(self, file: CompetitionFile) -> Digests | None:
        """Name files that look like this one and are not; return the one to replace."""
        for path in dict.fromkeys((file.path, self.data_dir / file.record.name)):
            if file.hashes and path.is_file():
                mismatch = file.mismatch(self._digests(path))
                self.progress.notice(f"{path} is not the recorded {file}: {mismatch}.")
        return self._digests(file.path) if file.path.is_file() else None

    def _all_origins(self, file: CompetitionFile, old: Digests | None) -> Iterator[Origin]:
        # With a wrong file in its place `find` has not looked at the rest of the data folder.
        if old and (path := self._find_by_hash(file)):
            yield LocalFile.at(path, self.settings, self.progress)
        yield from self.origins(file)

    def _save(self, origin: Origin, file: CompetitionFile) -> tuple[Path, Digests]:
        """Save what an origin gives in the staging folder, verified.

        pooch writes a temporary file, holds it against a recorded hash and renames it. Before
        that our downloader checks what pooch cannot: all recorded hashes, so that the error names
        the one that was found, or that it is a table where none is recorded.
        """
        found: list[Digests] = []

        def download(_url: str, temporary: str, _pooch: object) -> None:
            path = Path(temporary)
            # pooch made it for its owner alone; data have the permissions of any new file.
            path.unlink()
            origin.save(path)
            found.append(self._digests(path, self.progress))
            file.check(path, found[0])

        name, known_hash = file.record.name, file.pooch_hash
        path = pooch.retrieve(origin.label, known_hash, name, file.staging, downloader=download)
        return Path(path), found[0]

    def _place(self, saved: Path, path: Path, old: Digests | None) -> Path | None:
        """Give a verified file its final name; return where the old one was put."""
        backup = path.with_name(f"{path.name}.{old.sha256[:8]}.bak") if old else None
        if backup:
            path.replace(backup)
            self.progress.notice(f"the old {path} is kept as {backup.name}.")
        saved.replace(path)
        return backup

    @contextmanager
    def _locked(self, file: CompetitionFile) -> Iterator[None]:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            held = file.lock.acquire(timeout=0)
        except Timeout:
            self.progress.notice(f"waiting for another process that is fetching {file}.")
            held = file.lock.acquire(timeout=self.settings.lock_timeout)
        with held:
            yield


def _failure(
    file: CompetitionFile, failures: Sequence[tuple[str, Exception]], old: Digests | None
) -> KagglePriceError:
    """Put into one sentence why no origin gave the file."""
    if not failures and file.record.path and not old:
        return MissingFileError(
            f"{file.path} does not exist; `path` in `[{file.role}]` of the description of "
            f"{file.competition.name} names it."
        )
    if not failures:
        found = "is not the recorded file" if old else "is missing"
        kind = ChecksumError if old else MissingFileError
        return kind(
            f"{file}: {file.path} {found} and there is no mirror to fetch it from; {file.advice}."
        )
    reasons = "; ".join(f"{label}: {reason(error)}" for label, error in failures)
    message = f"{file} could not be fetched ({reasons}); {file.advice}."
    if any(isinstance(error, ChecksumError) for _, error in failures):
        return ChecksumError(message)
    if all(isinstance(error, DataError) for _, error in failures):
        return DataError(message)
    return NetworkError(message)
