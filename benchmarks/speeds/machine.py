"""The machine that a benchmark ran on, and how many of its threads."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from benchmarks.presets import processor

LIBRARIES = ("kaggleprice", "torch", "numpy", "pandas", "scikit-learn", "typer", "pytabkit")


def describe() -> dict[str, Any]:
    """Return processor, cores, load, threads and versions; what is not installed is left out."""
    load = getattr(os, "getloadavg", None)
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        # Other work beside the benchmark makes its seconds worth little.
        "load": None if load is None else round(load()[0], 2),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
