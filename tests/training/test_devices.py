"""Devices and lists of them, by name; threads."""

from __future__ import annotations

import pytest
import torch

from kaggleprice.core.errors import DeviceError, UsageError
from kaggleprice.training.devices import (
    available_devices,
    choose_compute,
    choose_devices,
    name_devices,
    use_threads,
)


def test_lists_of_devices() -> None:
    assert available_devices()[-1] == "cpu"
    assert name_devices(choose_devices("auto")) == available_devices()[0]
    compute = choose_compute("cpu, cpu", None)
    assert (compute.name, compute.device) == ("cpu,cpu", torch.device("cpu"))


def test_numbered_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_devices("cuda:0,cuda:1") == (torch.device("cuda", 0), torch.device("cuda", 1))
    assert name_devices(choose_devices("cuda")) == name_devices(choose_devices("auto")) == "cuda"
    with pytest.raises(DeviceError, match=r"'cuda:2' in 'cuda:0,cuda:2' is .*--device.*: .*cuda:1"):
        choose_devices("cuda:0,cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps"])
def test_what_this_machine_lacks(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=f"'{name}' is not available .*--device.*: cpu"):
        choose_devices(name)


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        *((name, repr(name)) for name in ("", "tpu", "cpu:0", "cuda:x", "cuda:")),
        ("cpu,", "'' in 'cpu,'"),
        ("cpu,gpu", "'gpu' in 'cpu,gpu'"),
        ("cpu,auto", "'auto' in 'cpu,auto'"),
    ],
)
def test_lists_that_cannot_be(names: str, unknown: str) -> None:
    with pytest.raises(DeviceError, match=f"unknown device {unknown}; there are: auto, cpu, cuda"):
        choose_devices(names)


@pytest.mark.parametrize("count", [0, 99999])
def test_threads_that_cannot_be_are_refused(count: int) -> None:
    before = torch.get_num_threads()
    with pytest.raises(UsageError, match=f"threads must be from 1 to 1024, found {count}"):
        use_threads(count)
    assert use_threads(None) == before
