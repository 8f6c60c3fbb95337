"""Registries: every name of every one loads, and has its line of help."""

from __future__ import annotations

import pytest

from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.core.errors import UnknownNameError
from kaggleprice.core.registry import Entry, look_up
from kaggleprice.settings.model import ACTIVATIONS, INITIALIZATIONS, MODELS
from kaggleprice.settings.recipe import IMPUTES, RECIPES, SCALES, SCOPES
from kaggleprice.settings.run import COMBINES, PRESETS
from kaggleprice.settings.training import LOSSES, OPTIMIZERS, SCHEDULES, STOP_ON, TARGET_SCALES

LOADED: dict[str, dict[str, Entry]] = {
    "target transforms": TARGET_TRANSFORMS,
    "models": MODELS,
    "activations": ACTIVATIONS,
    "initializations": INITIALIZATIONS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "losses": LOSSES,
    "combinations": COMBINES,
}
ENTRIES = [
    pytest.param(entry, id=f"{kind}-{name}")
    for kind, registry in LOADED.items()
    for name, entry in registry.items()
]
PLAIN: dict[str, dict[str, str]] = {
    "scales": {name: step.help for name, step in SCALES.items()},
    "imputations": {name: step.help for name, step in IMPUTES.items()},
    "scopes": SCOPES,
    "metrics": {name: metric.help for name, metric in METRICS.items()},
    "stop on": STOP_ON,
    "target scales": TARGET_SCALES,
    "recipes": {name: recipe.help for name, recipe in RECIPES.items()},
    "presets": {name: preset.help for name, preset in PRESETS.items()},
    **{
        kind: {name: entry.help for name, entry in registry.items()}
        for kind, registry in LOADED.items()
    },
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_loads(entry: Entry) -> None:
    assert entry.load() is not None


@pytest.mark.parametrize("kind", PLAIN)
def test_help_is_one_line(kind: str) -> None:
    assert PLAIN[kind]
    for line in PLAIN[kind].values():
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


def test_unknown_name_like_nothing() -> None:
    with pytest.raises(UnknownNameError, match=r"none, quantile, robust, standard\.$"):
        look_up(SCALES, "xyz", "scale")
    with pytest.raises(UnknownNameError, match="there are none yet"):
        look_up({}, "xyz", "run")


def test_loading_what_is_not_there_is_a_programming_error() -> None:
    with pytest.raises(AttributeError):
        Entry("", "kaggleprice.competitions.metrics:nothing").load()
