"""The union of folds: what the engine assembles is what each fold's own recipe makes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.core.errors import DataError
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitted import Feature, FittedRecipe
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.settings.model import Inputs
from kaggleprice.settings.recipe import IMPUTES, RECIPES, SCALES, Recipe
from kaggleprice.training.batches import DeviceRows

CPU = torch.device("cpu")


def table_of(**columns: Sequence[float | str | None]) -> Table:
    """Columns of numbers (lists of floats) or of texts."""
    frame = pd.DataFrame(
        {
            name: pd.Series(values, dtype="str" if isinstance(values[0], str) else np.float64)
            for name, values in columns.items()
        }
    )
    return Table(np.array([str(i) for i in range(len(frame))], dtype=object), frame)


def placed(recipe: FittedRecipe, union: Sequence[Feature], frame: pd.DataFrame) -> np.ndarray:
    """A fold's own transform, each feature where the union has it, and 0 elsewhere."""
    expected = np.zeros((len(frame), len(union)))
    expected[:, [union.index(feature) for feature in recipe.features]] = recipe.transform(frame)
    return expected


def assert_assembled(
    recipes: Sequence[FittedRecipe],
    *frames: pd.DataFrame,
    members: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> Encoding:
    """Assemble all rows of each frame, every member in an order of its own."""
    encoding = Encoding(recipes)
    assert len(set(encoding.features)) == encoding.width
    for frame in frames:
        rows = DeviceRows(encoding, encoding.encode(frame), members, CPU, dtype)
        assert len(rows) == len(frame)
        generator = np.random.default_rng(0)
        index = np.stack([generator.permutation(len(frame)) for _ in members])
        made = rows.assemble(torch.from_numpy(index))
        assert made.shape == (len(members), len(frame), encoding.width)
        assert made.dtype == dtype
        for member, fold in enumerate(members):
            expected = placed(recipes[fold], encoding.features, frame)[index[member]]
            np.testing.assert_allclose(made[member].numpy(), expected, rtol=2e-5, atol=2e-5)
            assert not made[member].numpy()[:, ~encoding.active[fold]].any()
    return encoding


def by_fold(recipe: Recipe, table: Table, k: int = 3) -> list[FittedRecipe]:
    folds = make_folds(len(table), k, seed=1)
    return fit_folds(recipe, table, table.features, folds.left_out)


@pytest.mark.parametrize("impute", IMPUTES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_setting_on_the_sample(scale: str, impute: str, sample_tables: Tables) -> None:
    train = Table(sample_tables.train.ids[:90], sample_tables.train.features.head(90))
    if scale == "none":
        # Unscaled, a float32 has 7 digits of each number, areas or not.
        train = Table(train.ids, train.features[train.numeric_columns] / 1e4)
        recipes = by_fold(Recipe(scale=scale, impute=impute, log_skew=None), train)
        assert_assembled(recipes, train.features, members=[0, 2])
        return
    recipe = Recipe(scale=scale, impute=impute, clip=3.0, min_rows=3)
    recipes = by_fold(recipe, train)
    assert len({len(r.features) for r in recipes}) > 1
    assert_assembled(recipes, sample_tables.test.features.head(90), members=[0, 2, 1, 0])


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_of_the_registry(name: str, sample_tables: Tables) -> None:
    folds = by_fold(RECIPES[name], sample_tables.train)
    encoding = assert_assembled(
        folds, sample_tables.train.features, sample_tables.test.features, members=[1, 0, 2]
    )
    assert encoding.width >= max(len(recipe.features) for recipe in folds)
    both = [fit(RECIPES[name], sample_tables.train, sample_tables.test)] * 3
    shared = assert_assembled(both, sample_tables.test.features, members=[2, 0])
    assert set(shared.features) == set(both[0].features)
    assert shared.active.all()


DIFFERENT = table_of(
    # Fold by fold (rows 0-1, 2-3, 4-5): skewed only with row 5; missing only in fold 0, 1.
    amount=[1.0, 2.0, 3.0, 4.0, 5.0, 900.0],
    some=[np.nan, 1.0, 2.0, 3.0, 4.0, 5.0],
    other=[1.0, 2.0, np.nan, np.nan, 4.0, 5.0],
    twofold=[np.nan, np.nan, np.nan, np.nan, 1e9, 1e9 + 3],
    constant=[2.0, 2.0, 2.0, 2.0, 2.0, 7.0],
    kind=["a", "a", "b", "b", "c", "nan"],
    sparse=["x", None, None, None, None, None],
)
CONTIGUOUS = np.array([0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize("min_rows", [1, 2])
@pytest.mark.parametrize("impute", ["mean", "knn"])
def test_folds_that_differ_in_everything(impute: str, min_rows: int) -> None:
    recipe = Recipe(impute=impute, log_skew=0.75, min_rows=min_rows)
    recipes = fit_folds(recipe, DIFFERENT, DIFFERENT.features, Folds.of_rows(CONTIGUOUS).left_out)
    logs = [[c.log for c in r.numeric if c.name == "amount"] for r in recipes]
    assert logs == [[True], [True], [False]]
    indicators = [[f.column for f in r.features if f.kind == "missing"] for r in recipes]
    assert indicators == [["other", "twofold"], ["some", "twofold"], ["some", "other", "twofold"]]
    # Fold 2 has seen no value of `twofold`: what comes later is 0 to it.
    frame = DIFFERENT.features.assign(twofold=np.where(CONTIGUOUS == 2, 1.5, np.nan))
    new = frame.assign(kind=pd.Series(["q", "a", None, "c", "nan", "b"], dtype="str"))
    encoding = assert_assembled(recipes, frame, new, members=[0, 1, 2, 2])
    assert not encoding.active.all()
    assert encoding.active.any(axis=0).all()
    assert sum(f.column == "amount" and f.kind == "numeric" for f in encoding.features) == 2


def test_levels_with_vectors_are_codes() -> None:
    """Fold by fold: what has more levels there; the others stay one-hot, and all else as it was."""
    letters, few = list("abcdef"), ["x", "y", "x", "y", "x", "z"]
    table = table_of(size=[1.0, 5.0, 2.0, 9.0, 3.0, 4.0], few=few, many=letters)
    # The second fold has two levels of `many`, the first five of it and three of `few`.
    left_out = [np.array([0]), np.array([0, 1, 2, 3])]
    recipes = fit_folds(Recipe(log_skew=None), table, table.features, left_out)
    encoding = Encoding(recipes, vectors_above=2)
    vectors = encoding.features[encoding.dense :]
    assert [(f.column, f.level) for f in vectors] == [
        *(("few", level) for level in "xyz"),
        *(("many", level) for level in "bcdef"),
    ]
    assert encoding.inputs == Inputs(encoding.width, 1, (3, 5))
    assert encoding.active[:, encoding.dense :].tolist() == [[True] * 8, [False] * 8]
    new = table_of(size=[1.0, 2.0, 3.0], few=["y", "q", "z"], many=["f", "b", "a"]).features
    rows = DeviceRows(encoding, encoding.encode(new), [0, 1], CPU, torch.float32)
    made = rows.assemble(torch.arange(3).expand(2, -1)).numpy()
    assert rows.width == made.shape[2] == encoding.dense + 2
    # Eight are none: not known, or one-hot in the fold.
    assert made[0, :, encoding.dense :].tolist() == [[1, 7], [8, 3], [2, 8]]
    assert made[1, :, encoding.dense :].tolist() == [[8, 8]] * 3
    for fold, recipe in enumerate(recipes):
        own = encoding.active[fold, : encoding.dense]
        features = [encoding.features[d] for d in np.flatnonzero(own)]
        expected = recipe.transform(new)[:, [recipe.features.index(f) for f in features]]
        np.testing.assert_allclose(made[fold][:, : encoding.dense][:, own], expected, atol=1e-6)
        assert not made[fold][:, : encoding.dense][:, ~own].any()


def test_a_category_of_very_many_levels_has_a_vector_for_each_frequent_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One-hot there are never more than so many, whatever networks have."""
    monkeypatch.setattr("kaggleprice.preprocessing.fitting._MOST_ONE_HOT", 3)
    kinds = [f"k{i}" for i in range(10) for _ in range(i + 1)]
    recipe = fit(Recipe(min_rows=5, target_encode_levels=4), table_of(kind=kinds))
    assert [f.level for f in recipe.features] == ["k7", "k8", "k9", None]
    own = Encoding([recipe], vectors_above=3).features
    assert [f.level for f in own] == [*(f"k{i}" for i in range(4, 10)), None]
    assert own[-1].rare
    assert FittedRecipe.from_json(recipe.to_json()) == recipe


def test_large_values_lose_nothing_in_float32() -> None:
    """Neither where a fold has seen nothing of the column, nor where it has seen an outlier."""
    fine = 1e9 + np.arange(6.0)
    unseen = table_of(a=np.where(CONTIGUOUS == 0, fine, np.nan), b=[1.0] * 6)
    outlier = table_of(a=np.where(CONTIGUOUS == 1, 1e15, fine), b=[1.0] * 6)
    for table in (unseen, outlier):
        left_out = Folds.of_rows(CONTIGUOUS).left_out
        recipes = fit_folds(Recipe(log_skew=None), table, table.features, left_out)
        encoding = Encoding(recipes)
        rows = DeviceRows(encoding, encoding.encode(table.features), [1], CPU, torch.float32)
        made = rows.assemble(torch.arange(6)[None])[0].numpy()
        expected = placed(recipes[1], encoding.features, table.features)
        usual = np.abs(expected).max(axis=1) < 1e3
        assert usual.sum() >= 4
        np.testing.assert_allclose(made[usual], expected[usual], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("levels", "kind"),
    [(253, np.uint8), (254, np.uint8), (255, np.int16), (300, np.int16)],
)
def test_wide_vocabularies(levels: int, kind: type) -> None:
    """Two codes more than levels: missing, and unknown."""
    texts = [f"level {i:04d}" for i in range(levels)]
    table = table_of(
        wide=[*texts, *texts[:50]], narrow=["x", "y"] * ((levels + 50) // 2) + ["x"] * (levels % 2)
    )
    recipes = by_fold(replace(Recipe(), always_missing_level=True), table, 2)
    new = table_of(wide=[texts[0], texts[-1], None, "unknown"], narrow=["y", None, "z", "x"])
    encoding = assert_assembled(recipes, table.features, new.features, members=[0, 1])
    assert encoding.encode(new.features).codes.dtype == kind
    assert encoding.numeric_count == 0


def test_more_levels_than_16_bits() -> None:
    levels = 33_000
    table = table_of(wide=[f"{i:05d}" for i in range(levels)])
    encoding = Encoding([fit(Recipe(), table)])
    asked = np.array([[0, 32_766, 32_767, 32_768, levels - 1]])
    encoded = encoding.encode(table.features)
    assert encoded.codes.dtype == np.int32
    made = DeviceRows(encoding, encoded, [0], CPU, torch.float32).assemble(torch.from_numpy(asked))
    assert made.sum(dim=2).tolist() == [[1.0] * 5]
    names = [encoding.features[d].level for d in made[0].argmax(dim=1)]
    assert names == [f"{i:05d}" for i in asked[0]]


def test_one_kind_of_column_only() -> None:
    numbers = table_of(a=[1.0, 2.0, np.nan, 4.0, 5.0, 6.0])
    texts = table_of(a=["x", "y", None, "x", "z", "z"])
    for table in (numbers, texts):
        for recipe in (Recipe(), Recipe(scale="quantile"), Recipe(impute="knn")):
            assert_assembled(by_fold(recipe, table), table.features, members=[0, 1, 2])


def test_categorical_column_that_is_missing_throughout_comes_as_numbers() -> None:
    recipes = by_fold(Recipe(), table_of(a=["x", "y", None, "x", "z", "z"]))
    frame = pd.DataFrame({"a": [np.nan, np.nan]})
    assert_assembled(recipes, frame, members=[0, 1, 2])


def test_rows_without_a_column(sample_tables: Tables) -> None:
    encoding = Encoding(by_fold(Recipe(), sample_tables.train))
    with pytest.raises(DataError, match="'LotArea'"):
        encoding.encode(sample_tables.test.features.drop(columns="LotArea"))


NUMBERS = st.none() | st.integers(-40, 40).map(lambda i: i / 4)
TEXTS = st.none() | st.sampled_from(["a", "b", "c", "nan", "rare", "None"])


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, TEXTS, TEXTS), min_size=6, max_size=14),
    recipe=st.builds(
        Recipe,
        scale=st.sampled_from(sorted(SCALES)),
        impute=st.sampled_from(sorted(IMPUTES)),
        indicators=st.booleans(),
        clip=st.none() | st.sampled_from([0.5, 2.0]),
        log_skew=st.sampled_from([None, -1.0, 0.5]),
        min_rows=st.integers(1, 3),
        always_missing_level=st.booleans(),
        observed_statistics=st.booleans(),
        ddof=st.sampled_from([0, 1]),
    ),
)
def test_any_table_any_recipe(rows: list[tuple[object, ...]], recipe: Recipe) -> None:
    columns = list(zip(*rows, strict=True))
    frame = pd.DataFrame(
        {name: pd.Series(columns[j], dtype=np.float64) for j, name in enumerate("ab")}
        | {name: pd.Series(columns[j], dtype="str") for j, name in enumerate("cd", start=2)}
    )
    table = Table(np.array([str(i) for i in range(len(rows))], dtype=object), frame)
    folds = np.arange(len(rows)) % 3
    recipes = fit_folds(recipe, table, frame, Folds.of_rows(folds).left_out)
    assert_assembled(recipes, frame, members=[2, 0, 1], dtype=torch.float64)


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python run, those of loops and comprehensions once per turn."""
    count, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("scale", ["standard", "quantile"])
def test_work_grows_with_columns_and_not_with_their_square(scale: str) -> None:
    def counted(columns: int) -> int:
        generator = np.random.default_rng(0)
        numbers = generator.exponential(size=(30, columns))
        numbers[generator.random(numbers.shape) < 0.1] = np.nan
        texts = generator.choice(["a", "b", "c"], size=(30, columns))
        table = table_of(
            **{f"x{j}": list(line) for j, line in enumerate(numbers.T)},
            **{f"c{j}": list(line) for j, line in enumerate(texts.T)},
        )
        recipes = by_fold(Recipe(scale=scale), table)
        encoding: list[Encoding] = []
        made = lines_run(lambda: encoding.append(Encoding(recipes)))
        return made + lines_run(lambda: encoding[0].encode(table.features))

    few, twice, four_times = (counted(columns) for columns in (20, 40, 80))
    # What twice as many columns add is a part that does not grow faster than they do.
    assert four_times - twice < 2.2 * (twice - few)
