"""Content of files, chunk by chunk: read, reported, written, digested."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kaggleprice.core.errors import DataError, KagglePriceError
from kaggleprice.core.progress import BYTES, Progress

CHUNK = 1 << 20
_SECONDS_BETWEEN_REPORTS = 0.05
# RuntimeError: an encrypted zip member, or a compression that this Python lacks; ValueError: a
# name in an archive that is no text.
READ_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, ValueError)

Chunks = Generator[bytes, None, None]


@dataclass(frozen=True)
class Digests:
    """The size and the lower-case hexadecimal digests of a file's content.

    Attributes:
        bytes: its size.
        sha1: its SHA-1.
        sha256: its SHA-256.
    """

    bytes: int
    sha1: str
    sha256: str


def digest(chunks: Iterable[bytes]) -> Digests:
    """Compute size and digests in one pass."""
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    for chunk in chunks:
        sha1.update(chunk)
        sha256.update(chunk)
        size += len(chunk)
    return Digests(size, sha1.hexdigest(), sha256.hexdigest())


def read(open_stream: Callable[[], AbstractContextManager[IO[bytes]]], label: str) -> Chunks:
    """Yield what `open_stream` opens, called `label` in errors.

    Raises:
        DataError: where it cannot be read.
    """
    with translated(DataError, f"{label} cannot be read", READ_ERRORS), open_stream() as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def reported(
    chunks: Chunks, progress: Progress, stage: str, name: str, total: int | None
) -> Chunks:
    """Pass chunks on and report how many of `total` bytes (None: unknown) have come."""
    done, due = 0, 0.0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        # The network gives small chunks: not each of them is worth a report, but the last is.
        if done == total or time.monotonic() >= due:
            due = time.monotonic() + _SECONDS_BETWEEN_REPORTS
            progress.advance(stage, done, total, name, BYTES)


def write(chunks: Chunks, path: Path, max_bytes: int) -> None:
    """Write chunks to a file, through to the disk.

    Raises:
        DataError: where there are more than `max_bytes` bytes.
        OSError: where the file cannot be written.
    """
    done = 0
    with closing(chunks), path.open("wb") as stream:
        for chunk in chunks:
            done += len(chunk)
            check_size(done, max_bytes)
            stream.write(chunk)
        stream.flush()
        # Before it is renamed: after a power cut a final name must not lead to an empty file.
        os.fsync(stream.fileno())


def check_size(size: int, max_bytes: int) -> None:
    """Check a file's size, as announced or as it has arrived.

    Raises:
        DataError: where it is above `max_bytes`.
    """
    if size > max_bytes:
        limit = f"{max_bytes / 1e9:g} GB"
        raise DataError(f"it is larger than {limit} (`kaggleprice download --max-size` sets this)")


@contextmanager
def translated(
    kind: type[KagglePriceError],
    sentence: str,
    errors: tuple[type[Exception], ...] = (OSError,),
) -> Generator[None, None, None]:
    """Turn an error of the system or of a library into one of ours: the sentence, the reason."""
    try:
        yield
    except errors as error:
        raise kind(f"{sentence}: {reason(error)}.") from error


def reason(error: BaseException) -> str:
    """Name an error's innermost cause: libraries wrap it several times over."""
    while not isinstance(error, KagglePriceError):
        inner = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if inner is None:
            break
        error = inner
    strerror = getattr(error, "strerror", None)
    return (strerror or str(error) or type(error).__name__).removesuffix(".")
