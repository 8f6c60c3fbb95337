"""One process at a time changes a run, and what dead ones left is cleared away by the next command.

Where the system cannot exchange two folders in one step, a run is replaced in two: the old folder
is put aside, into the locked folder in which the new one was made, and the new one is given its
name. Where a process dies in between, the next command puts the old one back.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kaggleprice.core.errors import OutputError, RunFolderError
from kaggleprice.core.files import remove_abandoned, sha256, take_lock
from kaggleprice.core.progress import Progress
from kaggleprice.runs import IDENTITY, PRUNED, RECORD, UNFINISHED, WRITTEN, is_name
from kaggleprice.runs.record import read_record

if TYPE_CHECKING:
    from filelock import BaseFileLock

# A folder that exists while a process changes the run whose name follows.
_CHANGING = ".changing-"
# What a checkpoint's folder is called: it waits for the same command, however long.
_CHECKPOINT = re.compile(re.escape(UNFINISHED) + "[0-9a-f]{16}")


def _may_go_on(folder: Path) -> bool:
    """Whether a folder is a checkpoint from which a run that is not finished may go on."""
    if not _CHECKPOINT.fullmatch(folder.name):
        return False
    try:
        if not (folder / IDENTITY).is_file():
            return False
        name, _, found = (folder / WRITTEN).read_text(encoding="utf-8").partition(" ")
        return sha256(folder.with_name(name) / RECORD) != found
    except (OSError, ValueError):  # it says nothing, or nothing of a run that is there
        return True


@contextmanager
def changing(run: Path, progress: Progress) -> Iterator[None]:
    """Have a run's folder to oneself; wait for other processes that change it.

    Raises:
        OutputError: where no lock can be made.
    """
    folder = run.with_name(f"{_CHANGING}{run.name}")
    try:
        lock = _lock_of(folder)
        if lock is None:
            progress.notice(f"waiting for another process that changes run {run.name}")
        while lock is None:
            lock = _lock_of(folder, wait=True)
    except OSError as error:
        raise OutputError(f"cannot change {run}: {error.strerror or error}.") from None
    with _given_back(folder, lock):
        yield


@contextmanager
def unchanged(run: Path, digest: str, progress: Progress) -> Iterator[bool]:
    """Have a run's folder to oneself; tell whether the run in it is still that of a digest.

    Raises:
        OutputError: where no lock can be made.
    """
    with changing(run, progress):
        try:
            found = read_record(run)["digest"]
        except RunFolderError:
            found = ""
        yield found == digest


@contextmanager
def changing_at_once(run: Path) -> Iterator[bool]:
    """Have a run's folder to oneself, unless another process has it; tell whether one has it.

    Raises:
        OSError: where no lock can be made.
    """
    folder = run.with_name(f"{_CHANGING}{run.name}")
    lock = _lock_of(folder)
    if lock is None:
        yield False
        return
    with _given_back(folder, lock):
        yield True


@contextmanager
def _given_back(folder: Path, lock: BaseFileLock) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _lock_of(folder: Path, *, wait: bool = False) -> BaseFileLock | None:
    folder.mkdir(exist_ok=True)
    return take_lock(folder, wait=wait)


def is_changed_now(run: Path) -> bool:
    """Whether a living process changes a run."""
    recover(run.parent)
    return run.with_name(f"{_CHANGING}{run.name}").exists()


def has_run(parent: Path, name: str) -> bool:
    """Whether there is a run of this name among a competition's runs, damaged or not."""
    recover(parent)
    return is_name(name) and (parent / name / RECORD).is_file()


def recover(parent: Path) -> None:
    """Clear away what dead processes left among a competition's runs.

    Runs that they had put aside are put back; checkpoints stay.

    Raises:
        OutputError: where a run cannot be put back.
    """
    for prefix in (UNFINISHED, PRUNED, _CHANGING):
        put_back = partial(_put_back, parent) if prefix == UNFINISHED else lambda _: None
        remove_abandoned(parent, prefix, put_back, _may_go_on)


def _put_back(parent: Path, folder: Path) -> None:
    for record in folder.glob(f"*/{RECORD}"):
        old, place = record.parent, parent / record.parent.name
        if not old.name.startswith(".") and not place.exists():
            try:
                old.rename(place)
            except OSError as error:
                raise OutputError(
                    f"cannot put back run {old.name}, which lies in {folder}: "
                    f"{error.strerror or error}."
                ) from None
