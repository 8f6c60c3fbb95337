"""Memory: how to know that there was too little, and what to do about it."""

from __future__ import annotations

import gc

import torch

# What torch and the libraries below it say, in lower case: a GPU's allocator, the CPU's, C++, CUDA.
_SIGNS = ("out of memory", "allocate memory", "bad_alloc", "alloc_failed")


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
