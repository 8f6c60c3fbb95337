"""Registries: every name has its line of help, and one that is none names the nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.errors import UnknownNameError
from kaggleprice.core.registry import look_up
from kaggleprice.settings.model import ACTIVATIONS, INITIALIZATIONS, MODELS
from kaggleprice.settings.recipe import IMPUTES, RECIPES, SCALES, SCOPES
from kaggleprice.settings.run import COMBINES, PRESETS
from kaggleprice.settings.training import OPTIMIZERS, STOP_ON, TARGET_SCALES

HELPED: dict[str, Mapping[str, Any]] = {
    "scales": SCALES,
    "imputations": IMPUTES,
    "scopes": SCOPES,
    "metrics": METRICS,
    "stop on": STOP_ON,
    "target scales": TARGET_SCALES,
    "recipes": RECIPES,
    "presets": PRESETS,
}


@pytest.mark.parametrize("kind", HELPED)
def test_help_is_one_line(kind: str) -> None:
    """Of those that name no code; the others are in tests/project/test_architecture.py."""
    assert HELPED[kind]
    for entry in HELPED[kind].values():
        line = getattr(entry, "help", entry)
        assert line.strip() == line != ""
        assert "\n" not in line


def test_what_the_issue_names_is_there() -> None:
    assert {"relu", "sigmoid", "tanh", "leaky_relu", "prelu"} <= set(ACTIVATIONS)
    assert {"elu", "selu", "gelu", "silu", "mish"} <= set(ACTIVATIONS)
    assert {"normal", "xavier", "he", "lecun"} <= set(INITIALIZATIONS)
    assert {"sgd", "momentum", "nesterov", "adagrad"} <= set(OPTIMIZERS)
    assert {"adadelta", "rmsprop", "adam", "adamw"} <= set(OPTIMIZERS)
    assert {"standard", "minmax", "robust", "quantile", "none"} <= set(SCALES)
    assert {"mean", "median", "most-frequent", "constant", "knn"} <= set(IMPUTES)
    assert {"mlp", "linear"} <= set(MODELS)
    assert set(COMBINES) == {"geometric", "arithmetic", "median"}
    assert {"book", "standard"} <= set(RECIPES)


def test_unknown_name() -> None:
    assert look_up(SCALES, "robust", "scale") == SCALES["robust"]
    with pytest.raises(UnknownNameError) as caught:
        look_up(SCALES, "robst", "scale")
    assert str(caught.value) == (
        "unknown scale 'robst'; there are: minmax, none, quantile, robust, standard. "
        "Did you mean 'robust'?"
    )
    assert caught.value.valid == sorted(SCALES)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("rmsel", "rmsle"),
        ("rmes", "rmse"),
        ("rsme", "rmse"),
        ("rmslo", "rmsle"),
        ("mea", "mae"),
        ("RMSE", "rmse"),
    ],
)
def test_swapped_letters_are_nearer_than_lost_ones(name: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{nearest}'"):
        look_up(METRICS, name, "metric")


def test_unknown_name_like_nothing() -> None:
    with pytest.raises(UnknownNameError, match=r"none, quantile, robust, standard\.$"):
        look_up(SCALES, "xyz", "scale")
    with pytest.raises(UnknownNameError, match="there are none yet"):
        look_up({}, "xyz", "run")
