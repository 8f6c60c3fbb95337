"""Target statistics: scikit-learn's own numbers, and no row that sees its own target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import TargetEncoder

from kaggleprice.competitions.tables import Table
from kaggleprice.evaluation.folds import Folds
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.preprocessing.target_statistics import INNER_FOLDS, SMOOTHING, learn_target
from kaggleprice.settings.recipe import Recipe

RANDOM = np.random.default_rng(0)
ROWS = 400
TARGET = RANDOM.normal(5, 2, ROWS)
CELLS = [None if i < 4 else f"level {i}" for i in RANDOM.integers(0, 60, ROWS)]
COLUMN = pd.Series(CELLS, dtype="str", name="a")
ALL = np.ones(ROWS, dtype=bool)
RECIPE = Recipe(target_encode_levels=20)


def table_of(column: Any, **others: Any) -> Table:
    frame = pd.DataFrame({"a": pd.Series(column, dtype="str"), **others})
    return Table(np.arange(len(frame)).astype(str), frame)


def encoder() -> TargetEncoder:
    return TargetEncoder(target_type="continuous", smooth=SMOOTHING)


def as_cells(column: pd.Series) -> np.ndarray:
    return column.fillna("missing").to_numpy(dtype=object).reshape(-1, 1)


def test_means_are_scikit_learns() -> None:
    state = learn_target(COLUMN, TARGET, ALL)
    expected = encoder().fit(as_cells(COLUMN), TARGET)
    new = pd.DataFrame({"a": pd.Series(["level 7", None, "never seen", "level 30"], dtype="str")})
    for frame in (COLUMN.to_frame(), new):
        made = state.transform(frame)[:, 0] * state.scale + state.center
        np.testing.assert_allclose(made, expected.transform(as_cells(frame["a"]))[:, 0])
    assert state.transform(new)[2, 0] == 0
    counts = np.exp(state.transform(new)[:, 1] * state.count_scale + state.count_center) - 1
    observed = COLUMN.value_counts(dropna=False)
    wanted = [observed["level 7"], COLUMN.isna().sum(), 0, observed["level 30"]]
    np.testing.assert_allclose(counts, wanted, atol=1e-9)


def test_rows_learned_from_get_the_means_of_others() -> None:
    state = learn_target(COLUMN, TARGET, ALL)
    expected = np.empty(ROWS)
    cells = as_cells(COLUMN)
    for fitted, held in KFold(INNER_FOLDS, shuffle=True, random_state=3).split(cells):
        inner = encoder().fit(cells[fitted], TARGET[fitted])
        expected[held] = inner.transform(cells[held])[:, 0]
    made = state.cross_fitted(COLUMN.to_frame(), TARGET, seed=3)
    np.testing.assert_allclose(made[:, 0] * state.scale + state.center, expected)
    np.testing.assert_array_equal(made[:, 1], state.transform(COLUMN.to_frame())[:, 1])
    again = state.cross_fitted(COLUMN.to_frame(), TARGET, seed=3)
    assert made.tobytes() == again.tobytes()
    assert not np.array_equal(made, state.cross_fitted(COLUMN.to_frame(), TARGET, seed=4))


def test_a_target_of_its_own_moves_a_row_nowhere() -> None:
    """Nor do the targets of rows that the state was not learned from."""
    changed = TARGET.copy()
    changed[17] += 1e6
    before, after = (
        learn_target(COLUMN, y, ALL).cross_fitted(COLUMN.to_frame(), y, 0)[17, 0]
        * learn_target(COLUMN, y, ALL).scale
        + learn_target(COLUMN, y, ALL).center
        for y in (TARGET, changed)
    )
    assert after == pytest.approx(before, abs=1e-6)
    trained = np.arange(ROWS) % 3 != 0
    garbage = np.where(trained, TARGET, 1e9)
    assert learn_target(COLUMN, TARGET, trained) == learn_target(COLUMN, garbage, trained)


def test_a_column_of_noise_leaks_only_without_cross_fitting() -> None:
    """Levels of two rows each say nothing of the target; a row's own target would."""
    noise = pd.Series([f"{i % 1000}" for i in range(2000)], dtype="str")
    order = np.random.default_rng(1).permutation(2000)
    table = table_of(noise[order].to_numpy())
    target = np.random.default_rng(2).normal(size=2000)
    folds = np.arange(2000) % 2
    fitted = fit_folds(RECIPE, table, table.features, Folds.of_rows(folds).left_out, target)[0]
    rows, held = np.flatnonzero(folds != 0), np.flatnonzero(folds == 0)

    def scores(features: np.ndarray) -> tuple[float, float]:
        """R² on training and on validation rows, by the mean target of the level."""
        x = features[:, :1]
        model = LinearRegression().fit(x[rows], target[rows])
        return model.score(x[rows], target[rows]), model.score(x[held], target[held])

    leaking, unseen = scores(fitted.transform(table.features))
    assert leaking > 0.5
    assert unseen < 0.1
    honest, still_unseen = scores(fitted.transform_training(table.features, rows, target, seed=0))
    assert honest < 0.03
    assert still_unseen > -0.1


@pytest.mark.parametrize(("levels", "chosen"), [(19, False), (20, False), (21, True)])
def test_only_of_many_levels(levels: int, chosen: bool) -> None:
    column = [f"{i % levels}" for i in range(100)]
    fitted = fit(RECIPE, table_of(column), target=np.arange(100.0))
    assert bool(fitted.targets) == chosen
    assert [f.name for f in fitted.features[:2]] == (
        ["a_target", "a_count"] if chosen else ["a_0", "a_1"]
    )
    # One-hot levels stay beside them.
    assert sum(f.kind == "level" for f in fitted.features) == levels
    assert not fit(RECIPE, table_of(column)).targets


def test_one_hot_levels_are_bounded() -> None:
    """A thousand at most, the most frequent ones."""
    column = [f"{i // 2:04d}" for i in range(3000)] + ["1400"] * 3
    fitted = fit(RECIPE, table_of(column), target=np.arange(3003.0))
    state = fitted.categorical[0]
    assert (len(state.levels), len(state.rare)) == (1000, 500)
    assert "1400" in state.levels
    assert len(fitted.targets[0].levels) == 1500


def test_folds_side_by_side() -> None:
    """Each fold sees its own training rows cross-fitted, and all others as new ones."""
    others = {"x": RANDOM.normal(size=ROWS), "b": [f"{i % 22}" for i in range(ROWS)]}
    others["b"][0] = "once"
    table = table_of(CELLS, **others)
    # Only folds that train on the first row have the level more that `b` needs.
    recipe = Recipe(target_encode_levels=22)
    folds = np.arange(ROWS) % 3
    split = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(3)]
    recipes = fit_folds(recipe, table, table.features, Folds.of_rows(folds).left_out, TARGET)
    assert [len(r.targets) for r in recipes] == [1, 2, 2]
    encoding = Encoding(recipes)
    encoded = encoding.encode_training(table.features, TARGET, split, 5)
    plain = encoding.encode(table.features)
    for f, (recipe_of_fold, (rows, held)) in enumerate(zip(recipes, split, strict=True)):
        expected = recipe_of_fold.transform_training(table.features, rows, TARGET, 5, np.float32)
        for j, feature in enumerate(recipe_of_fold.learned_features):
            made = encoded.learned[f][:, encoding.features.index(feature)]
            np.testing.assert_array_equal(made, expected[:, j])
        np.testing.assert_array_equal(encoded.learned[f][held], plain.learned[f][held])
        assert not np.array_equal(encoded.learned[f][rows], plain.learned[f][rows])
        assert not encoded.learned[f][:, ~encoding.active[f, : encoding.learned_count]].any()


def test_several_targets() -> None:
    both = np.stack([TARGET, -2 * TARGET**2], axis=1)
    fitted = fit(RECIPE, table_of(CELLS), target=both.T)
    names = [feature.name for feature in fitted.learned_features]
    assert names == ["a_target", "a_count", "a_target 2"]
    alone = fit(RECIPE, table_of(CELLS), target=both[:, 1])
    frame, rows = table_of(CELLS).features, np.arange(ROWS)
    made = fitted.transform_training(frame, rows, both, 0)[:, 2]
    np.testing.assert_array_equal(made, alone.transform_training(frame, rows, both[:, 1], 0)[:, 0])


def test_plain_data() -> None:
    fitted = fit(RECIPE, table_of(CELLS), target=TARGET)
    again = FittedRecipe.from_json(fitted.to_json())
    assert again == fitted
    frame = table_of(CELLS).features
    assert again.transform(frame).tobytes() == fitted.transform(frame).tobytes()


def test_a_single_row() -> None:
    state = learn_target(pd.Series(["x"], name="a"), np.array([3.0]), np.array([True]))
    assert state.cross_fitted(pd.DataFrame({"a": ["x"]}), np.array([3.0]), 0).tolist() == [[0, 0]]
