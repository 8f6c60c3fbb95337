"""Options: each is a setting, each setting for users has one, and texts are read or refused."""

from __future__ import annotations

from typing import Any

import pytest

from kaggleprice.errors import UsageError
from kaggleprice.options import OPTIONS
from kaggleprice.settings import PRESETS, flat_settings, make_settings

BY_NAME = {option.name: option for option in OPTIONS}
# What makes a recipe `book` or `standard`; a person chooses the recipe.
INSIDE_RECIPES = {"scope", "always_missing_level", "observed_statistics", "ddof"}


def test_options_are_the_settings_for_users() -> None:
    assert len(BY_NAME) == len(OPTIONS)
    assert set(BY_NAME) == set(flat_settings(make_settings())) - INSIDE_RECIPES


def test_what_the_issue_asks_for_is_there() -> None:
    asked = (
        "k shuffle seeds lr epochs batch-size hidden activation dropout weight-decay optimizer "
        "init model recipe seed fold-seed scale impute clip indicators l1 batch-norm patience "
        "combine target-scale"
    )
    flags = {flag.split("/")[0].removeprefix("--") for option in OPTIONS for flag in option.flags}
    assert set(asked.split()) <= flags


@pytest.mark.parametrize("name", BY_NAME)
def test_help(name: str) -> None:
    option = BY_NAME[name]
    assert option.help.endswith(".")
    assert "\n" not in option.help_text
    assert "(default: " in option.help_text
    assert all(valid in option.help_text for valid in option.names)
    assert option.metavar or option.type is bool
    assert option.panel
    default = flat_settings(PRESETS["default"].settings)[name]
    if option.names and default is not None:
        assert default in option.names


@pytest.mark.parametrize("name", [o.name for o in OPTIONS if o.names])
def test_every_name_that_help_lists_is_a_setting(name: str) -> None:
    for value in BY_NAME[name].names:
        assert flat_settings(make_settings(options={name: value}))[name] == value


def test_flags() -> None:
    assert BY_NAME["batch_size"].flags == ["--batch-size"]
    assert BY_NAME["shuffle"].flags == ["--shuffle/--no-shuffle"]
    assert "(default: shuffle)" in BY_NAME["shuffle"].help_text
    assert "(default: no-batch-norm)" in BY_NAME["batch_norm"].help_text
    assert "(default: 256,128)" in BY_NAME["hidden"].help_text


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("hidden", "256,128", (256, 128)),
        ("hidden", " 64 ", (64,)),
        ("hidden", "", ()),
        ("dropout", "0.5", (0.5,)),
        ("dropout", "0.2, 1e-1", (0.2, 0.1)),
        ("clip", "3.5", 3.5),
        ("clip", "none", None),
        ("clip_norm", "1", 1.0),
        ("log_skew", "none", None),
        ("lr", 0.5, 0.5),
    ],
)
def test_texts_that_are_read(name: str, text: Any, value: Any) -> None:
    assert BY_NAME[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hidden", "256x128"),
        ("hidden", "2.5"),
        ("dropout", "half"),
        ("clip", "never"),
        ("clip_norm", ""),
        ("log_skew", "1,2"),
    ],
)
def test_texts_that_are_refused(name: str, text: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(UsageError, match=f"^{flag} takes .* found {text!r}"):
        BY_NAME[name].parse(text)
