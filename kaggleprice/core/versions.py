"""Versions: of this package, and of what it computes with."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch

import kaggleprice


def versions() -> dict[str, str]:
    """Return the versions that decide what a run computes."""
    return {
        "kaggleprice": kaggleprice.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "scikit-learn": version("scikit-learn"),
        "torch": torch.__version__,
    }
