"""Base models: fitted per fold, honest, reproducible; and what their predictions weigh."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor

from kaggleprice.api.prediction import PredictRequest, predict
from kaggleprice.api.workflow import RuntimeConfig, cross_validate
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.data import DatasetRef, load
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.competitions.transforms import LOG
from kaggleprice.core.errors import RunFolderError, UsageError
from kaggleprice.evaluation import cross_validation, regressors
from kaggleprice.evaluation.base_models import BaseModelPredictions, fit_base_models
from kaggleprice.evaluation.cross_validation import CrossValidation, fit_recipes
from kaggleprice.evaluation.ensemble import WeightedPredictions
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.runs.run import Run
from kaggleprice.settings.base_models import BASE_MODELS, FitContext
from kaggleprice.settings.run import RunSettings, make_settings
from kaggleprice.settings.training import Member
from kaggleprice.training.task import TrainingTask

SAMPLE = COMPETITIONS["sample"]
TINY = {
    # Their combinations are computed by hand.
    "bound": False,
    "hidden": (8,),
    "epochs": 2,
    "portfolio": (),
    "inner_blocks": 1,
    "seeds": 2,
    "k": 3,
}
# They need libraries of the extra `boosting`.
OF_EXTRA = {"lightgbm", "catboost"}
ROWS = 120
SPLIT = make_folds(ROWS, 3)


def test_trees_of_many_rows_are_cut_by_histograms() -> None:
    few, many = (regressors.trees(FitContext(0, rows, 10)) for rows in (4000, 4001))
    assert isinstance(few, GradientBoostingRegressor)
    assert isinstance(many, HistGradientBoostingRegressor)


@pytest.fixture(scope="module")
def tables(sample_tables: Tables) -> Tables:
    train, test = sample_tables.train, sample_tables.test
    return Tables(
        Table(train.ids[:ROWS], train.features.head(ROWS), train.known_target[:ROWS]),
        Table(test.ids[:30], test.features.head(30)),
    )


def fitted(
    tables: Tables, names: tuple[str, ...], seed: int = 0, threads: int = 1
) -> BaseModelPredictions:
    task = task_of(tables, {**TINY, "seed": seed}, np.log(tables.train.known_target))
    return fit_base_models(names, tables, task, threads)


def task_of(tables: Tables, options: dict[str, Any], target: NDArray[np.float64]) -> TrainingTask:
    """The task of a run, with a target in place of its own."""
    settings = make_settings(options=options)
    cpu = torch.device("cpu")
    task = cross_validation.prepare(SAMPLE, tables, SPLIT, settings, cpu).task
    encoding = Encoding(fit_recipes(tables, SPLIT, settings, target))
    return replace(task, encoding=encoding, target=target)


def run(tables: Tables, settings: RunSettings) -> CrossValidation:
    return cross_validation.cross_validate(SAMPLE, tables, SPLIT, settings, torch.device("cpu"))


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regressors, "_ENSEMBLES", 1)
    monkeypatch.setattr(regressors, "_ROUNDS", 100)
    monkeypatch.setattr(regressors, "_TREES", 150)
    if find_spec("catboost"):
        catboost = import_module("catboost")
        few = partial(catboost.CatBoostRegressor, iterations=150)
        monkeypatch.setattr(catboost, "CatBoostRegressor", few)


@pytest.fixture(params=BASE_MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """Every entry whose library is installed."""
    if request.param in OF_EXTRA:
        reason = f"{request.param}, of the extra `boosting`, is not installed"
        pytest.importorskip(request.param, reason=reason)
    return str(request.param)


def test_conformance(tables: Tables, name: str) -> None:
    """What is asked of every entry: a regressor, better than the mean, the same twice."""
    check_conformance(tables, name)


@pytest.mark.parametrize("name", ["trees", "svm"], indirect=True)
def test_conformance_of_many_rows(
    tables: Tables, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regressors, "_FEW_ROWS", 50)
    check_conformance(tables, name)


def check_conformance(tables: Tables, name: str) -> None:
    assert is_regressor(BASE_MODELS[name].load()(FitContext(3, ROWS, 20)))
    made = fitted(tables, (name,))
    assert made.names == (name,)
    assert made.train.shape == (1, 3, ROWS)
    assert made.test.shape == (1, 3, 30)
    target = np.log(tables.train.known_target)
    oof = made.train[0, SPLIT.fold_of_row, np.arange(ROWS)]
    assert np.sqrt(np.mean((oof - target) ** 2)) < 0.8 * target.std()
    again = fitted(tables, (name,), threads=2)
    assert np.array_equal(made.train, again.train)
    assert np.array_equal(made.test, again.test)


@pytest.mark.parametrize(
    ("name", "rows"),
    [("boosting", 200), ("trees", 200), ("trees", 5000), ("lightgbm", 200), ("catboost", 200)],
    indirect=["name"],
)
def test_trees_learn_a_median_where_networks_do(name: str, rows: int) -> None:
    """Of a skewed target that no feature tells anything of: the median of exp(1) is log 2."""
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, 2)).astype(np.float32)
    target = random.exponential(size=rows)
    centres = {}
    for loss in ("mse", "mae"):
        model = BASE_MODELS[name].load()(FitContext(0, rows, 2, loss=loss))
        centres[loss] = float(np.mean(model.fit(features, target).predict(features)))
    assert centres["mse"] == pytest.approx(target.mean(), abs=0.05)
    assert centres["mae"] == pytest.approx(np.median(target), abs=0.15)


def test_weighted_rows_count_that_often(name: str) -> None:
    check_weights(name)


@pytest.mark.parametrize("name", ["trees", "svm"], indirect=True)
def test_weighted_rows_count_that_often_of_many(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regressors, "_FEW_ROWS", 50)
    check_weights(name)


def check_weights(name: str) -> None:
    """A group of rows that weighs nothing does not draw predictions to its target."""
    random = np.random.default_rng(0)
    features = random.normal(size=(120, 2)).astype(np.float32)
    target = features[:, 0].astype(np.float64)
    spoilt = np.arange(120) % 3 == 0
    target[spoilt] += 50
    model = BASE_MODELS[name].load()(FitContext(0, 120, 2))
    model.fit(features, target, sample_weight=np.where(spoilt, 0.0, 1.5))
    kept = ~spoilt
    assert np.abs(model.predict(features)[kept] - target[kept]).mean() < 1


def test_svm_does_not_depend_on_the_unit_of_the_target() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(90, 3))
    target = np.sin(features[:, 0]) + features[:, 1]
    first, other = (BASE_MODELS["svm"].load()(FitContext(0, 90, 3)) for _ in range(2))
    expected = first.fit(features, target).predict(features)
    found = other.fit(features, 1000 * target + 5).predict(features)
    np.testing.assert_allclose(found, 1000 * expected + 5, atol=5)


@pytest.mark.parametrize("missing", sorted(OF_EXTRA))
def test_a_library_that_is_not_installed_is_told_before_training(
    tables: Tables, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr("kaggleprice.training.train.train", pytest.fail)
    with pytest.raises(UsageError, match=rf"{missing} .*kaggleprice\[boosting\]"):
        run(tables, make_settings(options={**TINY, "base_models": (missing,)}))


def test_ridge_is_scikit_learns(tables: Tables) -> None:
    from sklearn.linear_model import RidgeCV

    rows, _ = SPLIT[1]
    target = np.log(tables.train.known_target)
    recipe = fit_recipes(tables, SPLIT, make_settings(options=TINY), target)[1]
    features = recipe.transform_training(tables.train.features, rows, target[None].T, 0)
    expected = RidgeCV(np.logspace(-1, 4, 16)).fit(features[rows], target[rows])
    made = fitted(tables, ("boosting", "ridge"))
    np.testing.assert_allclose(made.train[1, 1], expected.predict(features), rtol=1e-4)


def test_trees_depend_on_seed_and_fold(tables: Tables) -> None:
    first, other = fitted(tables, ("boosting",)), fitted(tables, ("boosting",), seed=1)
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.test[0, 0], first.test[0, 1])


def test_garbage_targets_reach_no_base_model_of_their_fold(tables: Tables) -> None:
    settings = make_settings(options={**TINY, "base_models": ("boosting", "ridge")})
    held = SPLIT.fold_of_row == 1
    target = np.where(held, 1e9, tables.train.known_target)
    clean = run(tables, settings)
    garbled = run(Tables(replace(tables.train, target=target), tables.test), settings)
    assert clean.base_models is not None
    assert garbled.base_models is not None
    assert np.array_equal(clean.base_models.train[:, 1], garbled.base_models.train[:, 1])
    assert np.array_equal(clean.base_models.test[:, 1], garbled.base_models.test[:, 1])
    assert not np.array_equal(clean.base_models.test[:, 0], garbled.base_models.test[:, 0])
    assert np.array_equal(clean.oof[held], garbled.oof[held])


def test_target_statistics_are_those_of_the_fold_and_its_targets(tables: Tables) -> None:
    """Targets may be handed over by fold, and several of each fold."""
    options = {**TINY, "target_encode_levels": 2, "group_context": None}
    target = np.log(tables.train.known_target)
    tasks = [
        task_of(tables, options, y)
        for y in (target, np.tile(target, (3, 1)), np.tile([target, -target], (3, 1)))
    ]
    alike, by_fold, two = (fit_base_models(("ridge",), tables, task, 1) for task in tasks)
    assert tasks[0].encoding.recipes[0].targets
    np.testing.assert_array_equal(by_fold.train, alike.train)
    np.testing.assert_array_equal(by_fold.test, alike.test)
    np.testing.assert_allclose(two.train[:, 1::2], -two.train[:, 0::2], rtol=1e-4)


def test_the_weights_by_hand(tables: Tables) -> None:
    settings = make_settings(
        options={**TINY, "base_models": ("boosting", "ridge"), "base_model_share": 0.3}
    )
    result, alone = run(tables, settings), run(tables, make_settings(options=TINY))
    assert result.base_models is not None
    rows = np.arange(ROWS)
    base_models = result.base_models.train[:, SPLIT.fold_of_row, rows]
    logs = 0.7 * np.log(alone.oof) + 0.15 * base_models[0] + 0.15 * base_models[1]
    np.testing.assert_allclose(result.oof, np.exp(logs), rtol=1e-12)
    truth = np.log(tables.train.known_target)
    assert result.scores.oof == pytest.approx(np.sqrt(np.mean((logs - truth) ** 2)))
    assert result.scores.networks_oof == pytest.approx(alone.scores.oof, rel=1e-12)
    assert [p.name for p in result.base_model_scores] == ["boosting", "ridge"]
    for p, score in enumerate(result.base_model_scores):
        assert score.oof == pytest.approx(np.sqrt(np.mean((base_models[p] - truth) ** 2)))


def test_without_base_models_the_networks_are_all(tables: Tables) -> None:
    result = run(tables, make_settings(options=TINY))
    assert result.base_models is None
    assert result.base_model_scores == []
    assert result.scores.networks_oof == result.scores.oof


def test_test_rows_are_predicted_by_every_fold() -> None:
    settings = make_settings(options={**TINY, "base_models": ("ridge",), "base_model_share": 0.5})
    members = [Member(fold, seed) for fold in range(3) for seed in range(2)]
    rng = np.random.default_rng(0)
    networks, base_models = rng.normal(size=(6, 4)), rng.normal(size=(1, 3, 4))
    equal = WeightedPredictions(members, networks, np.full(6, settings.equal_weights[0]))
    shares = np.full((1, 3), settings.equal_weights[1])
    everybody = equal.with_base_models(base_models, shares)
    folds = Folds.of_rows(np.array([0, 1, 2]))
    scale = TargetScale.learn(METRICS["rmse"], LOG, np.ones(3), folds, bound=False)
    expected = 0.5 * networks.mean(axis=0) + 0.5 * base_models[0].mean(axis=0)
    np.testing.assert_allclose(np.log(everybody.combine(scale, None)), expected, rtol=1e-12)


def test_a_saved_run_predicts_the_same(tables: Tables, tmp_path: Path) -> None:
    source, runtime = DatasetRef(SAMPLE, tmp_path / "data"), RuntimeConfig(tmp_path / "runs")
    settings = make_settings(options={**TINY, "base_models": ("ridge",)})
    saved, result = cross_validate(source, settings, runtime)
    kept = Run.read(saved.path).base_models()
    assert kept is not None
    assert result.base_models is not None
    assert np.array_equal(kept.train, result.base_models.train)
    assert np.array_equal(kept.test, result.base_models.test)
    made = predict(source, runtime, output=tmp_path / "a.csv").submission
    networks = result.ensemble.predict(load(source).tables.test.features).mean(axis=0)
    expected = np.exp(0.6 * networks + 0.4 * kept.test[0].mean(axis=0))
    np.testing.assert_allclose(made.iloc[:, 1], expected, rtol=1e-6)
    with pytest.raises(UsageError, match="--base-models none"):
        predict(
            source,
            runtime,
            PredictRequest(options={"combine": "median"}),
            output=tmp_path / "b.csv",
        )
    assert not (tmp_path / "b.csv").exists()
    (saved.path / "base_models.safetensors").write_bytes(b"")
    with pytest.raises(RunFolderError, match=r"base_models.safetensors was truncated or altered"):
        predict(source, runtime, output=tmp_path / "c.csv")
