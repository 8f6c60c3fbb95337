"""Fitted recipes as JSON: the same numbers bit for bit, and damaged ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import numpy as numpy_files

from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.core.errors import DataError
from kaggleprice.preprocessing.fitted import STATE_VERSION, Feature, FittedRecipe
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.settings.recipe import IMPUTES, SCALES, Recipe

RECIPE = st.builds(
    Recipe,
    scale=st.sampled_from(sorted(SCALES)),
    impute=st.sampled_from(sorted(IMPUTES)),
    indicators=st.booleans(),
    clip=st.none() | st.floats(0.5, 9.0),
    log_skew=st.none() | st.floats(-1.0, 2.0),
    min_rows=st.integers(1, 4),
    always_missing_level=st.booleans(),
    observed_statistics=st.booleans(),
    ddof=st.sampled_from([0, 1]),
)
NUMBERS = st.none() | st.floats(-1e12, 1e12) | st.integers(-3, 3).map(float)
# Categories as CSVs have them, and worse: quotes, line ends, other scripts, names of our own.
TEXTS = st.none() | st.sampled_from(["nan", "rare", "None", "a,b", 'say "x"', "two\nlines", "價"])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n = draw(st.integers(1, 10))
    frame = pd.DataFrame(index=range(n))
    for j in range(draw(st.integers(0, 3))):
        values = draw(st.lists(NUMBERS, min_size=n, max_size=n))
        frame[f"n{j}"] = pd.Series(values, dtype=np.float64)
    for j in range(draw(st.integers(0, 2))):
        values = draw(st.lists(TEXTS, min_size=n, max_size=n))
        frame[f"t{j}"] = pd.Series(values, dtype="str")
    return Table(np.array([str(i) for i in range(n)], dtype=object), frame)


@given(table=tables(), recipe=RECIPE)
def test_round_trip_keeps_every_bit(table: Table, recipe: Recipe) -> None:
    fitted = fit(recipe, table)
    text = fitted.to_json()
    again = FittedRecipe.from_json(text)
    assert again.to_json() == text
    assert again.features == fitted.features
    assert (again.recipe, again.rows) == (recipe, len(table))
    made = fitted.transform(table.features)
    assert made.shape == (len(table), len(fitted.features))
    assert np.isfinite(made).all()
    assert again.transform(table.features).tobytes() == made.tobytes()
    small = fitted.transform(table.features, dtype=np.float32)
    assert small.dtype == np.float32
    assert np.array_equal(small, made.astype(np.float32))


@pytest.fixture(scope="module")
def record(sample_tables: Tables) -> str:
    """JSON with quantiles and neighbours in it."""
    train = Table(sample_tables.train.ids[:8], sample_tables.train.features.head(8))
    return fit(Recipe(scale="quantile", impute="knn", clip=3.0), train).to_json()


def test_long_tables_are_arrays_of_their_own(record: str) -> None:
    fitted = FittedRecipe.from_json(record)
    arrays: dict[str, np.ndarray] = {}
    text = fitted.to_json(arrays)
    whole = json.loads(record)
    assert set(arrays) == {"quantiles", "neighbours"}
    assert json.loads(text)["quantiles"] == {"array": "quantiles"}
    assert arrays["quantiles"].tolist() == whole["quantiles"]
    again = FittedRecipe.from_json(text, numpy_files.load(numpy_files.save(arrays)))
    assert again.to_json() == record
    with pytest.raises(DataError, match="not a fitted recipe: KeyError"):
        FittedRecipe.from_json(text, {"quantiles": arrays["quantiles"]})


def test_texts_and_levels_keep_every_bit_in_arrays() -> None:
    texts = [f"word {number} of {number % 7}" for number in range(400)]
    frame = pd.DataFrame({"text": texts, "level": [f"l{n // 2}" for n in range(400)]}, dtype="str")
    table = Table(np.arange(400).astype(str), frame, texts=("text",))
    fitted = fit(Recipe(target_encode_levels=50), table, target=np.linspace(0, 1, 400))
    arrays: dict[str, np.ndarray] = {}
    again = FittedRecipe.from_json(fitted.to_json(arrays), arrays)
    assert "texts.0.components" in arrays
    assert again.to_json() == fitted.to_json()
    made = fitted.transform(frame)
    assert again.transform(frame).tobytes() == made.tobytes()


@pytest.mark.parametrize("version", [0, STATE_VERSION + 1, "1", None])
def test_another_version(record: str, version: Any) -> None:
    other = json.dumps({**json.loads(record), "state_version": version})
    with pytest.raises(DataError, match=f"version {version}.* reads version {STATE_VERSION}"):
        FittedRecipe.from_json(other)


def change(*path: str | int, to: Any) -> Callable[[Any], None]:
    def spoil(record: Any) -> None:
        for step in path[:-1]:
            record = record[step]
        if to is ...:
            del record[path[-1]]
        else:
            record[path[-1]] = to

    return spoil


DAMAGES = {
    "no part": change("numeric", to=...),
    "no state_version": change("state_version", to=...),
    "no field": change("numeric", 0, "center", to=...),
    "no setting that is known": change("recipe", "sale", to="standard"),
    "setting that cannot be": change("recipe", "scale", to="log"),
    "text for a number": change("numeric", 0, "center", to="3.5"),
    "nothing for a number": change("numeric", 0, "scale", to=None),
    "scale of zero": change("numeric", 0, "scale", to=0.0),
    "scale that is not a number": change("numeric", 0, "scale", to=float("nan")),
    "number for a truth value": change("numeric", 0, "log", to=1),
    "rows that are no number": change("rows", to="many"),
    "levels that are no list": change("categorical", 0, "levels", to="abc"),
    "column twice": lambda record: record["numeric"].pop(),
    "quantiles of another width": change("quantiles", 0, to=[1.0]),
    "quantiles of text": change("quantiles", 0, 0, to="x"),
    "neighbours that are no table": change("neighbours", to=[1.0, 2.0]),
    "state that is no record": change("numeric", 0, to=None),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_record(record: str, damage: str) -> None:
    spoilt = json.loads(record)
    DAMAGES[damage](spoilt)
    with pytest.raises(DataError, match="not a fitted recipe"):
        FittedRecipe.from_json(json.dumps(spoilt))


@pytest.mark.parametrize("text", ["3", "null", "[]", "{}", '"x"', "\x00", "", "half"])
def test_json_of_something_else(record: str, text: str) -> None:
    with pytest.raises(DataError, match="not a fitted recipe"):
        FittedRecipe.from_json(record[: len(record) // 2] if text == "half" else text)


def test_json_is_standard_json(record: str) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads(record, parse_constant=refuse)


def test_rows_that_are_not_what_was_learned_from(sample_tables: Tables) -> None:
    fitted, frame = fit(Recipe(), sample_tables.train), sample_tables.test.features
    text = frame.assign(LotArea=pd.Series(["large"] * 300, dtype="str"))
    for wrong, sentence in (
        (frame.drop(columns="LotArea"), "'LotArea', which the recipe needs, is missing"),
        (frame.drop(columns="Street"), "'Street', which the recipe needs, is missing"),
        (text, "'LotArea' is text; the recipe learned numbers"),
    ):
        with pytest.raises(DataError, match=sentence):
            fitted.transform(wrong)


def test_columns_may_stand_in_another_order_and_among_others(sample_tables: Tables) -> None:
    fitted = fit(Recipe(), sample_tables.train)
    frame = sample_tables.test.features
    turned = frame.iloc[:, ::-1].assign(another=1.0)
    assert np.array_equal(fitted.transform(turned), fitted.transform(frame))


def test_rows_are_transformed_one_by_one(sample_tables: Tables) -> None:
    """A row's features do not depend on the rows beside it."""
    fitted = fit(Recipe(scale="quantile", impute="knn"), sample_tables.train)
    whole = fitted.transform(sample_tables.test.features.head(20))
    single = [fitted.transform(sample_tables.test.features.iloc[[i]])[0] for i in range(20)]
    np.testing.assert_allclose(single, whole, rtol=1e-9, atol=1e-9)


def test_names() -> None:
    assert Feature("numeric", "Area").name == "Area"
    assert Feature("numeric", "Area", log=True).name == "log1p(Area)"
    assert Feature("missing", "Area").name == "Area_missing"
    assert Feature("level", "Zone", "RL").name == "Zone_RL"
    assert Feature("level", "Zone").name == "Zone_nan"
    assert Feature("level", "Zone", rare=True).name == "Zone_rare"
