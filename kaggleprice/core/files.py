"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kaggleprice.core.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` where the block succeeds.

    A link is followed. What is there and no file, such as `/dev/stdout` or a named pipe, is
    written to and stays what it is.

    Raises:
        OutputError: where the file cannot be written.
    """
    beside: Path | None = None
    given = path
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            with _passing_on(given) as passed:
                yield passed
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        beside = Path(name)
        # mkstemp keeps others out; a result has the permissions of any new file.
        beside.chmod(0o666 & ~_umask())
        yield beside
        beside.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {given}: {error.strerror or error}.") from None
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


@contextmanager
def _passing_on(path: Path) -> Iterator[Path]:
    """Give a temporary path elsewhere; write what it holds to `path` where the block succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        passed = Path(folder) / "passed"
        yield passed
        with path.open("wb") as stream:
            stream.write(passed.read_bytes())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def check_writable(path: Path) -> None:
    """Check, before long work, that `path` can be written: nothing is left there.

    Raises:
        OutputError: where it cannot, or where it is a folder.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file.")
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe: that it takes anything is seen when it is written to.
            return
        # The folder may be yet to make: what counts is the nearest one that is there.
        folder = next(f for f in path.absolute().parents if f.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}.") from None


def sha256(path: Path) -> str:
    """Return a file's SHA-256, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
