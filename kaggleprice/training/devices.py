"""Devices: which there are, which one to take, how many threads."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

from kaggleprice.errors import DeviceError, UsageError

DEVICE_NAMES = ("auto", "cpu", "cuda", "mps")

# Parameters of glibc's mallopt(3), and the highest threshold that it takes for mappings.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _MAPPED_BYTES = 2**30, 2**25


def available_devices() -> list[str]:
    """Return the names of the devices that this machine has, the fastest first."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose_device(name: str) -> torch.device:
    """Return the device of this name; `auto` is CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: where this machine does not have it; the message says what there is.
    """
    found = available_devices()
    if name == "auto":
        return torch.device(found[0])
    if name not in DEVICE_NAMES:
        raise DeviceError(f"unknown device {name!r}; there are: {', '.join(DEVICE_NAMES)}.")
    if name not in found:
        raise DeviceError(f"device {name!r} is not available here; there is: {', '.join(found)}.")
    return torch.device(name)


def use_threads(threads: int | None) -> int:
    """Set the number of CPU threads (None leaves torch's choice) and return it.

    Raises:
        UsageError: for less than one.
    """
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be 1 or more, found {threads}.")
        torch.set_num_threads(threads)
    return torch.get_num_threads()


@dataclass(frozen=True)
class Compute:
    """What computes.

    Attributes:
        device: where networks are trained.
        threads: CPU threads in use.
    """

    device: torch.device
    threads: int


def choose_compute(device: str, threads: int | None) -> Compute:
    """Choose the device, set the threads, let freed memory be kept.

    Raises:
        DeviceError, UsageError: as `choose_device` and `use_threads`.
    """
    compute = Compute(choose_device(device), use_threads(threads))
    keep_freed_memory()
    return compute


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for what comes next; tell whether it can be told.

    Every step of training makes and frees arrays the size of all members' weights. glibc returns
    them to the system and is given them back page by page, which takes a tenth of the time. Other
    C libraries have ways of their own.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    wanted = [(_TRIM_THRESHOLD, _KEPT_BYTES), (_MMAP_THRESHOLD, _MAPPED_BYTES)]
    return mallopt is not None and all(mallopt(*pair) == 1 for pair in wanted)
