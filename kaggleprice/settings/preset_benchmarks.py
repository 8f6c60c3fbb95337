"""What every preset was measured to score, and how long it took: read, never computed, here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

_FILE = "preset_benchmarks.json"


@dataclass(frozen=True)
class Measured:
    """One preset on House Prices, with the default seed.

    Attributes:
        networks: in all folds.
        fold_mean: mean of folds, RMSE between logs.
        oof: pooled out-of-fold, RMSE between logs.
        seconds: of the whole cross-validation.
    """

    networks: int
    fold_mean: float
    oof: float
    seconds: float


@dataclass(frozen=True)
class Measurements:
    """The content of `preset_benchmarks.json`, which `python -m benchmarks.presets` writes.

    Attributes:
        machine: one line on where it was measured.
        presets: by preset name.
    """

    machine: str
    presets: Mapping[str, Measured]


def read_measurements() -> Measurements:
    """Read the file that came with the package."""
    text = resources.files("kaggleprice.settings").joinpath(_FILE).read_text(encoding="utf-8")
    record: Mapping[str, Any] = json.loads(text)
    presets = {name: Measured(**values) for name, values in record["presets"].items()}
    return Measurements(record["machine"], presets)
