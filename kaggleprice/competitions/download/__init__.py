"""Fetch a competition's CSVs from mirrors, verify them, and place them atomically.

A file lies at `<data-dir>/<competition>/<name>`, or anywhere straight in `<data-dir>` under
any name if its hash is the recorded one. Whatever comes from outside is written beside its
place as `.<name>.part`, verified there and only then renamed, all under the lock
`.<name>.lock`: nothing unverified ever bears the final name, however a process ends, and two
processes that want the same file fetch it once.

`records` says what is wanted and how it is recognised, `cache` finds and places it, `mirrors`
and `source` are where it comes from, `content` reads and copies bytes, `complaints` puts what
goes wrong into words.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.download.cache import Cache
from kaggleprice.competitions.download.mirrors import mirror_origins
from kaggleprice.competitions.download.records import (
    DEFAULT_SETTINGS,
    FetchedFile,
    FetchSettings,
    Origins,
    Role,
    Status,
    wanted_files,
)
from kaggleprice.competitions.download.source import open_source
from kaggleprice.core.progress import SILENT, Progress

__all__ = [
    "DEFAULT_SETTINGS",
    "FetchSettings",
    "FetchedFile",
    "Role",
    "Status",
    "absent",
    "fetch",
    "locate",
]


def fetch(
    competition: Competition,
    data_dir: Path,
    *,
    source: Path | None = None,
    settings: FetchSettings = DEFAULT_SETTINGS,
    progress: Progress = SILENT,
) -> list[FetchedFile]:
    """Make sure that both files are there and right, replacing wrong ones.

    Args:
        competition: whose files.
        data_dir: the cache; files go to `<data_dir>/<competition>/`.
        source: a folder or a zip archive to take the files from, instead of the mirrors.
        settings: timeouts and retries.
        progress: told what happens, and of bytes.

    Returns:
        The training file and the test file.

    Raises:
        NetworkError: where no mirror gave a file.
        ChecksumError: where all that could be had has another hash than the recorded one.
        MissingFileError: where `source` is not there or lacks a file, or there is no mirror.
        DataError: where `source`, or a file in the cache, cannot be read.
        OutputError: where a file cannot be written.
    """
    origins: Origins = partial(mirror_origins, settings=settings, progress=progress)
    if source is not None:
        origins = open_source(source, progress).origins
    cache = Cache(data_dir, settings, progress, origins, replace=True)
    files = [cache.get(wanted) for wanted in wanted_files(competition, data_dir)]
    if source is not None:
        _report_kept(files, source, progress)
    return files


def _report_kept(files: Iterable[FetchedFile], source: Path, progress: Progress) -> None:
    for file in files:
        if file.status == "cached" and not file.verified:
            progress.notice(
                f"{file.path} was there already and is kept, since no hash is recorded that "
                f"could tell it from the one in {source}; move it away to take that one."
            )


def locate(
    competition: Competition,
    data_dir: Path,
    *,
    verify: bool = True,
    settings: FetchSettings = DEFAULT_SETTINGS,
    progress: Progress = SILENT,
) -> list[FetchedFile]:
    """Find both files, fetching the ones that are missing and never replacing one.

    Args:
        competition: whose files.
        data_dir: the cache, as in `fetch`.
        verify: whether a present file must have the recorded hash; a fetched one always must.
        settings: as in `fetch`.
        progress: as in `fetch`.

    Returns:
        The training file and the test file.

    Raises:
        ChecksumError: where a present file, or all that mirrors gave, has the wrong hash.
        NetworkError: where no mirror gave a missing file.
        MissingFileError: where a missing file has no mirror.
        DataError: where a present file cannot be read.
        OutputError: where a fetched file cannot be written.
    """
    origins = partial(mirror_origins, settings=settings, progress=progress)
    cache = Cache(data_dir, settings, progress, origins, replace=False, verify=verify)
    return [cache.get(wanted) for wanted in wanted_files(competition, data_dir)]


def absent(competition: Competition, data_dir: Path) -> list[Path]:
    """Return where files would be put that `locate` would have to fetch; fetches nothing.

    Raises:
        DataError: where a present file cannot be read.
    """
    cache = Cache(data_dir, DEFAULT_SETTINGS, SILENT, lambda _: [], replace=False, verify=False)
    return [w.target for w in wanted_files(competition, data_dir) if cache.lacks(w)]
