"""Permutation importance: the numbers of a plain computation, and of scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from reported import Made, make_run
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance

from kaggleprice.competitions import tables
from kaggleprice.competitions.data import load
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Table
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.reports.importance import Importance, measure_importance

Floats = NDArray[np.float64]
SEED, REPEATS = 3, 2

log_rmse = METRICS["log_rmse"].score


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_run(tmp_path_factory.mktemp("importance"))


@pytest.fixture(scope="module")
def table(made: Made) -> Table:
    return load(made.source).tables.train


@pytest.fixture(scope="module")
def ensemble(made: Made) -> Ensemble:
    return made.run.ensemble()


@pytest.fixture(scope="module")
def folds(made: Made) -> NDArray[np.int64]:
    return pd.read_csv(made.run.path / "folds.csv")["fold"].to_numpy(np.int64) - 1


@pytest.fixture(scope="module")
def measure(
    made: Made, table: Table, ensemble: Ensemble, folds: NDArray[np.int64]
) -> Callable[..., Importance]:
    def call(**options: Any) -> Importance:
        given = {"how": None, "repeats": REPEATS, "seed": SEED, **options}
        own = given.pop("ensemble", ensemble)
        return measure_importance(own, made.source.competition, table, folds, **given)

    return call


@pytest.fixture(scope="module")
def found(measure: Callable[..., Importance]) -> Importance:
    return measure()


def own_fold_only(ensemble: Ensemble, folds: NDArray[np.int64], frame: pd.DataFrame) -> Floats:
    """Geometric means over each row's own fold's members, from the public prediction of all."""
    lines = ensemble.predict(frame)
    member_fold = np.array([m.fold for m in ensemble.members])
    return np.exp([lines[member_fold == fold, row].mean() for row, fold in enumerate(folds)])


def test_baseline_is_the_runs_own_score(made: Made, found: Importance) -> None:
    assert found.baseline == pytest.approx(made.run.record["scores"]["networks_oof"], rel=1e-5)


def test_same_as_a_plain_computation(
    ensemble: Ensemble, folds: NDArray[np.int64], table: Table, found: Importance
) -> None:
    target = table.known_target
    base = log_rmse(target, own_fold_only(ensemble, folds, table.features))
    for number, name in enumerate(table.features):
        increases = []
        for repeat in range(REPEATS):
            random = np.random.default_rng(np.random.SeedSequence((SEED, 3, number, repeat)))
            values = table.features[name].to_numpy(copy=True)
            for fold in range(3):
                rows = np.flatnonzero(folds == fold)
                values[rows] = values[random.permutation(rows)]
            changed = table.features.assign(**{str(name): values})
            changed[name] = changed[name].astype(table.features[name].dtype)
            increases.append(log_rmse(target, own_fold_only(ensemble, folds, changed)) - base)
        column = next(c for c in found.columns if c.column == name)
        assert column.increase == pytest.approx(np.mean(increases), abs=1e-6)
        assert column.repeat_sd == pytest.approx(np.std(increases, ddof=1), abs=1e-6)


class Networks(RegressorMixin, BaseEstimator):
    """The members of one fold as scikit-learn knows a model; it predicts logs."""

    def __init__(self, ensemble: Ensemble, fold: int) -> None:
        self.ensemble, self.fold = ensemble, fold

    def fit(self, *_: object) -> Networks:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, frame: pd.DataFrame) -> Floats:
        own = [member.fold == self.fold for member in self.ensemble.members]
        return np.asarray(self.ensemble.predict(frame)[own].mean(axis=0))


def test_same_as_scikit_learn_fold_by_fold(
    ensemble: Ensemble,
    folds: NDArray[np.int64],
    table: Table,
    measure: Callable[..., Importance],
) -> None:
    increases = []
    for fold in range(3):
        rows = np.flatnonzero(folds == fold)
        judged = permutation_importance(
            Networks(ensemble, fold),
            table.features.iloc[rows],
            np.log(table.known_target[rows]),
            scoring="neg_mean_squared_error",
            n_repeats=30,
            random_state=fold,
        )
        increases.append(judged.importances_mean * len(rows))
    squared = np.sum(increases, axis=0) / len(folds)
    found = measure(repeats=30)
    for number, name in enumerate(table.features):
        column = next(c for c in found.columns if c.column == name)
        expected = np.sqrt(found.baseline**2 + squared[number]) - found.baseline
        # Two means of 30 permutations each; six standard errors of their difference.
        noise = 6 * (column.repeat_sd or 0.0) * np.sqrt(2 / 30)
        assert column.increase == pytest.approx(expected, rel=0.02, abs=noise + 1e-9)
        if name == "Size":
            assert noise < column.increase / 4


def test_what_decides_is_first_and_what_never_varies_is_exactly_nothing(found: Importance) -> None:
    by_name = {c.column: c for c in found.columns}
    assert found.columns[0].column == "Size"
    assert by_name["Size"].increase > 10 * abs(by_name["Noise"].increase)
    still = by_name["Still"]
    assert (still.increase, still.repeat_sd, still.member_mean, still.member_sd) == (0, 0, 0, 0)
    assert [c.increase for c in found.columns] == sorted(
        (c.increase for c in found.columns), reverse=True
    )


def test_members_of_other_folds_have_no_say(
    ensemble: Ensemble, measure: Callable[..., Importance], found: Importance
) -> None:
    """Were the members of fold 0 garbage, rows of the other folds would not notice."""
    fit = ensemble.fit
    broken = fit.target_center.copy()
    broken[[m.fold == 0 for m in ensemble.members]] += 100.0
    spoiled = measure(ensemble=replace(ensemble, fit=replace(fit, target_center=broken)))
    # One fold of three equally large ones is off by 100, the others are as before.
    assert spoiled.baseline == pytest.approx(np.sqrt(100.0**2 / 3), rel=1e-2)
    assert found.baseline < 1


def test_spread_over_members(
    made: Made, ensemble: Ensemble, folds: NDArray[np.int64], table: Table, found: Importance
) -> None:
    target, number = table.known_target, list(table.features).index("Size")
    own = []
    for m, member in enumerate(ensemble.members):
        rows, increases = folds == member.fold, []
        base = log_rmse(target[rows], np.exp(ensemble.predict(table.features)[m, rows]))
        assert base == pytest.approx(made.run.record["members"][m]["validation"], rel=1e-4)
        for repeat in range(REPEATS):
            random = np.random.default_rng(np.random.SeedSequence((SEED, 3, number, repeat)))
            values = table.features["Size"].to_numpy(copy=True)
            for fold in range(3):
                held = np.flatnonzero(folds == fold)
                values[held] = values[random.permutation(held)]
            line = ensemble.predict(table.features.assign(Size=values))[m, rows]
            increases.append(log_rmse(target[rows], np.exp(line)) - base)
        own.append(np.mean(increases))
    assert found.columns[0].member_mean == pytest.approx(np.mean(own), abs=1e-6)
    assert found.columns[0].member_sd == pytest.approx(np.std(own, ddof=1), abs=1e-6)


def test_same_seed_same_numbers(measure: Callable[..., Importance], found: Importance) -> None:
    assert measure() == found
    assert measure(seed=SEED + 1) != found


def test_one_repeat_has_no_spread_over_repeats(measure: Callable[..., Importance]) -> None:
    assert {c.repeat_sd for c in measure(repeats=1).columns} == {None}


def test_of_many_rows_some_are_drawn(measure: Callable[..., Importance]) -> None:
    few = measure(most_rows=50)
    assert few.rows == 50
    assert few.columns[0].column == "Size"


def test_engineered_features_move_with_their_column(tmp_path: Path) -> None:
    """The sample's engineering makes totals of areas: permuting one has to change them."""
    from kaggleprice.api import workflow
    from kaggleprice.competitions.catalog import get_competition
    from kaggleprice.settings.run import make_settings

    source = workflow.DatasetRef(get_competition("sample"), tmp_path / "data")
    options = {"k": 2, "seeds": 1, "epochs": 1, "hidden": (4,)}
    run, result = workflow.cross_validate(
        source, make_settings(options=options), workflow.RuntimeConfig(tmp_path / "runs", "cpu", 1)
    )
    table = load(source).tables.train
    seen: list[pd.DataFrame] = []
    original = tables.ENGINEERINGS["ames"].load()

    class Watching:
        def load(self) -> Callable[[pd.DataFrame], pd.DataFrame]:
            def add(frame: pd.DataFrame) -> pd.DataFrame:
                seen.append(original(frame))
                return seen[-1]

            return add

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tables.ENGINEERINGS, "ames", Watching())  # type: ignore[arg-type]
        measure_importance(
            run.ensemble(),
            source.competition,
            table,
            result.split.fold_of_row,
            how=None,
            repeats=1,
            most_rows=40,
        )
    moved = seen[1 + list(table.features).index("1stFlrSF")]
    expected = moved["TotalBsmtSF"].fillna(0.0) + moved["1stFlrSF"] + moved["2ndFlrSF"].fillna(0.0)
    np.testing.assert_allclose(moved["TotalSF"], expected)
