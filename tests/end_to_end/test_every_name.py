"""Every registered name works in a whole cross-validation and prediction.

A new entry of a registry joins by being registered: nothing is listed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import TEST_ROWS, write_small

import kaggleprice
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.settings import base_models, fold_schemes, model, recipe, run, training

# Option → the names that it takes.
REGISTRIES = {
    "activation": model.ACTIVATIONS,
    "combine": run.COMBINES,
    "dtype": training.DTYPES,
    "fold_scheme": fold_schemes.FOLD_SCHEMES,
    "embedding": model.EMBEDDINGS,
    "impute": recipe.IMPUTES,
    "init": model.INITIALIZATIONS,
    "loss": training.LOSSES,
    "model": model.MODELS,
    "optimizer": training.OPTIMIZERS,
    "pooling": model.POOLINGS,
    "parametrization": model.PARAMETRIZATIONS,
    "base_models": base_models.BASE_MODELS,
    "recipe": recipe.RECIPES,
    "scale": recipe.SCALES,
    "schedule": training.SCHEDULES,
    "scope": recipe.SCOPES,
    "stop_on": training.STOP_ON,
    "target_scale": training.TARGET_SCALES,
}
TINY = {"k": 2, "portfolio": (), "seeds": 2, "epochs": 2, "hidden": (8,), "dropout": (0.1,)}


def check(toml: Path, **options: Any) -> None:
    """Train, predict, and look for finite and positive numbers in the right places."""
    folders: dict[str, Any] = {
        "runs_dir": toml.parent / "runs",
        "threads": 1,
        "device": "cpu",
        "quiet": True,
    }
    scored = kaggleprice.cross_validate(str(toml), **{**TINY, **options}, **folders)
    # The target's own logs have a standard deviation of 0.1, and the target one of 6,000.
    assert -2 < scored.score < 60_000
    submission = kaggleprice.predict(str(toml), output=toml.parent / "out.csv", **folders)
    prices = submission["Price"].to_numpy(dtype=np.float64)
    assert prices.shape == (TEST_ROWS,)
    assert np.isfinite(prices).all()


@pytest.mark.parametrize(
    ("option", "name"),
    [(option, name) for option, names in REGISTRIES.items() for name in names],
)
def test_every_name_of_an_option(tmp_path: Path, option: str, name: str) -> None:
    more: dict[str, Any] = {"patience": 1} if option == "stop_on" else {}
    if option == "fold_scheme" and fold_schemes.FOLD_SCHEMES[name].grouped:
        more["fold_column"] = "Area"
    more |= {"model": "cnn"} if option == "pooling" else {}
    if name in ("lightgbm", "catboost"):
        pytest.importorskip(name, reason=f"{name}, of the extra `boosting`, is not installed")
    several = option in ("activation", "base_models")
    check(write_small(tmp_path), **{option: (name,) if several else name}, **more)


@pytest.mark.parametrize(
    ("key", "name"),
    [("metric", name) for name in METRICS]
    + [("target_transform", name) for name in TARGET_TRANSFORMS],
)
def test_every_name_of_a_competition(tmp_path: Path, key: str, name: str) -> None:
    toml = write_small(tmp_path)
    toml.write_text(f'{key} = "{name}"\n{toml.read_text(encoding="utf-8")}', encoding="utf-8")
    check(toml)


@pytest.mark.parametrize("name", model.MODELS)
def test_every_model_with_vectors_of_levels(tmp_path: Path, name: str) -> None:
    check(write_small(tmp_path), model=name, category_embedding=1)
