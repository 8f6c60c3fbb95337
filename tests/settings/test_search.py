"""What a search may change: declared once, narrowed by a file, never splitting a batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.settings.declaration import Searched
from kaggleprice.settings.portfolio import PORTFOLIO, Variant, vary
from kaggleprice.settings.run import SETTINGS, make_settings
from kaggleprice.settings.search import (
    SPACE,
    START,
    change_of,
    narrow,
    read_space,
    rounded,
    without,
)


def ends(name: str) -> list[Any]:
    """Two values of a setting that is searched, neither of which is no dropout at all."""
    own = SPACE[name]
    return list(own.choices) or [own.low + 0.1 * (own.high - own.low), own.high]


def made(start: str, **values: Any) -> Variant:
    settings = make_settings()
    change = change_of({START: start, **values}, PORTFOLIO)
    variant = vary({"own": change}, settings.model, settings.training)[0]
    return replace(variant, training=variant.training.for_data(1000, 50))


@pytest.mark.parametrize("name", SPACE)
def test_a_setting_that_is_searched_is_each_members_own(name: str) -> None:
    for start in PORTFOLIO:
        found = [made(start, **{name: value}) for value in ends(name)]
        assert len({variant.batch for variant in found}) == 1
        assert len({(variant.model, variant.training) for variant in found}) == len(found)


@pytest.mark.parametrize("name", SPACE)
def test_its_bounds_can_be(name: str) -> None:
    own = SPACE[name]
    for value in own.choices or (own.low, own.high):
        SETTINGS[name].parse(value)


def test_a_proposal_keeps_what_its_start_changes_beside() -> None:
    plain, proposed = made("wide"), made("wide", lr=0.004, dropout=0.25)
    assert (proposed.model.hidden, proposed.model.frequencies) == ((256, 256), 8)
    assert proposed.model.dropout == ((0.25,),)
    assert proposed.training.lr == 0.004
    assert proposed.training.epochs == plain.training.epochs


def test_numbers_have_four_digits() -> None:
    found = rounded({"lr": 0.0123456, "activation": "gelu", "dropout": 0.1})
    assert found == {"lr": 0.01235, "activation": "gelu", "dropout": 0.1}


def test_a_file_narrows(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text(
        'lr = [0.01, 0.02]\nactivation = ["gelu", "selu"]\nweight-decay = 0.1\nloss = "mae"\n'
    )
    assert read_space(file) == {
        "lr": Searched(0.01, 0.02, log=True),
        "activation": Searched(choices=("gelu", "selu")),
        "weight_decay": Searched(0.1, 0.1, log=True),
        "loss": Searched(choices=("mae",)),
    }
    assert list(narrow(SPACE, ["dropout", "weight-decay"])) == ["dropout", "weight_decay"]
    assert "lr" not in without(SPACE, ["lr", "seeds"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr = [0.1]", "two numbers"),
        ("lr = [0.2, 0.1]", "lower"),
        ("lr = [0, 0.1]", "above 0"),
        ("lr = [true, 1]", "two numbers"),
        ('dropout = ["a", "b"]', "two numbers"),
        ("dropout = [0.1, 1.5]", "below 1"),
        ('activation = ["gelu", "gelu"]', "unlike"),
        ("activation = []", "unlike"),
        ("", "names no setting"),
        ("lr = ", "not TOML"),
    ],
)
def test_what_cannot_be_searched_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_space(file)


@pytest.mark.parametrize("text", ["hidden = [1, 2]", "lrr = [0.1, 0.2]", 'activation = ["jelly"]'])
def test_unknown_names_are_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(UnknownNameError):
        read_space(file)
    with pytest.raises(UsageError, match="space"):
        read_space(tmp_path / "absent.toml")
    with pytest.raises(UnknownNameError):
        narrow(SPACE, ["hidden"])
