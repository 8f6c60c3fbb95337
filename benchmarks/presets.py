"""What every preset scores on the real competition, and how long it takes.

    python -m benchmarks.presets            # every preset
    python -m benchmarks.presets fast       # this one again
    python -m benchmarks.presets table      # prints what is measured, as README has it

Writes kaggleprice/settings/preset_benchmarks.json, which `kaggleprice cv --preset list` shows.
Each preset is cross-validated once with its own folds and seed, as `kaggleprice cv --preset NAME`
does. Seconds mean something on a machine that does nothing else.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import kaggleprice
from kaggleprice.api.workflow import DatasetRef, load
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.settings.preset_benchmarks import Measured, read_measurements
from kaggleprice.settings.run import PRESETS, make_settings
from kaggleprice.training.devices import choose_compute

RESULTS = Path(kaggleprice.__file__).parent / "settings" / "preset_benchmarks.json"


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def without_extras(preset: str) -> dict[str, Any]:
    """Return options with which a preset is what it is where no extra is installed."""
    extras = ("catboost", "lightgbm")
    own = tuple(name for name in PRESETS[preset].settings.base_models if name not in extras)
    return {"base_models": own} if own else {}


def measure(preset: str) -> Measured:
    """Cross-validate one preset."""
    data_dir = Path(os.environ.get("KAGGLEPRICE_DATA_DIR", "data"))
    competition = COMPETITIONS["house-prices"]
    tables = load(DatasetRef(competition, data_dir)).tables
    settings = make_settings(preset, without_extras(preset))
    folds = make_folds(
        len(tables.train), settings.k, scheme=settings.fold_scheme, seed=settings.seed
    )
    result = cross_validation.cross_validate(
        competition, tables, folds, settings, choose_compute("cpu", None).device
    )
    return Measured(
        networks=len(result.members),
        fold_mean=round(result.scores.fold_mean, 4),
        oof=round(result.scores.oof, 4),
        seconds=round(result.seconds, 1),
    )


def table() -> list[str]:
    """Return what is measured as a Markdown table."""
    lines = [
        "| preset | networks | mean of folds | pooled | seconds |",
        "|---|---|---|---|---|",
    ]
    for name, found in read_measurements().presets.items():
        lines.append(
            f"| `{name}` | {found.networks} | {found.fold_mean:.4f} | {found.oof:.4f} "
            f"| {found.seconds:g} |"
        )
    return lines


def main(*presets: str) -> None:
    """Measure these presets, or all, and write the file."""
    kept = dict(read_measurements().presets) if presets and RESULTS.exists() else {}
    for preset in presets or PRESETS:
        kept[preset] = measure(preset)
        print(preset, kept[preset], flush=True)
    record = {
        "machine": f"{torch.get_num_threads()} threads of {processor()}, torch "
        f"{torch.__version__}, kaggleprice {kaggleprice.__version__}",
        "presets": {name: asdict(kept[name]) for name in PRESETS if name in kept},
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        print("\n".join(table()))
    else:
        main(*sys.argv[1:])
