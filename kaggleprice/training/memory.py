"""Memory: what is done with freed memory; how to know that there was too little."""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Parameters of glibc's mallopt(3), and the highest threshold that it takes for mappings.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _MAPPED_BYTES = 2**30, 2**25

# What torch and the libraries below it say, in lower case: a GPU's allocator, the CPU's, C++, CUDA,
# oneDNN (which says no more where there is no room for the code that it makes).
_SIGNS = (
    *("out of memory", "allocate memory", "bad_alloc", "alloc_failed"),
    *("could not create a primitive", "could not create a memory"),
)


def lacks_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory has run out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in words for sign in _SIGNS)


def release(device: torch.device) -> None:
    """Give back what nobody refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif (library := _glibc()) is not None:
        library.malloc_trim(0)


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Let the C library keep freed memory for what comes next; tell whether it can be told.

    Every step of training makes and frees arrays the size of all members' weights. glibc returns
    them to the system and is given them back page by page, which takes a tenth of the time. What
    is free before and after is returned. Other C libraries have ways of their own.
    """
    library = _glibc()
    if library is None:
        yield False
        return
    library.malloc_trim(0)
    wanted = [(_TRIM_THRESHOLD, _KEPT_BYTES), (_MMAP_THRESHOLD, _MAPPED_BYTES)]
    try:
        yield all(library.mallopt(*pair) == 1 for pair in wanted)
    finally:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
