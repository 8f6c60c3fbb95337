"""Devices and lists of them, by name."""

from __future__ import annotations

import pytest
import torch

from kaggleprice.core.errors import DeviceError
from kaggleprice.training import devices
from kaggleprice.training.devices import choose_compute, choose_devices, name_devices


def test_lists_of_devices() -> None:
    assert name_devices(choose_devices("cpu")) == "cpu"
    assert name_devices(choose_devices("cpu, cpu")) == "cpu,cpu"
    assert len(choose_devices("auto")) == 1
    compute = choose_compute("cpu,cpu", None)
    assert (compute.name, compute.device) == ("cpu,cpu", torch.device("cpu"))


def test_numbered_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_devices", lambda: ["cuda", "cpu"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_devices("cuda:0,cuda:1") == (torch.device("cuda", 0), torch.device("cuda", 1))
    assert name_devices(choose_devices("cuda")) == "cuda"
    assert name_devices(choose_devices("auto")) == "cuda"
    with pytest.raises(DeviceError) as caught:
        choose_devices("cuda:0,cuda:2")
    assert str(caught.value) == (
        "device 'cuda:2' in 'cuda:0,cuda:2' is not available here; there is: cuda:0, cuda:1, cpu."
    )


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("cpu,", "the name of a device is missing in 'cpu,'."),
        ("", "the name of a device is missing in ''."),
        (
            "gpu",
            "unknown device 'gpu'; there are: auto, cpu, cuda, mps, and lists such as cuda:0,c",
        ),
        ("cpu,gpu", "unknown device 'gpu' in 'cpu,gpu'; there are"),
        ("cpu,auto", "device 'auto' is no part of a list; found 'cpu,auto'."),
        ("cpu:0", "unknown device 'cpu:0'"),
        ("cuda:x", "unknown device 'cuda:x'"),
        ("cuda:", "unknown device 'cuda:'"),
    ],
)
def test_lists_that_cannot_be(names: str, says: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_devices(names)
    assert str(caught.value).startswith(says)


def test_what_this_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_devices", lambda: ["cpu"])
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(
            DeviceError, match=f"device '{name}' is not available here; there is: c"
        ):
            choose_devices(name)
