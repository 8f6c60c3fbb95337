"""Fetch a competition's CSVs from mirrors, verify them, and place them atomically.

A file is at `<data-dir>/<competition>/<name>`, or straight in `<data-dir>` under any name if its
hash is the recorded one. Whatever comes from outside is written in the folder `.<name>.part`
beside its place, verified there and only then renamed, all under the lock `.<name>.lock`: nothing
unverified ever has the final name, however a process ends; two processes that want the same file
fetch it once; and what a killed one left is removed by the next, which gets its lock.

`records` says what is recorded of a file and how it is recognised, `cache` finds and places it,
`mirrors` and `local_files` are where it comes from, `content` reads and writes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.download.cache import Cache, Origins
from kaggleprice.competitions.download.local_files import local_origins
from kaggleprice.competitions.download.mirrors import mirror_origins
from kaggleprice.competitions.download.records import (
    DEFAULT_SETTINGS,
    FetchedFile,
    FetchSettings,
    Role,
    Status,
    competition_files,
)
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
    cache = Cache(data_dir, settings, progress, origins, replace, verify)
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
    cache = Cache(data_dir, DEFAULT_SETTINGS, SILENT, lambda _: [], replace=False, verify=False)
    return [f.path for f in competition_files(competition, data_dir) if cache.find(f) is None]
