"""Devices: which there are, which one to take, how many threads."""

from __future__ import annotations

import ctypes
import gc
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from kaggleprice.core.errors import DeviceError, UsageError, lacks_memory
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.settings.training import MOST_THREADS


@contextmanager
def taking_threads(count: int | None) -> Iterator[None]:
    """Compute with this many CPU threads within the block; None for as many as before it.

    Raises:
        UsageError: for less than one.
    """
    before = use_threads(None)
    use_threads(count)
    try:
        yield
    finally:
        use_threads(before)


# Parameters of glibc's mallopt(3), and the highest threshold that it takes for mappings.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _MAPPED_BYTES = 2**30, 2**25


def release(device: torch.device) -> None:
    """Collect garbage and free the device's cached memory."""
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


def available_devices() -> list[str]:
    """Return the names of the devices that this machine has, the fastest first."""
    found = []
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose_devices(names: str) -> tuple[torch.device, ...]:
    """Return the devices of this name, or of these, separated by commas.

    Args:
        names: `auto`, which is CUDA, then MPS, then the CPU; or devices such as `cpu`, `cuda`,
            `cuda:1`, `mps`. One that is named twice is to do the work of two.

    Raises:
        DeviceError: where this machine does not have one; the message says what there is.
    """
    found = available_devices()
    if names == "auto":
        return (torch.device(found[0]),)
    listed = [name.strip() for name in names.split(",")]
    for name in listed:
        where = "" if name == names else f" in {names!r}"
        if not re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", name):
            raise DeviceError(
                f"unknown device {name!r}{where}; there are: auto, cpu, cuda, mps, and lists such "
                "as cuda:0,cuda:1."
            )
        if name not in found:
            raise DeviceError(
                f"device {name!r}{where} is not available here; choose another --device: "
                f"{', '.join(found)}."
            )
    return tuple(map(torch.device, listed))


def use_threads(threads: int | None) -> int:
    """Set the number of CPU threads (None leaves torch's choice) and return it.

    Raises:
        UsageError: for less than one, or more than `MOST_THREADS`.
    """
    if threads is not None:
        if not 1 <= threads <= MOST_THREADS:
            raise UsageError(f"threads must be from 1 to {MOST_THREADS}, found {threads}.")
        torch.set_num_threads(threads)
    return torch.get_num_threads()


@dataclass(frozen=True)
class Compute:
    """What computes.

    Attributes:
        devices: where networks are trained; members are spread over several.
        threads: CPU threads in use.
    """

    devices: tuple[torch.device, ...]
    threads: int

    @property
    def device(self) -> torch.device:
        """Where a trained network predicts."""
        return self.devices[0]

    @property
    def name(self) -> str:
        """The devices as they are recorded: `cpu`, `cuda:0,cuda:1`."""
        return name_devices(self.devices)


def name_devices(devices: Sequence[torch.device]) -> str:
    """Return the names of devices, separated by commas."""
    return ",".join(map(str, devices))


def choose_compute(device: str, threads: int | None) -> Compute:
    """Choose devices and set the threads; raises as `choose_devices` and `use_threads`."""
    return Compute(choose_devices(device), use_threads(threads))


def place_network(
    network: MemberNetwork, device: torch.device, progress: Progress = SILENT
) -> None:
    """Move a trained network to the device that is to predict; to the CPU where it does not fit."""
    try:
        network.to(device)
    except Exception as error:
        if device.type == "cpu" or not lacks_memory(error):
            raise
        network.cpu()
        progress.notice(
            f"the weights of {network.members} networks do not fit into the memory of {device}: "
            "predicting on cpu"
        )
    if next(network.parameters()).device.type != device.type:
        release(device)
