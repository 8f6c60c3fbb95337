"""A competition that a report can be wrong about in every way, and a run of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kaggleprice.api import workflow
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.runs.run import Run
from kaggleprice.settings.run import make_settings

# Names and values that are markup, mathematics or nothing, wherever they are not taken as text.
EVIL = "<script>alert(1)</script>"
MATHS = "$a_b$ & <i>"
ROWS, TEST_ROWS = 90, 40
OPTIONS = {"k": 3, "seeds": 2, "epochs": 12, "hidden": (8,), "lr": 0.03, "history_every": 4}


@dataclass(frozen=True)
class Made:
    """A run of the invented competition, and where everything is."""

    folder: Path
    source: workflow.DatasetRef
    runtime: workflow.RuntimeConfig
    run: Run


def write_competition(folder: Path, transform: str = "log", metric: str = "log_rmse") -> Path:
    """Write CSVs in which `Size` decides the target and `Still` never varies; return the TOML."""
    random = np.random.default_rng(0)
    count = ROWS + TEST_ROWS
    size = random.uniform(1, 3, count)
    size[ROWS:] += 0.5
    frame = pd.DataFrame(
        {
            "Id": [f"h{i}<b>" for i in range(count)],
            "Size": size.round(4),
            "Noise": random.normal(size=count).round(4),
            "Still": 7.0,
            EVIL: random.choice(["a<b", "c&d", '"e"', None], count),
            MATHS: np.where(random.uniform(size=count) < 0.2, np.nan, random.integers(0, 3, count)),
        }
    )
    target = np.exp(size + 0.02 * random.normal(size=count)) if transform != "none" else -size
    frame.iloc[:ROWS].assign(**{"Pr<ice": target[:ROWS].round(5)}).to_csv(
        folder / "train.csv", index=False
    )
    frame.iloc[ROWS:].to_csv(folder / "test.csv", index=False)
    toml = folder / "evil.toml"
    toml.write_text(
        f'name = "evil"\ntitle = "A & B {EVIL}"\nid_column = "Id"\ntarget_column = "Pr<ice"\n'
        f'target_transform = "{transform}"\nmetric = "{metric}"\n'
        '[train]\npath = "train.csv"\n[test]\npath = "test.csv"\n',
        encoding="utf-8",
    )
    return toml


def make_run(
    folder: Path, transform: str = "log", metric: str = "log_rmse", **options: Any
) -> Made:
    """Cross-validate the invented competition in a folder."""
    competition = read_competition(write_competition(folder, transform, metric))
    source = workflow.DatasetRef(competition, folder / "data")
    runtime = workflow.RuntimeConfig(folder / "runs", "cpu", 1)
    settings = make_settings(options={**OPTIONS, **options})
    run, _ = workflow.cross_validate(source, settings, runtime)
    return Made(folder, source, runtime, run)
