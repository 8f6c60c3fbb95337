"""The scikit-learn regressor: its contract, its input, and that it is the engine of `cv`."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    parametrize_with_checks,
)
from sklearn.utils.validation import has_fit_parameter

from kaggleprice import KagglePriceRegressor
from kaggleprice.competitions.catalog import COMPETITIONS, Competition, DataFile
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Tables, read_tables
from kaggleprice.core.errors import DivergenceError, KagglePriceError, UsageError
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.folds import Folds
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.settings.recipe import RECIPES
from kaggleprice.settings.run import PRESETS, flat_settings, make_settings

FOLDER = Path(__file__).parents[2] / "data" / "sample"
# The sample competition without the features that are its own: those no regressor knows.
PLAIN = replace(COMPETITIONS["sample"], engineering=None)
TINY: dict[str, Any] = {"portfolio": (), "seeds": 1, "epochs": 3, "hidden": (8,), "device": "cpu"}
# Enough to learn what scikit-learn's checks ask for: an R² of 0.5 on 200 rows.
QUICK = KagglePriceRegressor(**{**TINY, "epochs": 6, "batch_size": 16, "lr": 0.05})


def line(rows: int = 40) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two numbers and a target that they decide."""
    x = np.random.default_rng(0).normal(size=(rows, 2))
    return x, 3 * x[:, 0] - x[:, 1] + 10


def houses(rows: int = 60) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Columns of every kind, with gaps, and a target that a category decides."""
    generator = np.random.default_rng(1)
    kind = generator.choice(["brick", "wood"], rows)
    frame = pd.DataFrame(
        {
            "area": generator.uniform(50, 200, rows),
            "rooms": pd.array(generator.integers(1, 6, rows), dtype="Int64"),
            "kind": kind,
            "heated": generator.random(rows) < 0.5,
            "zone": pd.Categorical(generator.choice([1, 2, 3], rows)),
            "note": np.array([None, 7, "x"], dtype=object)[generator.integers(0, 3, rows)],
        }
    )
    frame.loc[::7, "area"] = np.nan
    frame.loc[::5, "rooms"] = pd.NA
    frame.loc[3, "kind"] = None
    return frame, np.where(kind == "brick", 200.0, 100.0)


# As scikit-learn says of its own networks and of all that is trained in random batches: a row of
# weight 2 is drawn once in an epoch, and counts twice, where two rows are drawn in two batches.
_NOT_IN_BATCHES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "rows are drawn in random batches"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks([QUICK], expected_failed_checks=lambda _: _NOT_IN_BATCHES)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_is_the_same_in_another_process(tmp_path: Path) -> None:
    """Pickled, and loaded where nothing of it is imported; there, the check of array dispatch.

    That is the one check that needs an environment set before scipy is imported.
    """
    frame, target = houses()
    model = KagglePriceRegressor(**TINY).fit(frame, target)
    joblib.dump((model, frame), tmp_path / "model.joblib")
    program = (
        "import joblib\n"
        "model, frame = joblib.load('model.joblib')\n"
        "print(model.predict(frame).tobytes().hex())\n"
        "from inspect import signature\n"
        "from sklearn.utils.estimator_checks import check_array_api_input\n"
        # Its name changed in scikit-learn 1.8.
        "arrays = {'check_values', 'expect_only_array_outputs'}"
        " & signature(check_array_api_input).parameters.keys()\n"
        "check_array_api_input('KagglePriceRegressor', model, array_namespace='numpy',"
        " **dict.fromkeys(arrays, False))\n"
        "print('checked')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{model.predict(frame).tobytes().hex()}\nchecked\n", done.stderr


def test_column_names_are_kept_as_in_scikit_learn() -> None:
    check_dataframe_column_names_consistency("KagglePriceRegressor", QUICK)


def test_the_example_is_what_happens() -> None:
    tests = doctest.DocTestFinder().find(KagglePriceRegressor, "model", globs={})
    runner = doctest.DocTestRunner()
    for test in tests:
        runner.run(test)
    assert (runner.failures, runner.tries >= 4) == (0, True)


def test_defaults_are_those_of_the_default_preset() -> None:
    defaults = flat_settings(PRESETS["default"].settings)
    own = KagglePriceRegressor().get_params()
    shared = {name: value for name, value in own.items() if name in defaults}
    assert shared == {name: defaults[name] for name in shared}
    assert {name: value for name, value in own.items() if name not in defaults} == {
        "random_state": defaults["seed"],
        "metric": "rmse",
        "target_transform": "none",
        "kinds": None,
        "device": "auto",
        "threads": None,
    }
    # There is no use for them without folds and a competition.
    assert not {"k", "fold_seed", "stop_on", "base_models", "engineering"} & set(own)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return read_tables(PLAIN, FOLDER / "train.csv", FOLDER / "test.csv")


def test_a_default_of_another_type_is_none_that_was_given() -> None:
    """As a search hands parameters over: an array's element, a list in place of a tuple."""
    plain = KagglePriceRegressor()._settings()
    again = KagglePriceRegressor(lr=np.float64(0.01), hidden=list(plain.model.hidden))._settings()
    assert again == plain
    assert KagglePriceRegressor(hidden=np.array([64]))._settings().fixed == ("hidden",)


def test_it_is_the_networks_of_cv(tables: Tables) -> None:
    """Fitted on the rows that a fold trains on, it predicts what that fold's members predict.

    Its random streams are those of the first fold: so each fold takes a turn as the first one.
    """
    options = {"portfolio": (), "seeds": 2, "epochs": 3, "hidden": (8,), "dtype": "float64"}
    settings = make_settings(options={**options, "k": 3, "seed": 7})
    train, device = tables.train, torch.device("cpu")
    x, y = train.features, train.known_target
    splits = KFold(3, shuffle=True, random_state=7).split(x)
    fold_of_row = np.empty(len(train), dtype=np.int64)
    for fold, (_, held) in enumerate(splits):
        fold_of_row[held] = fold
    model = KagglePriceRegressor(**options, random_state=7, target_transform="log", device="cpu")
    for first in range(3):
        turned = (fold_of_row - first) % 3
        result = cross_validation.cross_validate(
            PLAIN, tables, Folds.of_rows(turned), settings, device
        )
        held = turned == 0
        predicted = model.fit(x[~held], y[~held]).predict(x[held])
        # Numbers are kept in float32, shifted by what all folds have seen.
        assert predicted == pytest.approx(result.oof[held], rel=1e-5)


def test_all_rows_are_trained_on() -> None:
    x, y = line()
    model = KagglePriceRegressor(**{**TINY, "seeds": 3}).fit(x, y)
    assert [recipe.rows for recipe in model.ensemble_.encoding.recipes] == [40]
    assert [member.seed for member in model.ensemble_.members] == [0, 1, 2]
    assert model.ensemble_.fit.target_center == pytest.approx(np.full(3, y.mean()))
    assert list(model.history_) == ["seed", "epoch", "train"]
    last = model.history_[model.history_["epoch"] == 3].set_index("seed")["train"]
    for seed, predicted in zip([0, 1, 2], model.ensemble_.predict(_named(x)), strict=True):
        assert last[seed] == pytest.approx(METRICS["rmse"].score(y, predicted), rel=1e-5)


def _named(x: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(x, columns=[f"x{j}" for j in range(x.shape[1])])


def test_it_learns_numbers_and_categories() -> None:
    frame, target = houses(200)
    model = KagglePriceRegressor(**{**TINY, "epochs": 30, "batch_size": 16})
    assert model.fit(frame, target).score(frame, target) > 0.95
    assert list(model.feature_names_in_) == list(frame)
    assert model.n_features_in_ == 6
    kinds = {f.column: f.kind for f in model.ensemble_.encoding.features if f.kind != "missing"}
    assert kinds == {
        "area": "numeric",
        "rooms": "numeric",
        **dict.fromkeys(("kind", "heated", "zone", "note"), "level"),
    }


def test_the_same_values_of_another_type_are_the_same() -> None:
    frame, target = houses()
    model = KagglePriceRegressor(**TINY).fit(frame, target)
    expected = model.predict(frame)
    other = frame.astype({"rooms": "Float64", "kind": "category", "heated": "boolean"})
    assert np.array_equal(model.predict(other), expected)
    assert np.array_equal(model.predict(frame.astype(object)), expected)
    assert expected.dtype == np.float64
    assert expected.shape == (60,)
    rows = [model.predict(frame.iloc[[i]])[0] for i in range(5)]
    assert rows == pytest.approx(expected[:5], rel=1e-12)


def test_an_array_of_objects_is_columns_of_either_kind() -> None:
    frame, target = houses()
    kept = frame[["area", "kind"]]
    expected = KagglePriceRegressor(**TINY).fit(kept, target).predict(kept)
    array = kept.to_numpy(dtype=object)
    assert np.array_equal(KagglePriceRegressor(**TINY).fit(array, target).predict(array), expected)


def test_new_rows_may_lack_values_and_have_new_categories() -> None:
    frame, target = houses()
    model = KagglePriceRegressor(**TINY).fit(frame, target)
    empty = frame.astype(object)
    empty.loc[:, :] = None
    unknown = frame.assign(kind="straw")
    for rows in (empty, unknown):
        assert np.isfinite(model.predict(rows)).all()
    # A category that nobody knows switches no feature on, whatever it is called.
    assert np.array_equal(model.predict(unknown), model.predict(frame.assign(kind="paper")))


def test_a_target_transform_is_scikit_learns() -> None:
    x, y = line()
    own = KagglePriceRegressor(**TINY, target_transform="log1p").fit(x, y + 20).predict(x)
    outside = TransformedTargetRegressor(
        KagglePriceRegressor(**TINY), func=np.log1p, inverse_func=np.expm1
    )
    assert own == pytest.approx(outside.fit(x, y + 20).predict(x), rel=1e-12)


def test_networks_are_averaged() -> None:
    x, y = line()
    model = KagglePriceRegressor(**{**TINY, "seeds": 3}, target_transform="log").fit(x, y + 20)
    logs = model.ensemble_.predict(_named(x))
    assert model.predict(x) == pytest.approx(np.exp(logs.mean(axis=0)), rel=1e-12)
    model.set_params(combine="median")
    assert model.predict(x) == pytest.approx(np.median(np.exp(logs), axis=0), rel=1e-12)


def test_a_constant_target_is_said_exactly() -> None:
    x, _ = line()
    model = KagglePriceRegressor(**{**TINY, "seeds": 3}, batch_norm=True)
    assert np.array_equal(model.fit(x, np.full(40, 7.3)).predict(x), np.full(40, 7.3))


def test_random_state_decides_everything_random() -> None:
    x, y = line()

    def predicted(state: Any) -> NDArray[np.float64]:
        return KagglePriceRegressor(**TINY, random_state=state).fit(x, y).predict(x)

    assert np.array_equal(predicted(3), predicted(3))
    assert np.array_equal(predicted(np.int64(3)), predicted(3))
    assert not np.array_equal(predicted(3), predicted(4))
    first, second = (np.random.RandomState(5) for _ in range(2))
    assert np.array_equal(predicted(first), predicted(second))
    # The generator went on, as generators do.
    assert not np.array_equal(predicted(first), predicted(np.random.RandomState(5)))
    assert not np.array_equal(predicted(None), predicted(None))


def test_early_stopping_watches_rows_of_its_own() -> None:
    x, y = line(60)
    model = KagglePriceRegressor(**{**TINY, "epochs": 50}, patience=1, lr=0.2, stop_share=0.5)
    epochs = model.fit(x, y).ensemble_.fit.epochs
    assert 1 <= epochs[0] < 50
    assert model.ensemble_.fit.target_center[0] != y.mean()


def test_threads_are_given_back() -> None:
    x, y = line()
    before = torch.get_num_threads()
    KagglePriceRegressor(**TINY, threads=before + 1).fit(x, y).predict(x)
    assert torch.get_num_threads() == before
    with pytest.raises(UsageError, match="threads must be from 1 to 1024, found 0"):
        KagglePriceRegressor(**TINY, threads=0).fit(x, y)


def test_it_stands_in_pipelines_searches_and_stacks() -> None:
    x, y = line(60)
    names = pd.DataFrame(x, columns=["a", "b"])
    model = clone(QUICK).set_params(epochs=40)
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), model)
    assert cross_val_score(pipeline, names, y, cv=2).min() > 0.5
    search = GridSearchCV(model, {"hidden": [[8, 4], (8,), 16]}, cv=2)
    assert search.fit(x, y).best_score_ > 0.5
    assert search.best_params_["hidden"] in ([8, 4], (8,), 16)
    stack = StackingRegressor([("networks", model), ("ridge", Ridge())], cv=2)
    assert stack.fit(x, y).score(x, y) > 0.9
    frame, target = houses()
    chosen = make_pipeline(FunctionTransformer(lambda x: x[["area", "kind"]]), model)
    assert chosen.fit(frame, target).score(frame, target) > 0.5


def test_rows_of_no_weight_say_nothing_of_the_target() -> None:
    x, y = line()
    assert has_fit_parameter(QUICK, "sample_weight")
    ignored = np.arange(len(y)) % 4 == 0
    weights = np.where(ignored, 0.0, 2.0)
    wrong = np.where(ignored, 11.0, y)
    first, second = (
        KagglePriceRegressor(**TINY, bound=False).fit(x, target, sample_weight=weights)
        for target in (y, wrong)
    )
    np.testing.assert_allclose(first.predict(x), second.predict(x), rtol=1e-6)
    plain = KagglePriceRegressor(**TINY, bound=False).fit(x, wrong)
    assert not np.allclose(first.predict(x), plain.predict(x), rtol=1e-3)
    for weight, message in [(-1.0, "Negative values"), (0.0, "non-zero|in every row")]:
        with pytest.raises(ValueError, match=message):
            KagglePriceRegressor(**TINY).fit(x, y, sample_weight=np.full(len(y), weight))


def test_the_metric_chooses_what_is_learned() -> None:
    """Of a target that nothing explains: a quantile, the mean, never out of the domain."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(200, 1)), random.poisson(0.6, size=200).astype(float)
    options = {**TINY, "epochs": 40, "weight_decay": 1.0, "target_transform": "log1p"}
    high = KagglePriceRegressor(**options, metric="pinball 0.9").fit(x, y).predict(x)
    assert 0.8 < (y <= high + 0.5).mean() <= 1
    mean = KagglePriceRegressor(**options, metric="poisson").fit(x, y).predict(x)
    assert mean.mean() == pytest.approx(y.mean(), rel=0.15)
    assert mean.min() > 0
    with pytest.raises(ValueError, match="y must be 0 or above for the metric poisson"):
        KagglePriceRegressor(**TINY, metric="poisson").fit(x, y - 1)


def test_predictions_stay_inside_what_was_seen() -> None:
    x, y = line()
    far = x * 5
    # Straight lines are followed out.
    options = {**TINY, "epochs": 40, "embedding": "none", "soft_bound": None, "lr": 0.1}
    free = KagglePriceRegressor(**options, bound=False).fit(x, y).predict(far)
    bound = KagglePriceRegressor(**options).fit(x, y).predict(far)
    assert free.max() > y.max()
    np.testing.assert_array_equal(bound, np.clip(free, y.min(), y.max()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 2.5}, "epochs takes a whole number from 1, or none; found 2.5"),
        ({"lr": -1}, "lr takes a number above 0; found -1"),
        ({"activation": "gleu"}, "unknown value 'gleu' of activation.* Did you mean 'gelu'"),
        ({"target_transform": "cube"}, "unknown target transform 'cube'; there are: log, log1p"),
        ({"metric": "accuracy"}, "unknown metric 'accuracy'"),
        ({"metric": "pinball 2"}, "pinball takes a level above 0 and below 1.* found '2'"),
        ({"random_state": -1}, "seed takes a whole number from 0"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
    ],
)
def test_a_parameter_that_cannot_be_is_one_sentence(given: dict[str, Any], message: str) -> None:
    x, y = line()
    with pytest.raises(KagglePriceError, match=message) as caught:
        KagglePriceRegressor(**{**TINY, **given}).fit(x, y)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_divergence_is_said() -> None:
    x, y = line()
    with pytest.raises(DivergenceError, match="training diverged"):
        KagglePriceRegressor(**TINY, lr=1e6, optimizer="sgd", schedule="constant").fit(x, y)


def _with(column: str, values: Any) -> pd.DataFrame:
    return houses()[0].assign(**{column: values})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_with("area", "large"), "Column 'area' of X held numbers in fit and .* such as 'large'"),
        (_with("kind", 1.5), "Column 'kind' of X held categories in fit and holds numbers"),
        (_with("area", np.inf), "Input X contains infinity .* in column 'area'"),
        (_with("area", 1e200), "a number beyond 1e[+]100 in column 'area'"),
        (_with("area", pd.Timestamp("2020-01-01")), "Column 'area' of X holds datetime values"),
        (houses()[0].iloc[:0], "Found array with 0 sample"),
    ],
)
def test_rows_that_cannot_be_are_one_sentence(rows: pd.DataFrame, message: str) -> None:
    frame, target = houses()
    model = KagglePriceRegressor(**TINY).fit(frame, target)
    with pytest.raises(ValueError, match=message):
        model.predict(rows)


@pytest.mark.parametrize(
    ("given", "transform", "message"),
    [
        (np.array([1.0] * 39 + [np.nan]), "none", "Input y contains NaN"),
        (np.array([1.0] * 39), "none", "inconsistent numbers of samples"),
        (np.array(["x"] * 40), "none", "could not convert string to float"),
        (np.arange(40.0) - 1, "log", "y must be a number above 0 in every row; found -1 in row 0"),
        (np.full(40, 1e200), "none", "y .* beyond 1e[+]100"),
    ],
)
def test_a_target_that_cannot_be_is_one_sentence(
    given: NDArray[Any], transform: str, message: str
) -> None:
    x, _ = line()
    with pytest.raises(ValueError, match=message):
        KagglePriceRegressor(**TINY, target_transform=transform).fit(x, given)


def test_columns_that_cannot_be_are_refused_in_fit() -> None:
    frame, target = houses()
    for values in (pd.Timestamp("2020-01-01"), pd.Timedelta("1D"), pd.Period("2020-01")):
        with pytest.raises(ValueError, match=r"'area' of X holds .* make it numbers first"):
            KagglePriceRegressor(**TINY).fit(frame.assign(area=values), target)
    with pytest.raises(ValueError, match="0 feature"):
        KagglePriceRegressor(**TINY).fit(frame[[]], target)
    with pytest.raises(ValueError, match="two columns of X are called 'area'"):
        KagglePriceRegressor(**TINY).fit(frame[["area", "kind", "area"]], target)


@pytest.mark.parametrize("scale", ["standard", "quantile"])
def test_a_column_may_be_empty(scale: str) -> None:
    x, y = line()
    x[:, 1] = np.nan
    model = KagglePriceRegressor(**TINY, scale=scale).fit(x, y)
    assert np.isfinite(model.predict(x)).all()


def test_several_targets_are_predicted_as_each_alone() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 3))
    targets = np.column_stack([rows[:, 0] * 2, 100 - rows[:, 1]])
    together = clone(QUICK).fit(rows, targets).predict(rows)
    alone = [clone(QUICK).fit(rows, target).predict(rows) for target in targets.T]
    assert together == pytest.approx(np.column_stack(alone), rel=1e-3)


KINDS = {
    "day": "date",
    "size": ("S", "M", "L"),
    "note": "text",
    "grade": "category",
    "price": "number",
    "lat": "latitude",
    "lon": "longitude",
}


def frame_of_kinds(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=rows, freq="D"),
            "size": random.choice(["S", "M", "L"], rows),
            "note": random.choice(["large garden", "dark and damp", "near a school"], rows),
            "grade": random.integers(1, 5, rows),
            "price": [f"{value:,} EUR" for value in random.integers(1000, 9999, rows)],
            "lat": random.uniform(47, 48, rows),
            "lon": random.uniform(8, 9, rows),
        }
    )


def test_kinds_are_those_of_a_file(tmp_path: Path) -> None:
    frame = frame_of_kinds(80)
    target = frame["grade"] + frame["lat"]
    model = clone(QUICK).set_params(kinds=KINDS).fit(frame, target)
    frame.assign(target=target).to_csv(tmp_path / "train.csv", index=False)
    competition = Competition(
        "kinds", "", "", DataFile("train.csv"), None, None, "target", kinds=KINDS
    )
    read = read_tables(competition, tmp_path / "train.csv", None).train
    expected = fit(RECIPES["standard"], read, target=read.known_target)
    names = [feature.name for feature in expected.features]
    assert [f.name for f in model.ensemble_.encoding.recipes[0].features] == names
    made = model.ensemble_.encoding.recipes[0].transform(model._columns.read(frame))
    assert made == pytest.approx(expected.transform(read.features), abs=1e-9)
    few = model.predict(frame[:3])
    assert few == pytest.approx(model.predict(frame)[:3])


def test_kinds_that_cannot_be() -> None:
    frame = frame_of_kinds(20)
    target = np.arange(20.0)
    with pytest.raises(ValueError, match="'colour', which is no column"):
        clone(QUICK).set_params(kinds={"colour": "category"}).fit(frame, target)
    model = clone(QUICK).set_params(kinds=KINDS).fit(frame, target)
    with pytest.raises(KagglePriceError, match="'size' must hold one of S, M, L, found 'XXL'"):
        model.predict(frame.assign(size="XXL"))
