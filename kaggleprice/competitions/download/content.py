"""Files as bytes: open, read once for all digests, copy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kaggleprice.competitions.download.complaints import translated
from kaggleprice.core.errors import DataError
from kaggleprice.core.progress import BYTES, SILENT, Progress

Opener = Callable[[], AbstractContextManager[IO[bytes]]]
Tell = Callable[[int], None]

_BLOCK = 1 << 20


def _ignore(done: int) -> None:
    """Tell nobody how many bytes were read."""


@dataclass(frozen=True)
class Digests:
    """What a file's content comes to: its size and its lower-case hexadecimal digests."""

    bytes: int
    sha1: str
    sha256: str


def digest(stream: IO[bytes], tell: Tell = _ignore) -> Digests:
    """Read a stream to its end, once for all digests."""
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    for block in _blocks(stream, tell):
        sha1.update(block)
        sha256.update(block)
        size += len(block)
    return Digests(size, sha1.hexdigest(), sha256.hexdigest())


def _blocks(stream: IO[bytes], tell: Tell) -> Iterator[bytes]:
    done = 0
    while block := stream.read(_BLOCK):
        yield block
        done += len(block)
        tell(done)


def digest_file(path: Path, progress: Progress = SILENT) -> Digests:
    """Read a file to its end.

    Raises:
        DataError: where it cannot be read.
    """
    with translated(DataError, f"{path} cannot be read"), open_binary(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        return digest(
            stream, lambda done: progress.advance("checking", done, size, path.name, BYTES)
        )


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading."""
    return path.open("rb")


def copy(opener: Opener, name: str, progress: Progress, target: Path) -> None:
    """Write what `opener` opens, called `name`, to `target`."""

    def tell(done: int) -> None:
        progress.advance("copying", done, None, name, BYTES)

    with opener() as source, target.open("wb") as stream:
        for block in _blocks(source, tell):
            stream.write(block)
