"""Presets of a user's own: read from a configuration, written by a search, the same both ways."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.core.toml import parse_toml
from kaggleprice.settings.own_presets import preset_toml, read_preset
from kaggleprice.settings.portfolio import PORTFOLIO
from kaggleprice.settings.run import flat_settings, make_settings
from kaggleprice.settings.search import SPACE, START, rounded


def test_options_of_a_preset() -> None:
    preset = read_preset("mine", {"start": "fast", "seeds": 3, "batch-size": 64}, "here.toml")
    settings = make_settings(preset)
    assert (settings.seeds, settings.training.batch_size, settings.own_preset) == (3, 64, "mine")
    assert [v.name for v in settings.portfolio] == ["piecewise", "smooth", "robust"]
    assert not settings.notes
    # What is given beside it comes first.
    assert make_settings(preset, {"seeds": 5}).seeds == 5


def test_a_portfolio_of_ones_own() -> None:
    table = {
        "portfolio": {
            "calm": {"start": "smooth", "lr": 0.004},
            "plain": {"hidden": [32], "dropout": 0.4},
        }
    }
    preset = read_preset("mine", table, "here.toml")
    calm, plain = make_settings(preset).portfolio
    assert (calm.name, calm.model.frequencies, calm.training.lr) == ("calm", 4, 0.004)
    assert (plain.model.hidden, plain.model.dropout) == ((32,), ((0.4,),))
    # By hand: the same for all.
    calm, plain = make_settings(preset, {"lr": 0.1, "dropout": 0.2}).portfolio
    assert {calm.training.lr, plain.training.lr} == {0.1}
    assert {calm.model.dropout, plain.model.dropout} == {((0.2,),)}
    assert make_settings(preset, {"portfolio": "fine"}).portfolio[0].name == "fine"


def test_a_built_in_portfolio_by_name() -> None:
    preset = read_preset("mine", {"portfolio": ["fine", "tanh"]}, "here.toml")
    assert [v.name for v in make_settings(preset).portfolio] == ["fine", "tanh"]


def test_what_was_tuned_says_so() -> None:
    preset = read_preset("mine", {"tuned": "sample (nested score 0.1)"}, "here.toml")
    (note,) = make_settings(preset, {"seeds": 2}).notes
    assert "ptimistic" in note
    assert "sample (nested score 0.1)" in note


def proposals() -> st.SearchStrategy[dict[str, Any]]:
    values = {
        name: st.sampled_from(own.choices)
        if own.choices
        else st.floats(own.low, own.high, allow_nan=False)
        for name, own in SPACE.items()
    }
    chosen = st.fixed_dictionaries({START: st.sampled_from(list(PORTFOLIO))}, optional=values)
    return chosen.map(rounded)


@given(st.lists(proposals(), min_size=1, max_size=4), st.text(max_size=20))
def test_what_is_written_is_read(found: list[dict[str, Any]], tuned: str) -> None:
    portfolio = {f"trial-{number}": values for number, values in enumerate(found)}
    text = preset_toml("won", tuned, portfolio, "tool.kaggleprice.presets")
    table = parse_toml(text)["tool"]["kaggleprice"]["presets"]["won"]
    read = read_preset("won", table, "here.toml")
    direct = read_preset("won", {"tuned": tuned, "portfolio": portfolio}, "here.toml")
    assert read == direct
    assert flat_settings(make_settings(read)) == flat_settings(make_settings(direct))
    assert make_settings(read).tuned == tuned


@pytest.mark.parametrize(
    ("name", "table", "said"),
    [
        ("best", {}, "cannot be named"),
        ("a b", {}, "cannot be named"),
        ("mine", 3, "no table"),
        ("mine", {"lr": -1}, r"lr in \[presets.mine\] of here.toml"),
        ("mine", {"start": "worst"}, "worst"),
        ("mine", {"portfolio": ["no"]}, "no"),
        ("mine", {"portfolio": {"own": 3}}, "no table"),
        ("mine", {"portfolio": {"own": {"start": "no"}}}, "no"),
        ("mine", {"portfolio": {"own": {"lr": "x"}}}, "presets.mine.portfolio.own"),
    ],
)
def test_what_cannot_be_is_said(name: str, table: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_preset(name, table, "here.toml")


@pytest.mark.parametrize("table", [{"lrr": 1}, {"portfolio": {"own": {"dtype": "float64"}}}])
def test_unknown_keys_are_said(table: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"here\.toml"):
        read_preset("mine", table, "here.toml")
