"""Fitting recipes: the book's own numbers, scikit-learn's, and nothing of validation rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table, Tables, read_tables
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.settings.recipe import IMPUTES, RECIPES, SCALES, Recipe

HOUSES = COMPETITIONS["house-prices"]
REAL = ("kaggle_house_pred_train.csv", "kaggle_house_pred_test.csv")
PLAIN = Recipe(log_skew=None)


def make_table(**columns: Any) -> Table:
    """Columns of numbers, or of texts and None."""
    frame = pd.DataFrame(
        {
            name: pd.Series(values, dtype=np.float64)
            if all(v is None or not isinstance(v, str) for v in values)
            and any(v is not None for v in values)
            else pd.Series(values, dtype="str")
            for name, values in columns.items()
        }
    )
    return Table(np.array([str(i) for i in range(len(frame))], dtype=object), frame)


def part(table: Table, rows: Any) -> Table:
    return Table(table.ids[rows], table.features[rows].reset_index(drop=True))


def categories(table: Table) -> pd.DataFrame:
    """Categorical columns as scikit-learn takes them."""
    texts = table.features[table.categorical_columns].astype(object)
    return texts.where(texts.notna(), np.nan)


@pytest.fixture(scope="module")
def real(real_data: Path) -> Tables:
    return read_tables(HOUSES, *(real_data / name for name in REAL))


@pytest.fixture(scope="module", params=["sample_tables", "real"])
def houses(request: pytest.FixtureRequest) -> Tables:
    found: Tables = request.getfixturevalue(request.param)
    return found


# The book


def book_frame(folder: Path) -> pd.DataFrame:
    """d2l.ai 5.7, "Data Preprocessing", with `None` read as a category."""
    train, test = (
        pd.read_csv(folder / name, keep_default_na=False, na_values=["NA"]) for name in REAL
    )
    features = pd.concat((train.drop(columns=["Id", "SalePrice"]), test.drop(columns=["Id"])))
    numeric = [c for c in features if pd.api.types.is_numeric_dtype(features[c])]
    features[numeric] = features[numeric].apply(lambda x: (x - x.mean()) / x.std())
    features[numeric] = features[numeric].fillna(0)
    return pd.get_dummies(features, dummy_na=True).astype(float)


def test_book_on_the_real_files_is_the_chapters(real: Tables, real_data: Path) -> None:
    tables = real
    fitted = fit(RECIPES["book"], tables.train, tables.test)
    expected = book_frame(real_data)
    assert tables.train.features.shape[1] == 79
    names = [feature.name for feature in fitted.features]
    assert len(names) == len(set(names)) == expected.shape[1] == 331
    assert set(names) == set(expected.columns)
    both = pd.concat([tables.train.features, tables.test.features], ignore_index=True)
    np.testing.assert_allclose(
        fitted.transform(both), expected[names].to_numpy(), rtol=1e-12, atol=1e-12
    )
    assert fitted.rows == 2919
    assert fitted.recipe.scope == "all"
    assert "MasVnrType_None" in names
    assert not {"Id", "SalePrice"} & {feature.column for feature in fitted.features}


# scikit-learn

SCALERS = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "robust": RobustScaler,
    "quantile": lambda: QuantileTransformer(
        n_quantiles=400, output_distribution="normal", subsample=None
    ),
    "none": FunctionTransformer,
}


def reference(scale: str, impute: str) -> Any:
    """The pipeline that a scikit-learn user would write."""
    if impute == "knn":
        # Neighbours are nearest by scaled columns; quantiles are taken of filled ones.
        first = StandardScaler() if scale == "quantile" else SCALERS[scale]()
        imputer = KNNImputer(n_neighbors=5, keep_empty_features=True)
        last = [SCALERS[scale]()] if scale == "quantile" else []
        return make_pipeline(first, imputer, *last)
    strategy = impute.replace("-", "_")
    imputer = SimpleImputer(strategy=strategy, fill_value=0.0, keep_empty_features=True)
    return make_pipeline(imputer, SCALERS[scale]())


@pytest.mark.parametrize("impute", IMPUTES)
@pytest.mark.parametrize("scale", SCALES)
def test_numbers_are_scikit_learns(scale: str, impute: str, sample_tables: Tables) -> None:
    train = part(sample_tables.train, slice(0, 400))
    numeric = train.numeric_columns
    x = train.features[numeric].to_numpy(np.float64)
    pipeline = reference(scale, impute).fit(x)
    fitted = fit(replace(PLAIN, scale=scale, impute=impute), train)
    compared = np.ones(len(numeric), dtype=bool)
    if scale == "robust":
        filled = x if impute == "knn" else pipeline[0].transform(x)
        quartiles = np.nanpercentile(filled, [25, 75], axis=0)
        compared = quartiles[0] < quartiles[1]
        if impute == "knn" and not compared.all():
            # Neighbours are nearest by all columns, and those without a range differ on purpose.
            train = make_table(**{n: x[:, j] for j, n in enumerate(numeric) if compared[j]})
            pipeline = reference(scale, impute).fit(x[:, compared])
            fitted = fit(replace(PLAIN, scale=scale, impute=impute), train)
            numeric, x = train.numeric_columns, x[:, compared]
            compared = compared[compared]
    assert compared.sum() > 15
    for frame in (train.features, sample_tables.test.features):
        made = fitted.transform(frame)[:, : len(numeric)]
        expected = pipeline.transform(frame[numeric].to_numpy(np.float64))
        if (scale, impute) == ("quantile", "knn"):
            # A filled value that differs from others in its last bit has another rank, of some
            # hundred filled ones.
            np.testing.assert_allclose(made, expected, atol=0.1)
            assert (np.abs(made - expected) < 1e-9).mean() > 0.995
            continue
        np.testing.assert_allclose(made[:, compared], expected[:, compared], rtol=1e-9, atol=1e-9)


def test_indicators_and_categories_are_scikit_learns(houses: Tables) -> None:
    train, test = houses.train, houses.test
    fitted = fit(PLAIN, train)
    p = len(train.numeric_columns)
    indicator = MissingIndicator(features="missing-only", error_on_new=False)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    indicator.fit(train.features[train.numeric_columns].to_numpy())
    encoder.fit(categories(train))
    for table in (train, test):
        expected = [
            indicator.transform(table.features[table.numeric_columns].to_numpy()),
            encoder.transform(categories(table)),
        ]
        made = fitted.transform(table.features)[:, p:]
        np.testing.assert_array_equal(made, np.concatenate(expected, axis=1))
    names = [feature.name for feature in fitted.features]
    assert names[:p] == train.numeric_columns
    levels = encoder.get_feature_names_out(train.categorical_columns)
    assert names[-len(levels) :] == list(levels)


def test_no_indicators_where_none_are_wanted(sample_tables: Tables) -> None:
    features = fit(replace(PLAIN, indicators=False), sample_tables.train).features
    assert {feature.kind for feature in features} == {"numeric", "level"}


def test_log_is_taken_of_skewed_amounts(houses: Tables) -> None:
    """scipy's skewness of the observed values; numbers are those of a pipeline on log1p."""
    train = houses.train
    fitted = fit(replace(RECIPES["standard"], clip=None, bits=False), train)
    chosen = {c.name: c.log for c in fitted.numeric}
    for name in train.numeric_columns:
        observed = train.features[name].dropna().to_numpy(np.float64)
        if observed.min() == observed.max():
            assert not chosen[name]
        else:
            skewed = observed.min() >= 0 and skew(observed) > 0.75
            # Of two values, such as 0 and 1, neither is an amount.
            assert chosen[name] == (skewed and len(np.unique(observed)) > 2)
    assert 5 < sum(chosen.values()) < len(chosen)
    x = train.features[train.numeric_columns].to_numpy(np.float64)
    logged = np.where(list(chosen.values()), np.log1p(np.where(x < 0, 0, x)), x)
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(logged)
    np.testing.assert_allclose(
        fitted.transform(train.features)[:, : x.shape[1]], pipeline.transform(logged), atol=1e-9
    )
    assert {f.name for f in fitted.features if f.log} == {
        f"log1p({name})" for name, log in chosen.items() if log
    }


def test_log_threshold_and_negative_values() -> None:
    skewed = [0.0, 1.0, 2.0, 3.0, 50.0]
    table = make_table(a=skewed, b=[-1.0, *skewed[1:]], c=[7.0] * 5, d=[-x for x in skewed])

    def logs(threshold: float) -> list[bool]:
        recipe = Recipe(log_skew=threshold)
        return [c.log for c in fit(recipe, table).numeric]

    bound = float(skew(skewed))
    assert logs(bound - 1e-9) == [True, False, False, False]
    assert logs(bound + 1e-9) == [False, False, False, False]


def test_new_negative_amounts_are_zero_under_the_log() -> None:
    fitted = fit(Recipe(), make_table(a=[0.0, 1.0, 2.0, 3.0, 50.0]))
    made = fitted.transform(make_table(a=[-5.0, 0.0]).features)
    assert np.isfinite(made).all()
    assert made[0, 0] == made[1, 0]


def test_clip_bounds_the_distance_in_standard_deviations(sample_tables: Tables) -> None:
    name = "LotArea"
    train = make_table(a=sample_tables.train.features[name].to_numpy())
    x = train.features["a"].to_numpy()
    bounds = x.mean() - 1.5 * x.std(), x.mean() + 1.5 * x.std()
    clipped = np.clip(x, *bounds)
    assert 0 < (clipped != x).sum() < len(x) / 2
    fitted = fit(replace(PLAIN, clip=1.5), train)
    expected = (clipped - clipped.mean()) / clipped.std()
    np.testing.assert_allclose(fitted.transform(train.features)[:, 0], expected, rtol=1e-9)
    far = fitted.transform(make_table(a=[1e12, -1e12]).features)[:, 0]
    np.testing.assert_allclose(far, (np.array(bounds[::-1]) - clipped.mean()) / clipped.std())


def test_two_values_are_0_and_1() -> None:
    """However rare one of them is; what lies beyond them later does not leave their range."""
    rare = [7.0] * 99 + [9.0]
    table = make_table(a=[*range(1, 101)], b=rare)
    fitted = fit(RECIPES["standard"], table)
    assert [(f.kind, f.name) for f in fitted.features] == [("numeric", "a"), ("bit", "b")]
    made = fitted.transform(make_table(a=[1.0] * 5, b=[7.0, 9.0, 1e9, -4.0, None]).features)
    assert made[:, 1].tolist() == [0.0, 1.0, 1.0, 0.0, 0.0]
    # Networks do not embed them: they stand behind the numbers.
    encoding = Encoding([fitted, fit(RECIPES["standard"], part(table, slice(0, 99)))])
    assert [f.kind for f in encoding.features] == ["numeric", "numeric", "bit"]
    assert (encoding.inputs.numbers, encoding.inputs.width) == (2, 3)
    plain = fit(replace(RECIPES["standard"], bits=False), table)
    assert {f.kind for f in plain.features} == {"numeric"}


def test_rare_levels_stay_apart() -> None:
    """Of few values none is bounded to another one."""
    counts = [0.0] * 990 + [1.0] * 5 + [2.0] * 3 + [3.0] * 2
    fitted = fit(RECIPES["standard"], make_table(a=counts))
    made = fitted.transform(make_table(a=[0.0, 1.0, 2.0, 3.0, 900.0, -1.0]).features)[:, 0]
    assert len(set(made[:4].round(6))) == 4
    assert (made[4], made[5]) == (made[3], made[0])


def test_one_wild_value_does_not_set_the_scale() -> None:
    usual = np.random.default_rng(0).normal(0, 1, 500)
    recipe = RECIPES["standard"]
    tame, wild = (
        fit(recipe, make_table(a=[*usual, last])).transform(make_table(a=usual).features)[:, 0]
        for last in (0.0, -1e9)
    )
    assert np.corrcoef(tame, wild)[0, 1] > 0.999
    assert 0.5 < wild.std() < 1.5


def test_rare_categories_share_one_feature(sample_tables: Tables) -> None:
    name, bound = "Neighborhood", 20
    column = sample_tables.train.features[name]
    counts = column.value_counts()
    few = counts[counts < bound].index
    assert 1 < len(few) < len(counts)
    fitted = fit(replace(PLAIN, min_rows=bound), make_table(a=column.tolist()))
    names = [f.name for f in fitted.features]
    assert names == [f"a_{level}" for level in sorted(counts[counts >= bound].index)] + ["a_rare"]
    made = fitted.transform(pd.DataFrame({"a": column}))
    assert np.array_equal(made[:, -1] == 1, column.isin(few))
    assert (made.sum(axis=1) == 1).all()
    unknown = pd.DataFrame({"a": pd.Series(["never seen"], dtype="str")})
    assert not fitted.transform(unknown).any()


def test_robust_scale_of_a_column_that_is_mostly_one_value() -> None:
    """The quartiles agree: half the range takes their place, and a constant keeps 1."""
    table = make_table(a=[0.0] * 9 + [10.0], b=[3.0] * 10)
    made = fit(replace(PLAIN, scale="robust"), table).transform(table.features)
    assert made[:, 0].tolist() == [0.0] * 9 + [2.0]
    assert made[:, 1].tolist() == [0.0] * 10


ODD = make_table(
    number=[1.0, 2.0, None, 4.0, 100.0, 6.0],
    constant=[3.0] * 6,
    mostly=[0.0, 0.0, 0.0, 0.0, 0.0, None],
    nothing=pd.Series([np.nan] * 6),
    text=["x", "y", None, "x", "x", "z"],
)
NEW = make_table(
    number=[np.nan, 7.0],
    constant=[3.5, np.nan],
    mostly=[np.nan, 1.0],
    nothing=[np.nan, 5.0],
    text=["unseen", None],
)


@pytest.mark.parametrize(("rows", "clip"), [(6, None), (1, None), (6, 2.0), (1, 2.0)])
@pytest.mark.parametrize("impute", IMPUTES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_combination_survives(scale: str, impute: str, rows: int, clip: float | None) -> None:
    """Constant and all-missing columns, single rows, unseen categories, numbers never seen."""
    recipe = Recipe(scale=scale, impute=impute, clip=clip)
    fitted = fit(recipe, part(ODD, slice(0, rows)))
    for table in (ODD, NEW):
        made = fitted.transform(table.features)
        assert made.shape == (len(table), len(fitted.features))
        assert np.isfinite(made).all()
    # Of a column without a value nothing is known: a later one changes nothing.
    made = fitted.transform(NEW.features)
    assert made[0, 3] == made[1, 3]
    levels = [f.kind == "level" for f in fitted.features]
    assert not made[0, levels].any()
    again = FittedRecipe.from_json(fitted.to_json())
    assert np.array_equal(again.transform(NEW.features), made)


def test_tables_of_one_kind_of_column_only() -> None:
    numbers, texts = make_table(a=[1.0, 2.0]), make_table(a=["x", "y"])
    assert fit(PLAIN, numbers).transform(numbers.features).tolist() == [[-1.0], [1.0]]
    for scale in SCALES:
        for impute in IMPUTES:
            fitted = fit(Recipe(scale=scale, impute=impute), texts)
            assert fitted.transform(texts.features).tolist() == [[1.0, 0.0], [0.0, 1.0]]


# Many folds


@st.composite
def columns(draw: st.DrawFn) -> tuple[Table, np.ndarray]:
    """Columns with missing values, constants, large offsets, and one that a fold lacks."""
    n = draw(st.integers(4, 24))
    folds = np.array([*draw(st.lists(st.integers(0, 2), min_size=n - 2, max_size=n - 2)), 0, 1])
    made = {}
    for j in range(draw(st.integers(1, 3))):
        # Multiples of 1/64 beside an offset of 1e9 are exact; so is what they differ by.
        offset = draw(st.sampled_from([0.0, 0.0, 1e9, -1e9, 1.0]))
        steps = draw(st.sampled_from([0, 5, 10**4]))
        values = [offset + draw(st.integers(0, steps)) / 64 for _ in range(n)]
        blank = draw(st.lists(st.booleans(), min_size=n, max_size=n))
        everywhere_but = draw(st.sampled_from([None, None, 0, 1]))
        lacks = np.array(blank) if everywhere_but is None else folds != everywhere_but
        made[f"c{j}"] = np.where(lacks, np.nan, values)
    made["spike"] = np.where(folds == 1, 1e9, np.arange(n) / 8)
    return make_table(**made), folds


@given(drawn=columns(), impute=st.sampled_from(["mean", "median", "constant", "most-frequent"]))
def test_folds_of_any_columns_are_scikit_learns(
    drawn: tuple[Table, np.ndarray], impute: str
) -> None:
    """Numbers to 1e-9 of the column's size."""
    table, folds = drawn
    which = range(int(folds.max()) + 1)
    # Skewness decides between two numbers: near the threshold rounding would.
    fitted = fit_folds(
        replace(PLAIN, impute=impute), table, table.features, Folds.of_rows(folds).left_out
    )
    for fold, recipe in zip(which, fitted, strict=True):
        x = table.features[folds != fold].to_numpy()
        imputer, scaler = reference("standard", impute).fit(x).steps
        for j, state in enumerate(recipe.numeric):
            assert state.missing == np.isnan(x[:, j]).sum()
            size = 1e-13 * np.nanmax(np.abs(x[:, j]), initial=0.0, where=~np.isnan(x[:, j]))
            expected = [imputer[1].statistics_[j], scaler[1].mean_[j]]
            assert [state.fill, state.center] == pytest.approx(expected, rel=1e-9, abs=size)
            assert state.scale == pytest.approx(scaler[1].scale_[j], rel=1e-9)


@pytest.mark.parametrize("constant", [0.1, 1e9 + 0.1, 1e-9, 0.0, -7.3])
def test_constant_stays_a_constant(constant: float) -> None:
    """Rounding leaves a variance of nearly 0: a scale of that would blow the column up."""
    table = make_table(a=np.full(5000, constant))
    state = fit(Recipe(), table).numeric[0]
    assert (state.log, state.scale) == (False, 1.0)
    assert state.center == pytest.approx(constant, rel=1e-12)


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(ddof=1, observed_statistics=True)])
def test_values_that_differ_in_their_last_bit_are_a_constant(recipe: Recipe) -> None:
    table = make_table(a=[0.3] * 20 + [0.1 + 0.2])
    for fitted in fit_folds(
        recipe, table, table.features, Folds.of_rows(np.arange(21) % 3).left_out
    ):
        assert (fitted.numeric[0].log, fitted.numeric[0].scale) == (False, 1.0)


# Nothing of validation rows

EVERY = [
    pytest.param(Recipe(scale=scale, impute=impute, clip=clip, min_rows=9), id=f"{scale}-{impute}")
    for scale, impute, clip in (
        ("standard", "median", None),
        ("standard", "mean", 3.0),
        ("minmax", "most-frequent", None),
        ("robust", "constant", 2.0),
        ("quantile", "median", None),
        ("none", "knn", None),
        ("quantile", "knn", None),
    )
]


@pytest.mark.parametrize("recipe", EVERY)
def test_garbage_in_validation_rows_changes_nothing(recipe: Recipe, sample_tables: Tables) -> None:
    """To the last bit: neither huge, negative or missing numbers nor new categories."""
    train = part(sample_tables.train, slice(0, 150))
    folds = make_folds(len(train), 3, seed=0).fold_of_row
    held = np.flatnonzero(folds == 1)
    garbage = train.features.copy()
    for j, name in enumerate(train.numeric_columns):
        garbage[name] = garbage[name].astype(np.float64)
        garbage.loc[held, name] = [1e12, -1.0, np.nan, 0.0][j % 4]
    for j, name in enumerate(train.categorical_columns):
        garbage[name] = garbage[name].astype("str")
        garbage.loc[held, name] = ["never seen", None, "None"][j % 3]
    states = [
        fit_folds(recipe, train, frame, Folds.of_rows(folds).left_out)
        for frame in (train.features, garbage)
    ]
    assert states[0][1].to_json() == states[1][1].to_json()
    assert states[0][0].to_json() != states[1][0].to_json()


@pytest.mark.parametrize("recipe", EVERY)
def test_fold_is_fitted_as_if_its_training_rows_were_all(
    recipe: Recipe, sample_tables: Tables
) -> None:
    train = part(sample_tables.train, slice(0, 150))
    folds = make_folds(len(train), 4, seed=0).fold_of_row
    fitted = fit_folds(recipe, train, train.features, [np.flatnonzero(folds == f) for f in (2, 0)])
    for fold, state in zip([2, 0], fitted, strict=True):
        assert state.to_json() == fit(recipe, part(train, folds != fold)).to_json()
