"""Arrays of any size: a large one lies in a file, of which the system keeps in memory what is used.

Such a file has no name; it is gone with its array, or with the process. It lies where temporary
files do, which `TMPDIR` says. What is computed does not depend on where an array lies.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kaggleprice.core.errors import OutputError

# An array of this part of the memory, or more, is large.
_LARGE = 1 / 32
# Bytes of a file that `Arena` cuts arrays from.
_SEGMENT = 2**28
# In place of a machine that does not say how much memory it has.
_UNKNOWN = 2**42
# A limit of a control group above this is none.
_NO_LIMIT = 2**60


def memory() -> int:
    """Return how many bytes of memory this process may take: the machine's, or a lower limit.

    Limits are those of its control group, such as a container's, and of `ulimit -d` and `-v`.
    """
    return min([_machine(), *_group_limits(), *_own_limits()])


def _machine() -> int:
    if os.name != "posix":
        return _UNKNOWN
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _own_limits() -> Iterator[int]:
    if os.name != "posix":
        return
    import resource

    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit


def _group_limits(system: Path = Path("/sys/fs/cgroup"), own: Path | None = None) -> Iterator[int]:
    """Yield the limits of this process's control group, in version 1 or 2 of Linux's files.

    Args:
        system: where the files are.
        own: says which groups the process is in; None for Linux's own file.
    """
    try:
        lines = (own or Path("/proc/self/cgroup")).read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            root, name = system / "memory", "memory.limit_in_bytes"
        elif not controllers:
            root, name = system, "memory.max"
        else:
            continue
        # In a container its own group may be what it sees as the root.
        for folder in (root, root / group.lstrip("/")):
            try:
                limit = (folder / name).read_text("utf-8").strip()
            except OSError:
                continue
            if limit.isdigit() and int(limit) < _NO_LIMIT:
                yield int(limit)


def empty(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array for somebody to fill, in memory, or in a file where it is large.

    Raises:
        OutputError: where the disk has no room for it.
    """
    kind = np.dtype(dtype)
    bytes_ = math.prod(shape) * kind.itemsize
    if kind.hasobject or bytes_ < max(1, _LARGE * memory()):
        return np.empty(tuple(shape), kind)
    return _in_file(bytes_).view(kind).reshape(tuple(shape))


class Arena:
    """Makes room for many arrays in files, however small each is; objects stay in memory."""

    def __init__(self) -> None:
        """Prepare; there is no file yet."""
        self._free = np.empty(0, dtype=np.uint8)

    def keep(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of an array of one dimension.

        Raises:
            OutputError: where the disk has no room for it.
        """
        return self.join([array])

    def join(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return arrays of one dimension joined, as `np.concatenate` does.

        Raises:
            OutputError: where the disk has no room for it.
        """
        kind, count = np.result_type(*parts), sum(map(len, parts))
        if kind.hasobject or not count * kind.itemsize:
            return np.concatenate(parts)
        size = count * kind.itemsize
        if size > len(self._free):
            self._free = _in_file(max(size, _SEGMENT))
        made = self._free[:size].view(kind)
        # The next one begins at a multiple of 8 bytes, as arrays must.
        self._free = self._free[-(-size // 8) * 8 :]
        return np.concatenate(parts, out=made)


def _in_file(size: int) -> NDArray[np.uint8]:
    """Return bytes in a file without a name."""
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):
                # Else a full disk shows when a page is written, and the process dies of it.
                os.posix_fallocate(file.fileno(), 0, size)
            mapped = np.memmap(file, np.uint8, "w+", shape=(size,))
    except OSError as error:
        raise OutputError(
            f"{size / 1e9:,.1f} GB of data do not fit into memory, and not into "
            f"{tempfile.gettempdir()}: {error.strerror or error}; make room there, or name another "
            "folder in TMPDIR."
        ) from None
    # A plain array: what is made of it is then no map of its own.
    return mapped.view(np.ndarray)
