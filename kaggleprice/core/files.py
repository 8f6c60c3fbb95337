"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kaggleprice.core.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` if the block succeeds.

    A link is followed: the file that it leads to is replaced, the link stays. A device or a named
    pipe, such as `/dev/stdout`, is not replaced but written to.

    Raises:
        OutputError: where the file cannot be written.
    """
    temporary: Path | None = None
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            with _copied_to(path) as copied:
                yield copied
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        # mkstemp makes it for its owner alone; a result has the permissions of any new file.
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def _copied_to(device: Path) -> Iterator[Path]:
    """Yield a path in a temporary folder; copy the file to `device` if the block succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "result"
        yield temporary
        with temporary.open("rb") as source, device.open("wb") as stream:
            shutil.copyfileobj(source, stream)


def _umask() -> int:
    # It can only be read by setting it.
    current = os.umask(0)
    os.umask(current)
    return current


def check_writable(path: Path) -> None:
    """Check that `path` can be written, before hours are spent on what goes there.

    No file is left behind.

    Raises:
        OutputError: where it cannot be written, or is a folder.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file.")
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe: whether it takes anything shows when it is written to.
            return
        # Folders that are missing will be made: what counts is the nearest one that exists.
        folder = next(f for f in path.absolute().parents if f.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from None


def sha256(path: Path) -> str:
    """Return a file's SHA-256, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
