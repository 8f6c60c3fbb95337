"""Files as bytes: open, read once for all digests, copy."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kaggleprice.download.complaints import translated
from kaggleprice.errors import DataError

Opener = Callable[[], AbstractContextManager[IO[bytes]]]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Digests:
    """What a file's content comes to: its size and its lower-case hexadecimal digests."""

    bytes: int
    sha1: str
    sha256: str


def digest(stream: IO[bytes]) -> Digests:
    """Read a stream to its end, once for all digests."""
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        sha1.update(block)
        sha256.update(block)
        size += len(block)
    return Digests(size, sha1.hexdigest(), sha256.hexdigest())


def digest_file(path: Path) -> Digests:
    """Read a file to its end.

    Raises:
        DataError: where it cannot be read.
    """
    with translated(DataError, f"{path} cannot be read"), open_binary(path) as stream:
        return digest(stream)


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading."""
    return path.open("rb")


def copy(opener: Opener, target: Path) -> None:
    """Write what `opener` opens to `target`."""
    with opener() as source, target.open("wb") as stream:
        shutil.copyfileobj(source, stream)
