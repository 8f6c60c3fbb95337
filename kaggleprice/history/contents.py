"""Contents: the files of a run folder, and whether each is what it was."""

from __future__ import annotations

from dataclasses import dataclass

from kaggleprice.files import sha256
from kaggleprice.history.listing import Listed
from kaggleprice.runs import RECORD


@dataclass(frozen=True)
class StoredFile:
    """A file of a run folder.

    Attributes:
        name: relative to the folder.
        size: bytes; 0 where it is missing.
        state: `ok`, `missing`, `altered`, or `later` for one that run.json does not list.
    """

    name: str
    size: int
    state: str


def stored_files(run: Listed) -> list[StoredFile]:
    """Return the files of a finished run and whether each is what it was, by name."""
    recorded = {} if run.record is None else dict(run.record["files"])
    present = {p.relative_to(run.path).as_posix(): p for p in run.path.rglob("*") if p.is_file()}
    files = []
    for name in sorted({*recorded, *present}):
        path = present.get(name)
        if path is None:
            files.append(StoredFile(name, 0, "missing"))
            continue
        if name in recorded:
            state = "ok" if sha256(path) == recorded[name] else "altered"
        else:
            state = "ok" if name == RECORD else "later"
        files.append(StoredFile(name, path.stat().st_size, state))
    return files
