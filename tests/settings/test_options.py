"""Options: each is a setting, each setting for users has one, and texts are read or refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.settings.model import ACTIVATIONS
from kaggleprice.settings.options import OPTIONS, ineffective_options, show_value
from kaggleprice.settings.run import PRESETS, flat_settings, make_settings

DEFAULTS = flat_settings(PRESETS["default"].settings)
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
    default = DEFAULTS[name]
    if option.names and default is not None:
        assert set(default if isinstance(default, tuple) else [default]) <= set(option.names)


@pytest.mark.parametrize("name", [o.name for o in OPTIONS if o.names])
def test_every_name_that_help_lists_is_a_setting(name: str) -> None:
    for text in BY_NAME[name].names:
        value = BY_NAME[name].parse(text)
        assert value == ((text,) if isinstance(DEFAULTS[name], tuple) else text)
        assert flat_settings(make_settings(options={name: value}))[name] == value


@pytest.mark.parametrize("name", [n for n, o in BY_NAME.items() if o.typed_as is str])
def test_a_default_that_help_shows_can_be_typed(name: str) -> None:
    shown = re.search(r"\(default: (.*)\)", BY_NAME[name].help_text)
    assert shown is not None
    # Nothing stands for what a person would not type: `patience` never, `fold_seed` as `seed`.
    if DEFAULTS[name] is not None or shown[1] == "none":
        assert BY_NAME[name].parse(shown[1]) == DEFAULTS[name]


def test_flags() -> None:
    assert BY_NAME["batch_size"].flags == ["--batch-size"]
    assert BY_NAME["shuffle"].flags == ["--shuffle/--no-shuffle"]
    assert "(default: shuffle)" in BY_NAME["shuffle"].help_text
    assert "(default: no-batch-norm)" in BY_NAME["batch_norm"].help_text
    assert BY_NAME["feature_scales"].flags == ["--feature-scales/--no-feature-scales"]
    assert "(default: feature-scales)" in BY_NAME["feature_scales"].help_text
    assert "(default: 128,128)" in BY_NAME["hidden"].help_text
    assert "(default: gelu/tanh)" in BY_NAME["activation"].help_text
    assert "(default: 0.3/0.1)" in BY_NAME["dropout"].help_text


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("hidden", "256,128", (256, 128)),
        ("hidden", " 64 ", (64,)),
        ("hidden", "", ()),
        ("dropout", "0.5", ((0.5,),)),
        ("dropout", "0.2, 1e-1", ((0.2, 0.1),)),
        ("dropout", "0.3/0.1,0.2", ((0.3,), (0.1, 0.2))),
        ("dropout", " 0.3 / 0.1 ", ((0.3,), (0.1,))),
        ("activation", "gelu", ("gelu",)),
        ("activation", "gelu / tanh/gelu", ("gelu", "tanh", "gelu")),
        ("embedding", "none", "none"),
        ("frequencies", "4", 4),
        ("frequency_scale", "1e-1", 0.1),
        ("soft_bound", "2", 2.0),
        ("soft_bound", "none", None),
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
        ("frequencies", "2.5"),
        ("frequency_scale", "low"),
        ("soft_bound", "never"),
        ("soft_bound", ""),
        ("clip", "never"),
        ("clip_norm", ""),
        ("log_skew", "1,2"),
        ("dropout", "1"),
        ("dropout", "-0.1"),
        ("dropout", ""),
        ("partners", "none,ridge"),
        ("partners", "ridge,"),
    ],
)
def test_texts_that_are_refused(name: str, text: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(UsageError, match=f"^{flag} takes .* found {text!r}"):
        BY_NAME[name].parse(text)


def test_one_bad_turn_is_named_by_itself() -> None:
    with pytest.raises(UsageError, match=r"^--dropout takes .* found 'half'"):
        BY_NAME["dropout"].parse("0.3/half")


RATES = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3).map(tuple)
SHOWN: dict[str, st.SearchStrategy[Any]] = {
    "hidden": st.lists(st.integers(1, 9999), min_size=1, max_size=4).map(tuple),
    "dropout": st.lists(RATES, min_size=1, max_size=4).map(tuple),
    "activation": st.lists(st.sampled_from(sorted(ACTIVATIONS)), min_size=1).map(tuple),
    "soft_bound": st.none() | st.floats(1e-9, 1e9),
    "clip": st.none() | st.floats(1e-9, 1e9),
    "frequencies": st.integers(1, 99),
    "frequency_scale": st.floats(1e-9, 1e9),
}


@pytest.mark.parametrize("name", SHOWN)
@given(data=st.data())
def test_a_value_is_shown_as_it_is_typed(name: str, data: st.DataObject) -> None:
    value = data.draw(SHOWN[name])
    assert BY_NAME[name].parse(show_value(value)) == value


def test_a_rate_that_cannot_be_is_told_as_it_is_typed() -> None:
    with pytest.raises(UsageError) as caught:
        BY_NAME["dropout"].parse("0.3/2")
    assert str(caught.value) == (
        "--dropout takes rates from 0 up to, not including, 1, as in 0.3 or 0.3/0.1,0.2; found '2'."
    )


def test_what_was_not_typed_is_named_by_its_place() -> None:
    with pytest.raises(UsageError, match=r"^lr in k\.toml takes a number, as in 0\.01; found 'x'"):
        BY_NAME["lr"].parse("x", "lr in k.toml")
    with pytest.raises(UnknownNameError) as caught:
        BY_NAME["activation"].parse("gelu/tahn", "KAGGLEPRICE_ACTIVATION")
    assert str(caught.value).startswith("unknown value 'tahn' of KAGGLEPRICE_ACTIVATION; there ")
    assert str(caught.value).endswith("Did you mean 'tanh'?")
    # A name that was typed is refused by the settings, which know what it is a name of.
    assert BY_NAME["model"].parse("mpl") == "mpl"


@pytest.mark.parametrize("name", BY_NAME)
def test_a_value_is_shown_as_a_file_has_it(name: str) -> None:
    option, value = BY_NAME[name], DEFAULTS[name]
    shown = option.show(value)
    assert option.several == isinstance(value, tuple)
    if option.type is bool:
        assert shown in ("true", "false")
    elif value is not None or shown == "none":
        assert option.parse(shown) == value


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"partner_share": 0.2}, ["--partner-share has no effect without --partners."]),
        ({"partner_share": 0.2, "partners": ("ridge",)}, []),
        (
            {"embedding": "none", "frequencies": 3, "frequency_scale": 0.2},
            [
                "--frequencies has no effect with --embedding none.",
                "--frequency-scale has no effect with --embedding none.",
            ],
        ),
        ({"frequencies": 3}, []),
        ({"model": "linear", "hidden": (8,)}, ["--hidden has no effect with --model linear."]),
        ({"model": "linear", "lr": 0.1}, []),
        ({"stop_on": "validation"}, ["--stop-on has no effect without --patience."]),
        ({"stop_share": 0.2, "patience": 3}, []),
        (
            {"stop_share": 0.2, "patience": 3, "stop_on": "validation"},
            ["--stop-share has no effect with --stop-on validation."],
        ),
        (
            {"fold_seed": 3, "shuffle": False},
            ["--fold-seed has no effect with --no-shuffle: folds are contiguous."],
        ),
        (
            {"seeds": 2, "activation": ("gelu", "tanh", "relu")},
            [
                "--activation gelu/tanh/relu: with 2 random starts per fold (--seeds), "
                "only gelu/tanh is used."
            ],
        ),
        (
            {"seeds": 1, "dropout": ((0.3,), (0.1, 0.2))},
            ["--dropout 0.3/0.1,0.2: with 1 random start per fold (--seeds), only 0.3 is used."],
        ),
        ({"seeds": 1}, []),
    ],
)
def test_options_without_effect_are_told(options: dict[str, Any], said: list[str]) -> None:
    assert list(ineffective_options(make_settings(options=options), options)) == said
    # What nobody typed is nobody's slip.
    assert list(ineffective_options(make_settings(options=options), ())) == []


def test_a_file_of_folds_decides_the_folds() -> None:
    said = list(ineffective_options(make_settings(), ["fold_seed", "k"], folds=True))
    assert said == [
        "--fold-seed has no effect with --folds: the file says which rows are which fold."
    ]
