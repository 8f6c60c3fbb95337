"""Devices: which there are, which one to take, how many threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kaggleprice.errors import DeviceError, UsageError
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.progress import Progress
from kaggleprice.training import MOST_THREADS
from kaggleprice.training.memory import lacks_memory, release

DEVICE_NAMES = ("auto", "cpu", "cuda", "mps")


def available_devices() -> list[str]:
    """Return the names of the devices that this machine has, the fastest first."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose_device(name: str) -> torch.device:
    """Return the device of this name, of a list the first; arguments as for `choose_devices`."""
    return choose_devices(name)[0]


def choose_devices(names: str) -> tuple[torch.device, ...]:
    """Return the devices of this name, or of these, separated by commas.

    Args:
        names: `auto`, which is CUDA, then MPS, then the CPU; or devices such as `cpu`, `cuda`,
            `cuda:1`, `mps`. One that is named twice is to do the work of two.

    Raises:
        DeviceError: where this machine does not have one; the message says what there is.
    """
    if names == "auto":
        return (torch.device(available_devices()[0]),)
    return tuple(_device(name.strip(), names) for name in names.split(","))


def _device(name: str, names: str) -> torch.device:
    if not name:
        raise DeviceError(f"the name of a device is missing in {names!r}.")
    where = "" if name == names else f" in {names!r}"
    kind, colon, number = name.partition(":")
    if name not in DEVICE_NAMES and not (kind == "cuda" and colon and number.isdecimal()):
        raise DeviceError(
            f"unknown device {name!r}{where}; there are: {', '.join(DEVICE_NAMES)}, and lists such "
            "as cuda:0,cuda:1."
        )
    if name == "auto":
        raise DeviceError(f"device 'auto' is no part of a list; found {names!r}.")
    found = available_devices()
    count = torch.cuda.device_count() if kind == "cuda" and kind in found else 0
    if kind not in found or (number and int(number) >= count):
        if count:
            found = [*(f"cuda:{i}" for i in range(count)), *found[1:]]
        raise DeviceError(
            f"device {name!r}{where} is not available here; there is: {', '.join(found)}."
        )
    return torch.device(name)


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


def settle(network: MemberNetwork, device: torch.device, progress: Progress) -> None:
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
