"""Run folders made without training: what a run says of itself, with numbers of a test's choice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.files import sha256
from kaggleprice.runs import SCHEMA_VERSION
from kaggleprice.runs.record import digest_of
from kaggleprice.settings.run import make_settings

ROWS, FOLDS = 40, 4


def truth(rows: int = ROWS) -> NDArray[np.float64]:
    return np.exp(np.random.default_rng(1).normal(12, 0.4, rows))


def noisy(seed: int, spread: float = 0.1, rows: int = ROWS) -> NDArray[np.float64]:
    """Predictions whose logs are off by a normal error."""
    return truth(rows) * np.exp(np.random.default_rng(seed).normal(0, spread, rows))


def contiguous(rows: int = ROWS, k: int = FOLDS) -> NDArray[np.int64]:
    """Folds from 1."""
    return np.arange(rows) * k // rows + 1


def day(number: int) -> str:
    """When a run was finished."""
    return f"2026-01-{number:02d}T00:00:00+00:00"


def forge(
    folder: Path,
    predicted: ArrayLike,
    *,
    ids: Sequence[str] | None = None,
    true: ArrayLike | None = None,
    fold: ArrayLike | None = None,
    metric: str = "log_rmse",
    options: Mapping[str, Any] | None = None,
    preset: str = "default",
    finished: str = "2026-01-02T03:04:05+00:00",
    notes: Sequence[str] = (),
    data: str = "a" * 64,
    id_column: str = "Id",
    weights: ArrayLike | None = None,
    **changes: Any,
) -> Path:
    """Write a run folder whose name and competition are those of `folder`; return it."""
    folder.mkdir(parents=True)
    predicted = np.asarray(predicted, np.float64)
    true = truth(len(predicted)) if true is None else np.asarray(true, np.float64)
    fold = contiguous(len(predicted)) if fold is None else np.asarray(fold)
    ids = [str(i + 1) for i in range(len(predicted))] if ids is None else list(ids)
    frame = pd.DataFrame({0: ids, 1: true, 2: predicted, 3: fold})
    weighted = [] if weights is None else [4]
    if weights is not None:
        frame[4] = weights
    for name, places in [("oof.csv", [0, 1, 2, 3, *weighted]), ("folds.csv", [0, 3])]:
        header = [[id_column, "true", "predicted", "fold", "weight"][place] for place in places]
        frame[places].to_csv(folder / name, header=header, index=False, lineterminator="\n")
    score = METRICS[metric].score
    folds = [
        {
            "fold": int(k),
            "train": 0.05,
            "validation": score(true[fold == k], predicted[fold == k]),
        }
        for k in np.unique(fold)
    ]
    validation = np.array([line["validation"] for line in folds])
    settings = make_settings(preset, {"k": len(folds), **(options or {})})
    record = {
        "schema_version": SCHEMA_VERSION,
        "run": folder.name,
        "competition": folder.parent.name,
        "metric": metric,
        "columns": {
            "id_column": id_column,
            "target_column": "Price",
            "target_transform": "log",
            "missing_values": ["NA"],
            **({"weight_column": "weight"} if weighted else {}),
        },
        "settings": json.loads(json.dumps(asdict(settings))),
        "notes": list(notes),
        "data": {
            "train": {"name": "train.csv", "sha256": data, "rows": len(predicted)},
            "test": {"name": "test.csv", "sha256": "b" * 64, "rows": 8},
        },
        "versions": {"kaggleprice": "0.1.0", "torch": "2.13.0"},
        "device": "cpu",
        "threads": 1,
        "scores": {
            "fold_mean": float(validation.mean()),
            "fold_sd": float(validation.std(ddof=1)),
            "train_mean": 0.05,
            "oof": score(true, predicted),
            "networks_oof": score(true, predicted),
            "oof_error": 0.01,
            "mean_squared_log_error": None,
        },
        "folds": folds,
        "members": [
            {"fold": line["fold"], "seed": seed, "epochs": 3, "train": 0.05, "validation": alone}
            for line in folds
            for seed, alone in enumerate([line["validation"] * 1.1, line["validation"] * 1.3])
        ],
        "base_models": [],
        "ensemble": {
            "members": [{"fold": 0, "seed": 0}],
            "engineering": None,
            "recipes": ["recipes/fold-1.json"],
            "target_center": [0.0],
            "target_scale": [1.0],
            "epochs": [3],
        },
        "files": {name: sha256(folder / name) for name in ("folds.csv", "oof.csv")},
        "timing": {"finished": finished, "seconds": 12.345},
        **changes,
    }
    write_record(folder, record)
    return folder


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a run.json that is as it was written."""
    sealed = {**record, "digest": digest_of(record)}
    (folder / "run.json").write_text(json.dumps(sealed), encoding="utf-8")
