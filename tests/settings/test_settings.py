"""Settings: one flat space of names, overrides, records, and a reason for each refusal."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from other_settings import OTHER

from kaggleprice.core.errors import UsageError
from kaggleprice.settings.declaration import ConflictError
from kaggleprice.settings.model import (
    ModelSettings,
)
from kaggleprice.settings.recipe import RECIPES, Recipe
from kaggleprice.settings.run import (
    PRESETS,
    RunSettings,
    flat_settings,
    make_settings,
    settings_from_record,
    settings_to_record,
)
from kaggleprice.settings.training import TrainingSettings


def test_no_two_parts_have_a_field_of_the_same_name() -> None:
    names = [
        field.name
        for part in (Recipe, ModelSettings, TrainingSettings, RunSettings)
        for field in fields(part)
        # `model` is a part of the run, and the name of the architecture within it.
        if (part, field.name) != (RunSettings, "model")
    ]
    assert len(names) == len(set(names))


def test_every_setting_is_changed_by_its_name() -> None:
    before = flat_settings(make_settings())
    assert before.keys() == OTHER.keys()
    for name, value in OTHER.items():
        after = flat_settings(make_settings(options={name: value}))
        assert after[name] == value != before[name]
        if name != "recipe":
            # Variants that differ in what is given by hand are the same one then.
            changed = {n for n in after if after[n] != before[n]} - {"portfolio"}
            assert changed == {name} - {"portfolio"}
    assert flat_settings(make_settings(options=OTHER)) == OTHER


def test_recipe_is_chosen_before_its_parts_are_changed() -> None:
    settings = make_settings(options={"clip": 4.0, "recipe": "book"})
    assert settings.recipe == replace(RECIPES["book"], clip=4.0)
    assert settings.recipe_name == "book"


@pytest.mark.parametrize(
    "settings", [*(p.settings for p in PRESETS.values()), make_settings(options=OTHER)]
)
def test_records_are_read_as_they_were_written(settings: RunSettings) -> None:
    record = settings_to_record(settings)
    assert settings_from_record(record) == settings
    assert settings_from_record(json.loads(json.dumps(record, allow_nan=False))) == settings


def test_a_record_from_before_weights_were_learned_has_equal_ones() -> None:
    record = settings_to_record(make_settings("best"))
    del record["inner_blocks"]
    assert not settings_from_record(record).learns_weights


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"training": {"speed": 3}}, "training.speed"),
        ({"training": {"lr": -1}}, "training.lr"),
        ({"model": {"activation": ["nothing"]}}, "'nothing' of activation"),
        ({"model": None}, "model"),
        ({"k": 1}, "'k' must be .* 2; found 1"),
        ({"base_models": ["ridge", "ridge"]}, "base models must differ"),
    ],
)
def test_record_that_is_none(change: dict[str, Any], named: str) -> None:
    record = {**settings_to_record(make_settings()), **change}
    with pytest.raises(UsageError, match=named):
        settings_from_record(json.loads(json.dumps(record)))


@pytest.mark.parametrize("part", ["recipe", "model", "training"])
def test_record_that_lacks_a_part(part: str) -> None:
    record = settings_to_record(make_settings())
    del record[part]
    with pytest.raises(UsageError, match=part):
        settings_from_record(record)


@pytest.mark.parametrize(
    ("preset", "options", "sentence"),
    [
        ("boook", {}, r"unknown preset 'boook'.*Did you mean 'book'"),
        ("book", {"epoch": 3}, "unknown option 'epoch'.*Did you mean 'epochs'"),
        ("book", {"help": "x"}, "unknown option 'help'"),
        ("book", {"recipe_name": "x"}, "unknown option 'recipe_name'"),
        ("book", {"training": "x"}, "unknown option 'training'"),
        ("book", {"loss": "huber 0"}, "huber takes a delta above 0 .* found '0'"),
        ("book", {"loss": "mae 0.3"}, "'mae 0.3'"),
        ("book", {"base_models": "ridge,ridge"}, "base models must differ"),
    ],
)
def test_what_is_refused(preset: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_settings(preset, options)


@pytest.mark.parametrize("dropout", ["0.1,0.1,0.1", "0.1/0.1,0.1,0.1"])
def test_rates_that_do_not_fit_the_layers(dropout: str) -> None:
    with pytest.raises(ConflictError, match=r"hidden layer \(2\); found 3") as caught:
        make_settings(options={"dropout": dropout})
    assert caught.value.names == ("dropout", "hidden")
    assert make_settings(options={"dropout": dropout, "hidden": (8, 8, 8)}).model.dropout[-1] == (
        (0.1,) * 3
    )


def test_notes_say_what_a_score_has_seen() -> None:
    assert make_settings().notes == []
    assert "Recipe 'book' has seen" in make_settings("book").notes[0]
    watching = {"patience": 3, "stop_on": "validation"}
    assert make_settings(options=watching).notes[0].startswith("Optimistic")
    # Without patience nothing stops, so nothing is seen.
    assert make_settings(options={"stop_on": "validation"}).notes == []


def test_rates_of_layers_are_of_those_that_the_settings_have() -> None:
    """A setting of the portfolio with other layers keeps them where rates are said one by one."""
    settings = make_settings(options={"dropout": "0.4,0.2"})
    assert {variant.model.dropout for variant in settings.variants} == {((0.4, 0.2),)}
    assert {len(variant.model.hidden) for variant in settings.variants} == {2}
    one = make_settings(options={"dropout": "0.4"})
    assert 1 in {len(variant.model.hidden) for variant in one.variants}
