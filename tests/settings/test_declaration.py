"""Declarations: each setting's field is its option, and reads texts, TOML and Python values."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.model import ACTIVATIONS
from kaggleprice.settings.run import (
    OPTIONS,
    PRESETS,
    SETTINGS,
    RunSettings,
    flat_settings,
    make_settings,
)

DEFAULTS = flat_settings(make_settings())


def test_options_are_the_settings_for_users() -> None:
    # What makes a recipe `book` or `standard` is no option of its own: a person chooses the recipe.
    inside = {"scope", "bits", "always_missing_level", "observed_statistics", "ddof"}
    assert set(SETTINGS) == set(DEFAULTS)
    assert set(OPTIONS) == set(DEFAULTS) - inside
    assert {s.panel for s in OPTIONS.values()} == {
        *("Folds and members", "Network", "Training", "Recipe")
    }


@pytest.mark.parametrize("name", OPTIONS)
def test_what_help_says_is_true(name: str) -> None:
    setting, default = OPTIONS[name], DEFAULTS[name]
    assert re.fullmatch(r"[^\n]+\.", setting.help)
    assert setting.default == default
    assert setting.metavar or setting.is_switch
    for valid in setting.names:
        value = setting.parse(valid)
        assert value == ((valid,) if setting.is_list else valid)
        assert flat_settings(make_settings(options={name: value}))[name] == value
    shown = setting.show(default)
    if setting.is_switch:
        assert setting.default_text in (setting.flag[2:], f"no-{setting.flag[2:]}")
    elif default is not None or shown == "none":
        assert setting.parse(shown) == setting.parse(setting.default_text) == default
    for preset in PRESETS.values():
        value = flat_settings(preset.settings)[name]
        assert setting.parse(value) == value


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("hidden", "256,128", (256, 128)),
        ("hidden", " 64 ", (64,)),
        ("hidden", "", ()),
        ("hidden", 64, (64,)),
        ("hidden", [np.int64(64), 32], (64, 32)),
        ("dropout", "0.5", ((0.5,),)),
        ("dropout", "0.2, 1e-1", ((0.2, 0.1),)),
        ("dropout", " 0.3 / 0.1,0.2 ", ((0.3,), (0.1, 0.2))),
        ("dropout", 0.2, ((0.2,),)),
        ("dropout", [0.2, 0.1], ((0.2, 0.1),)),
        ("dropout", [[0.3, 0.2], [0.1]], ((0.3, 0.2), (0.1,))),
        ("dropout", ["0.3", "0.1,0.2"], ((0.3,), (0.1, 0.2))),
        ("activation", "gelu / tanh/gelu", ("gelu", "tanh", "gelu")),
        ("activation", ["gelu", "relu"], ("gelu", "relu")),
        ("base_models", "ridge", ("ridge",)),
        ("base_models", "none", ()),
        ("embedding", "none", "none"),
        ("frequencies", "4", 4),
        ("soft_bound", "2", 2.0),
        *[(name, "none", None) for name in ("soft_bound", "clip", "patience", "combine")],
        ("patience", None, None),
        ("lr", 1, 1.0),
        ("lr", np.float64(0.5), 0.5),
        ("batch_norm", np.True_, True),
    ],
)
def test_values_that_are_read(name: str, value: Any, read: Any) -> None:
    found = SETTINGS[name].parse(value)
    assert (found, type(found)) == (read, type(read))


REFUSED: list[tuple[str, Any]] = [
    *[("lr", value) for value in (0, -0.1, math.nan, math.inf, "nan", "x", "", None, True, [1])],
    *[("epochs", value) for value in (0, -1, 2.5, "2.5", "two", True)],
    ("batch_size", 0),
    *[("weight_decay", value) for value in (-1e-9, math.nan, math.inf)],
    *[("l1", value) for value in (-1.0, math.nan)],
    *[("clip_norm", value) for value in (0.0, -1.0, math.nan, "")],
    *[(name, 0) for name in ("patience", "history_every", "seeds", "min_rows", "frequencies")],
    ("target_encode_levels", 0),
    ("group_context", 0),
    *[("stop_share", value) for value in (0.0, 1.0, math.nan)],
    *[("base_model_share", value) for value in (0, 1, "half")],
    *[("k", value) for value in (-1, 0, 1, [2])],
    *[(name, value) for name in ("seed", "fold_seed") for value in (-1, 2**32)],
    *[("dropout", value) for value in (1.0, -0.1, math.nan, (), "half", "", "0.3/2")],
    ("dropout", ((0.1,), (0.1, 1.5))),
    *[("activation", value) for value in ((), "")],
    *[("frequency_scale", value) for value in (0.0, -0.1, math.nan, math.inf, "low")],
    *[("soft_bound", value) for value in (0.0, -1.0, math.nan, math.inf, "never", "")],
    *[("hidden", value) for value in (0, (64, -1), "256x128", "2.5", (8, 2.5), [True, 8], "wide")],
    *[("clip", value) for value in (0.0, -1.0, math.nan, math.inf, [1], "never")],
    *[("log_skew", value) for value in (math.nan, math.inf, "1,2")],
    *[("batch_norm", value) for value in ("yes", 1, None)],
    *[("combine", value) for value in (3, ["median"])],
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_values_that_are_refused(name: str, value: Any) -> None:
    """In one sentence: where it stands, what is taken there, and what was found."""
    setting = SETTINGS[name]
    for place in (name, setting.flag, f"{name} in k.toml"):
        with pytest.raises(UsageError) as caught:
            setting.parse(value, place)
        assert str(caught.value) == f"{place} takes {setting.takes}; found {value!r}."
    with pytest.raises(UsageError, match=f"^{name} takes ") as caught:
        make_settings(options={name: value})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("k", "a whole number from 2"),
        ("stop_share", "a number above 0 and below 1"),
        ("seed", "a whole number from 0 up to 4294967295"),
        ("clip", "a number above 0, or none"),
        ("hidden", "whole numbers from 1, as in 256,128"),
        ("dropout", "numbers from 0 and below 1, as in 0.3 or 0.3/0.1,0.2"),
        ("batch_norm", "true or false"),
    ],
)
def test_bounds_in_words(name: str, takes: str) -> None:
    assert SETTINGS[name].takes == takes


@pytest.mark.parametrize("name", [*(n for n, s in SETTINGS.items() if s.names)])
def test_an_unknown_name_lists_the_valid_ones(name: str) -> None:
    setting = SETTINGS[name]
    with pytest.raises(UnknownNameError, match=f"'nothing' of {name} in k.toml; there") as caught:
        setting.parse("nothing", f"{name} in k.toml")
    assert caught.value.valid == sorted(setting.names)
    with pytest.raises(UnknownNameError, match="unknown value 'nothing' of "):
        make_settings(
            options={name: [setting.names[0], "nothing"] if setting.is_list else "nothing"}
        )


RATES = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3).map(tuple)
SHOWN: dict[str, st.SearchStrategy[Any]] = {
    "hidden": st.lists(st.integers(1, 9999), max_size=4).map(tuple),
    "dropout": st.lists(RATES, min_size=1, max_size=4).map(tuple),
    "activation": st.lists(st.sampled_from(sorted(ACTIVATIONS)), min_size=1).map(tuple),
    "soft_bound": st.none() | st.floats(1e-9, 1e9),
    "frequencies": st.integers(1, 99),
    "frequency_scale": st.floats(1e-9, 1e9),
}


@pytest.mark.parametrize("name", SHOWN)
@given(data=st.data())
def test_a_value_is_shown_as_it_is_typed(name: str, data: st.DataObject) -> None:
    value = data.draw(SHOWN[name])
    assert SETTINGS[name].parse(show_value(value)) == value
    assert SETTINGS[name].parse(value) == value


def test_json_schema() -> None:
    schema = TypeAdapter(RunSettings).json_schema()
    training = schema["$defs"]["TrainingSettings"]["properties"]
    assert training["lr"]["exclusiveMinimum"] == 0
    assert "adamw" in training["optimizer"]["enum"]
    assert schema["properties"]["k"] == {
        "default": 5,
        "minimum": 2,
        "title": "K",
        "type": "integer",
    }
