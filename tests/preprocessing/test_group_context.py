"""Group context: pandas' own means by category, chosen and learned in training rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kaggleprice.competitions.tables import Table
from kaggleprice.evaluation.folds import Folds
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.features import Feature
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.preprocessing.group_context import (
    FEWEST_LEVELS,
    MOST_LEVELS,
    GroupContext,
)
from kaggleprice.preprocessing.target_statistics import SMOOTHING
from kaggleprice.settings.recipe import RECIPES, Recipe

RANDOM = np.random.default_rng(0)
ROWS = 400
PLACE = RANDOM.integers(0, 12, ROWS)
AREA = np.exp(RANDOM.normal(4 + PLACE / 12, 0.4))
YEAR = np.where(RANDOM.random(ROWS) < 0.1, np.nan, RANDOM.normal(1980 + PLACE, 10))
NOISE = RANDOM.normal(size=ROWS)
TARGET = np.log(AREA) + 0.02 * np.nan_to_num(YEAR, nan=1985.0) + RANDOM.normal(0, 0.1, ROWS)
RECIPE = Recipe(group_context=2, clip=5.0)


def table_of(**columns: Any) -> Table:
    frame = pd.DataFrame(columns)
    return Table(np.arange(len(frame)).astype(str), frame)


def texts(codes: Any, name: str = "place") -> pd.Series:
    cells = [None if code == 0 else f"{name} {code}" for code in codes]
    return pd.Series(cells, dtype="str")


HOUSES = table_of(
    area=AREA,
    noise=NOISE,
    place=texts(PLACE),
    random=texts(RANDOM.integers(0, 20, ROWS), "random"),
    year=YEAR,
)


def context_of(fitted: FittedRecipe) -> GroupContext:
    assert fitted.context is not None
    return fitted.context


def test_features_are_those_of_a_groupby() -> None:
    fitted = fit(RECIPE, HOUSES, target=TARGET)
    assert [feature.name for feature in fitted.learned_features] == [
        "place_mean area",
        "place_mean year",
        "place_difference area",
        "place_difference year",
    ]
    made = fitted.transform(HOUSES.features)[:, :4]
    # On the scale of the recipe's own columns, which test_fitting holds to scikit-learn's.
    names = [feature.column for feature in fitted.features]
    scaled = pd.DataFrame(
        {n: fitted.transform(HOUSES.features)[:, names.index(n)] for n in ("area", "year")}
    )
    groups = scaled.groupby(HOUSES.features["place"].fillna("missing"))
    counts = groups.transform("count")
    means = (groups.transform("sum") + SMOOTHING * scaled.mean()) / (counts + SMOOTHING)
    rest = scaled - means
    expected = [(means - scaled.mean()) / means.std(ddof=0), rest / rest.std(ddof=0)]
    np.testing.assert_allclose(made, np.concatenate(expected, axis=1).clip(-5, 5), atol=1e-9)


def test_a_level_never_seen_is_like_all_rows() -> None:
    fitted = fit(RECIPE, HOUSES, target=TARGET)
    state = context_of(fitted)
    new = HOUSES.features.head(3).assign(place=pd.Series(["nowhere"] * 3, dtype="str"))
    made = fitted.transform(new)[:, :4]
    assert not made[:, :2].any()
    differences = (fitted.scaled(new, state.numbers) - state.center) / state.spread
    np.testing.assert_allclose(made[:, 2:], differences.clip(-5, 5))


def test_the_telling_columns_are_chosen() -> None:
    state = context_of(fit(RECIPE, HOUSES, target=TARGET))
    assert (state.name, state.numbers) == ("place", ("area", "year"))
    # Whatever the target's origin.
    assert context_of(fit(RECIPE, HOUSES, target=TARGET - TARGET.mean())).name == "place"
    # Of several targets, those that say something of all.
    both = np.stack([TARGET, NOISE])
    assert set(context_of(fit(RECIPE, HOUSES, target=both)).numbers) == {"noise", "area"}


def test_numbers_are_chosen_by_rank_correlation() -> None:
    state = context_of(fit(Recipe(group_context=3), HOUSES, target=TARGET))
    frame = HOUSES.features[["area", "noise", "year"]]
    told = frame.corrwith(pd.Series(TARGET), method="spearman").abs()
    assert state.numbers == tuple(told.sort_values(ascending=False).index)


@pytest.mark.parametrize("target", [TARGET, NOISE, np.ones(ROWS)])
def test_how_many_there_are_does_not_depend_on_the_target(target: np.ndarray) -> None:
    """Or each network would start from other random weights than beside other folds."""
    assert fit(RECIPE, HOUSES, target=target).learned_features == [
        Feature("learned", "group", name)
        for name in ("mean 1", "mean 2", "difference 1", "difference 2")
    ]


@pytest.mark.parametrize(
    ("levels", "chosen"),
    [
        (FEWEST_LEVELS - 1, False),
        (FEWEST_LEVELS, True),
        (MOST_LEVELS, True),
        (MOST_LEVELS + 1, False),
    ],
)
def test_only_of_a_middling_number_of_levels(levels: int, chosen: bool) -> None:
    place = pd.Series([f"{i % levels}" for i in range(ROWS)], dtype="str")
    table = table_of(area=AREA, place=place)
    assert (fit(RECIPE, table, target=TARGET).context is not None) == chosen


def test_nothing_where_nothing_can_be_learned() -> None:
    assert fit(RECIPE, HOUSES).context is None
    assert fit(Recipe(), HOUSES, target=TARGET).context is None
    assert fit(RECIPE, table_of(place=texts(PLACE)), target=TARGET).context is None
    assert fit(RECIPE, table_of(area=AREA), target=TARGET).context is None
    bits = table_of(place=texts(PLACE), bit=(NOISE > 0).astype(float))
    assert fit(Recipe(group_context=2, bits=True), bits, target=TARGET).context is None


def test_a_column_without_a_value_is_never_chosen() -> None:
    table = Table(HOUSES.ids, HOUSES.features[["area", "place"]].assign(empty=np.nan))
    recipe = Recipe(group_context=2, impute="knn")
    assert context_of(fit(recipe, table, target=TARGET)).numbers == ("area",)


def test_a_column_of_one_value_says_nothing() -> None:
    table = Table(HOUSES.ids, HOUSES.features[["area", "place"]].assign(same=7.0))
    fitted = fit(RECIPE, table, target=TARGET)
    assert context_of(fitted).numbers == ("area", "same")
    made = fitted.transform(table.features)[:, :4]
    assert made[:, [0, 2]].any(axis=0).all()
    assert not made[:, [1, 3]].any()


@pytest.mark.parametrize("options", [{}, {"impute": "knn"}, {"scale": "quantile"}])
def test_other_rows_teach_nothing(options: dict[str, Any]) -> None:
    """Neither their targets nor their features."""
    recipe = Recipe(group_context=2, **options)
    folds = np.arange(ROWS) % 4
    held = folds == 2
    frame = HOUSES.features
    spoilt = frame.assign(
        area=np.where(held, 1e9, AREA), place=frame["place"].where(~held, "elsewhere")
    )
    garbage = np.where(held, 1e9, TARGET)
    left_out = Folds.of_rows(folds).left_out
    clean = fit_folds(recipe, HOUSES, frame, left_out, TARGET)
    garbled = fit_folds(recipe, HOUSES, spoilt, left_out, garbage)
    assert clean[2].to_json() == garbled[2].to_json()
    assert clean[0].to_json() != garbled[0].to_json()
    assert np.isfinite(clean[2].transform(frame)).all()


def test_folds_side_by_side() -> None:
    """A network embeds them as numbers; a fold without a context has zeros there."""
    folds = np.arange(ROWS) % 4
    left_out = Folds.of_rows(folds).left_out
    recipes = fit_folds(RECIPE, HOUSES, HOUSES.features, left_out, TARGET)
    recipes[3] = fit_folds(Recipe(clip=5.0), HOUSES, HOUSES.features, left_out, TARGET)[3]
    encoding = Encoding(recipes)
    assert encoding.learned_count == 4
    assert encoding.inputs.numbers == 4 + encoding.numeric_count
    encoded = encoding.encode(HOUSES.features)
    for f, recipe in enumerate(recipes[:3]):
        expected = recipe.transform(HOUSES.features, np.float32)[:, :4]
        np.testing.assert_array_equal(encoded.learned[f], expected)
    assert not encoded.learned[3].any()
    assert not encoding.active[3, :4].any()


def test_plain_data() -> None:
    fitted = fit(RECIPES["standard"], HOUSES, target=TARGET)
    assert fitted.context is not None
    again = FittedRecipe.from_json(fitted.to_json())
    assert again == fitted
    frame = HOUSES.features
    assert again.transform(frame).tobytes() == fitted.transform(frame).tobytes()


def test_a_state_that_lacks_a_number_is_refused() -> None:
    whole = {
        "name": "place",
        "numbers": ("area",),
        "levels": ("a", None),
        "means": ((0.0,), (1.0,)),
        "center": (0.5,),
        "scale": (1.0,),
        "spread": (1.0,),
    }
    GroupContext(**whole)  # type: ignore[arg-type]
    for lacking in ("numbers", "levels", "means", "center", "scale", "spread"):
        with pytest.raises(ValueError, match="'place': a level or a column without its numbers"):
            GroupContext(**{**whole, lacking: whole[lacking][1:]})  # type: ignore[arg-type]
