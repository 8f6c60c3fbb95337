"""A competition of 24 + 8 rows, as a TOML file beside two CSVs: no recorded hash in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kaggleprice.api.workflow import DatasetRef, RuntimeConfig
from kaggleprice.competitions.catalog import read_competition

TOML = """
name = "small"
id_column = "Id"
target_column = "Price"
[train]
path = "train.csv"
[test]
path = "test.csv"
"""
ROWS, TEST_ROWS = 24, 8
# Trained in a moment: two small networks in each of three folds.
OPTIONS: dict[str, Any] = {
    "k": 3,
    "portfolio": (),
    "seeds": 2,
    "epochs": 2,
    "hidden": (8,),
    "dropout": ((0.1,),),
}


def write_small(folder: Path) -> Path:
    """Write a number with gaps, a text with gaps, a positive target; return the TOML file."""
    kinds = ["brick", "wood", "NA"]
    numbers = range(1, ROWS + TEST_ROWS + 1)
    lines = [f"{i},{'NA' if i % 7 == 0 else 40 + 3 * i},{kinds[i % 3]}" for i in numbers]
    train = ["Id,Area,Kind,Price", *[f"{line},{50_000 + 900 * i}" for i, line in enumerate(lines)]]
    test = ["Id,Area,Kind", *lines[ROWS:]]
    (folder / "train.csv").write_text("\n".join(train[: ROWS + 1]) + "\n", encoding="utf-8")
    (folder / "test.csv").write_text("\n".join(test) + "\n", encoding="utf-8")
    toml = folder / "small.toml"
    toml.write_text(TOML, encoding="utf-8")
    return toml


def source_in(folder: Path) -> DatasetRef:
    """The competition that `write_small` wrote there."""
    return DatasetRef(read_competition(folder / "small.toml"), folder / "data")


def place_in(folder: Path) -> RuntimeConfig:
    """Runs in the folder `runs` there, by one thread."""
    return RuntimeConfig(folder / "runs", "cpu", 1)


def content(run: Path) -> dict[str, bytes]:
    """Every file of a run; of run.json all but clock values."""
    found = {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }
    record = json.loads(found["run.json"])
    del record["timing"]
    return {**found, "run.json": json.dumps(record).encode()}
