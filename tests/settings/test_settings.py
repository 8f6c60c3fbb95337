"""Settings: one flat space of names, overrides, records, and a reason for each refusal."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_settings import OTHER

from kaggleprice.core.errors import KagglePriceError, UnknownNameError, UsageError
from kaggleprice.settings.base_models import BASE_MODELS
from kaggleprice.settings.declaration import ConflictError
from kaggleprice.settings.model import (
    ACTIVATIONS,
    EMBEDDINGS,
    INITIALIZATIONS,
    MODELS,
    PARAMETRIZATIONS,
    ModelSettings,
)
from kaggleprice.settings.recipe import IMPUTES, RECIPES, SCALES, Recipe
from kaggleprice.settings.run import (
    COMBINES,
    DEFAULT_PRESET,
    PRESETS,
    RunSettings,
    flat_settings,
    make_settings,
    settings_from_record,
    settings_to_record,
)
from kaggleprice.settings.training import LOSSES, OPTIMIZERS, SCHEDULES, TrainingSettings


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
            assert {n for n in after if after[n] != before[n]} == {name}
    assert flat_settings(make_settings(options=OTHER)) == OTHER


def test_recipe_is_chosen_before_its_parts_are_changed() -> None:
    settings = make_settings(options={"clip": 4.0, "recipe": "book"})
    assert settings.recipe == replace(RECIPES["book"], clip=4.0)
    assert settings.recipe_name == "book"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_and_their_records(name: str) -> None:
    settings = make_settings(name)
    assert settings == PRESETS[name].settings
    record = settings_to_record(settings)
    assert settings_from_record(record) == settings
    assert settings_from_record(json.loads(json.dumps(record, allow_nan=False))) == settings


def test_book_preset_is_the_chapters() -> None:
    flat = flat_settings(make_settings("book"))
    expected = {
        "recipe": "book",
        "model": "linear",
        "embedding": "none",
        "soft_bound": None,
        "feature_scales": False,
        "dropout": ((0.0,),),
        "init": "normal",
        "optimizer": "sgd",
        "lr": 0.01,
        "batch_size": 64,
        "epochs": 10,
        "weight_decay": 0.0,
        "l1": 0.0,
        "schedule": "constant",
        "loss": "mse",
        "target_scale": "none",
        "clip_norm": None,
        "patience": None,
        "k": 5,
        "fold_scheme": "contiguous",
        "seeds": 1,
        "combine": "arithmetic",
        "impute": "mean",
        "scale": "standard",
        "ddof": 1,
        "log_skew": None,
    }
    assert {name: flat[name] for name in expected} == expected


def turns(layers: int) -> st.SearchStrategy[tuple[tuple[float, ...], ...]]:
    """Dropout of random starts in turn: one rate for all layers, or one each."""
    rate = st.floats(0, 0.99)
    rates = st.tuples(rate) | st.tuples(*[rate] * layers)
    return st.lists(rates, min_size=1, max_size=4).map(tuple)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "recipe": st.sampled_from(sorted(RECIPES)),
            "scale": st.sampled_from(sorted(SCALES)),
            "impute": st.sampled_from(sorted(IMPUTES)),
            "clip": st.none() | st.floats(0.1, 1e6),
            "model": st.sampled_from(sorted(MODELS)),
            "embedding": st.sampled_from(sorted(EMBEDDINGS)),
            "frequencies": st.integers(1, 99),
            "frequency_scale": st.floats(1e-6, 1e6),
            "soft_bound": st.none() | st.floats(1e-6, 1e6),
            "feature_scales": st.booleans(),
            "activation": st.lists(
                st.sampled_from(sorted(ACTIVATIONS)), min_size=1, max_size=4
            ).map(tuple),
            "init": st.sampled_from(sorted(INITIALIZATIONS)),
            "parametrization": st.sampled_from(sorted(PARAMETRIZATIONS)),
            "lr": st.floats(1e-12, 1e3),
            "optimizer": st.sampled_from(sorted(OPTIMIZERS)),
            "schedule": st.sampled_from(sorted(SCHEDULES)),
            "loss": st.sampled_from(sorted(LOSSES)),
            "combine": st.none() | st.sampled_from(sorted(COMBINES)),
            "seed": st.integers(0, 2**32 - 1),
            "k": st.integers(2, 99),
            "base_models": st.lists(st.sampled_from(sorted(BASE_MODELS)), unique=True).map(tuple),
            "base_model_share": st.floats(0.01, 0.99),
        },
    ),
    st.lists(st.integers(1, 999), max_size=4).flatmap(
        lambda hidden: st.tuples(st.just(tuple(hidden)), turns(len(hidden)))
    ),
)
def test_record_round_trip_through_json(
    options: dict[str, Any], layers: tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]
) -> None:
    hidden, dropout = layers
    settings = make_settings(options={**options, "hidden": hidden, "dropout": dropout})
    text = json.dumps(settings_to_record(settings), allow_nan=False)
    assert settings_from_record(json.loads(text)) == settings


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"training": {"speed": 3}}, "training.speed"),
        ({"training": {"lr": -1}}, "training.lr"),
        ({"model": {"activation": ["nothing"]}}, "'nothing' of activation"),
        ({"model": None}, "model"),
        ({"k": 1}, "k: "),
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


@pytest.mark.parametrize("dropout", ["0.1,0.1,0.1", "0.1/0.1,0.1,0.1"])
def test_rates_that_do_not_fit_the_layers(dropout: str) -> None:
    with pytest.raises(ConflictError, match=r"hidden layer \(2\); found 3") as caught:
        make_settings(options={"dropout": dropout})
    assert caught.value.names == ("dropout", "hidden")
    assert make_settings(options={"dropout": dropout, "hidden": (8, 8, 8)}).model.dropout[-1] == (
        (0.1,) * 3
    )


def test_base_models_differ() -> None:
    with pytest.raises(ConflictError, match="base models must differ"):
        make_settings(options={"base_models": "ridge,ridge"})


@pytest.mark.parametrize("name", ["speed", "help", "recipe_name", "training"])
def test_unknown_option(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown option '{name}'"):
        make_settings(options={name: "x"})


def test_unknown_option_and_preset_name_the_nearest() -> None:
    with pytest.raises(KagglePriceError, match="Did you mean 'epochs'"):
        make_settings(options={"epoch": 3})
    with pytest.raises(UnknownNameError, match=r"unknown preset 'boook'.*Did you mean 'book'"):
        make_settings("boook")
    assert DEFAULT_PRESET in PRESETS


def test_notes_say_what_a_score_has_seen() -> None:
    assert make_settings().notes == []
    assert "Recipe 'book' has seen" in make_settings("book").notes[0]
    watching = {"patience": 3, "stop_on": "validation"}
    assert make_settings(options=watching).notes[0].startswith("Optimistic")
    # Without patience nothing stops, so nothing is seen.
    assert make_settings(options={"stop_on": "validation"}).notes == []
