"""Words for settings: what a run was asked for, as it is typed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from kaggleprice.runs import describe
from kaggleprice.settings.run import PRESETS, SETTINGS, RunSettings, make_settings


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_called_by_its_name(name: str) -> None:
    settings = PRESETS[name].settings
    assert describe.nearest_preset(settings) == (name, {})
    assert describe.short_settings(settings) == name
    assert describe.typed_settings(settings) == ("" if name == "default" else f"--preset {name}")


def test_a_preset_of_ones_own_is_called_by_its_name() -> None:
    mine = make_settings(options={"lr": 0.02, "seeds": 1, "portfolio": ("robust",)})
    name, options = describe.nearest_preset(replace(mine, own_preset="mine"))
    assert (name, options) == ("mine", {"lr": 0.02, "seeds": 1})


@pytest.mark.parametrize(
    ("preset", "options", "short"),
    [
        ("default", {"k": 3}, "default: k 3"),
        ("default", {"fold_scheme": "contiguous"}, "default: fold-scheme contiguous"),
        (
            "default",
            {"portfolio": ("piecewise", "smooth", "robust"), "seeds": 1},
            "fast: budget 1.0",
        ),
        ("default", {"lr": 0.02, "epochs": 9}, "default: lr 0.02, epochs 9"),
        ("fast", {"seeds": 3, "epochs": 9}, "fast: epochs 9, seeds 3"),
        ("book", {"seeds": 20, "engineering": True}, "book: engineering, seeds 20"),
        ("default", {"recipe": "book"}, "default: recipe book"),
        ("best", {"k": 3}, "best: k 3"),
        ("best", {"base_models": ("boosting", "ridge")}, "best: base-models boosting,ridge"),
        (
            "default",
            {"activation": ("tanh",), "dropout": ((0.3, 0.1), (0.2,)), "clip": None},
            "default: activation tanh, dropout 0.3,0.1/0.2, clip none, "
            "portfolio fine,wide,piecewise,smooth,robust",
        ),
    ],
)
def test_words_for_settings(preset: str, options: dict[str, Any], short: str) -> None:
    settings = make_settings(preset, options)
    found, expected = (
        re.split(": |, ", text) for text in (describe.short_settings(settings), short)
    )
    assert (found[0], sorted(found)) == (expected[0], sorted(expected))
    assert read_back(describe.typed_settings(settings)) == settings


def read_back(typed: str) -> RunSettings:
    """What the command line makes of these options."""
    words, preset, options = typed.split(), "default", {}
    while words:
        flag = words.pop(0).removeprefix("--")
        if flag == "preset":
            preset = words.pop(0)
            continue
        name = flag.removeprefix("no-").replace("-", "_")
        option = SETTINGS[name]
        value = not flag.startswith("no-") if option.is_switch else option.parse(words.pop(0))
        options[name] = value
    return make_settings(preset, options)


@pytest.mark.parametrize(
    ("competition", "command"),
    [
        ("house-prices", "kaggleprice cv --preset book --seeds 20"),
        ("sample", "kaggleprice cv --preset book --seeds 20 -c sample"),
        ("small", "kaggleprice cv --preset book --seeds 20 -c FILE.toml"),
    ],
)
def test_a_command_says_whose_run_it_makes(competition: str, command: str) -> None:
    assert describe.typed_command(make_settings("book", {"seeds": 20}), competition) == command
