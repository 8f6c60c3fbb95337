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

from kaggleprice.competitions.download.cache import absent, fetch, locate
from kaggleprice.competitions.download.records import (
    DEFAULT_SETTINGS,
    FetchedFile,
    FetchSettings,
    Role,
    Status,
)

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
