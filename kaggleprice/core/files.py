"""Files that are whole or not there: written in a folder beside their place, then renamed.

Such a folder holds a lock while a process works in it. The operating system drops the lock with its
owner, so what a dead process left is told from what a living one makes, and removed by the next.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kaggleprice.core.errors import OutputError

if TYPE_CHECKING:
    from filelock import BaseFileLock

# What a folder in which something is made begins with, and the lock in it.
WORKING = ".kaggleprice-"
LOCK = "lock"


def take_lock(folder: Path, *, wait: bool = False) -> BaseFileLock | None:
    """Take the lock of a folder; None where another process has it, or where the folder is gone.

    Args:
        folder: one that exists.
        wait: whether to wait until whoever has the lock lets it go, or is dead.

    Raises:
        OSError: where the lock's file cannot be made, such as in another user's folder; where the
            folder or anything in it is a link, through which one would write elsewhere.
    """
    try:
        linked = any(path.is_symlink() for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:  # another process removes it
        return None
    if linked:
        raise OSError(errno.ELOOP, "it is a link, or holds one; remove it")
    # It takes a while to load, and help needs none.
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except (Timeout, FileNotFoundError):  # the latter: it went, and may be there again by now
        return None
    except OSError:
        if folder.is_dir():
            raise
        return None
    if (folder / LOCK).is_file():
        return lock
    # Whoever had it before removed the folder meanwhile.
    lock.release()
    return None


@contextmanager
def working_folder(parent: Path, prefix: str = WORKING) -> Iterator[Path]:
    """Yield a new, locked folder for what is being made, which is gone in the end.

    Args:
        parent: a folder of the file system on which the result is to lie.
        prefix: what the folder's name begins with, for `remove_abandoned`.

    Raises:
        OSError: where it cannot be made.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = take_lock(folder)
        # None where another process took it for abandoned before its lock was taken.
        if lock is not None:
            break
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def remove_abandoned(
    parent: Path,
    prefix: str = WORKING,
    rescue: Callable[[Path], None] = lambda _: None,
    spare: Callable[[Path], bool] = lambda _: False,
) -> None:
    """Remove the folders that `working_folder` made for processes that are dead.

    Args:
        parent: where to look.
        prefix: what their names begin with.
        rescue: called with each folder before it is removed, while nobody else has it.
        spare: says which of them stay.
    """
    for folder in sorted(parent.glob(f"{prefix}*")):
        if folder.is_symlink() or not folder.is_dir() or spare(folder):
            continue
        try:
            lock = take_lock(folder)
        except OSError:  # another user's, or on a disk that takes nothing: not ours to remove
            continue
        if lock is None:
            continue
        try:
            rescue(folder)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder beside; rename it to `path` if the block succeeds.

    A link is followed: the file that it leads to is replaced, the link stays. A device or a named
    pipe, such as `/dev/stdout`, is not replaced but written to.

    Raises:
        OutputError: where the file cannot be written.
        OSError: for links that lead round in a circle.
    """
    _check_links(path)
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder) / "result"
                with (Path(folder) / "result").open("rb") as source, path.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target.parent)
        with working_folder(target.parent) as beside:
            yield beside / target.name
            (beside / target.name).replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from None


def check_writable(path: Path) -> None:
    """Check that `path` can be written, before hours are spent on what goes there.

    No file is left behind.

    Raises:
        OutputError: where it cannot be written, or is a folder.
        OSError: for links that lead round in a circle.
    """
    _check_links(path)
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file.")
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe: whether it takes anything shows when it is written to.
            return
        # Folders that are missing will be made: what counts is the nearest one that exists.
        places = path.resolve().parents
        folder = next(f for f in places if f.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from None


def _check_links(path: Path) -> None:
    # `Path.resolve` refuses a circle before Python 3.13, and takes it for a file from there on.
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise


def sha256(path: Path) -> str:
    """Return a file's SHA-256, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
