"""Permutation importance: the numbers of a plain computation, and of scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from members import CPU
from numpy.typing import NDArray
from reported import Made
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance

from kaggleprice.api import workflow
from kaggleprice.competitions import tables
from kaggleprice.competitions.catalog import get_competition
from kaggleprice.competitions.data import load
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Table
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.evaluation.folds import Folds
from kaggleprice.reports.importance import Importance, measure_importance
from kaggleprice.settings.run import make_settings
from kaggleprice.training.executors import Threads

Floats = NDArray[np.float64]
SEED, REPEATS, FOLDS = 3, 2, 3
log_rmse = METRICS["log_rmse"].score


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
        given = {"how": None, "repeats": REPEATS, "seed": SEED, "ensemble": ensemble, **options}
        return measure_importance(
            competition=made.source.competition,
            table=table,
            split=Folds.of_rows(folds),
            scale=made.run.target_scale(made.source.competition, table),
            **{"executor": Threads(CPU, 1, 1), **given},
        )

    return call


@pytest.fixture(scope="module")
def found(measure: Callable[..., Importance]) -> Importance:
    return measure()


def permuted(frame: pd.DataFrame, folds: NDArray[np.int64], name: str, repeat: int) -> pd.DataFrame:
    """The table with one column permuted within folds, by the documented random numbers."""
    number = list(frame).index(name)
    random = np.random.default_rng(np.random.SeedSequence((SEED, 3, number, repeat)))
    values = frame[name].copy()
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        values.iloc[rows] = frame[name].iloc[random.permutation(rows)].to_numpy()
    return frame.assign(**{name: values})


def test_same_as_a_plain_computation(
    made: Made, ensemble: Ensemble, folds: NDArray[np.int64], table: Table, found: Importance
) -> None:
    """Scores of all members by the public prediction, each row by its own fold's only."""
    target, own_fold = table.known_target, np.array([m.fold for m in ensemble.members])

    def scores(frame: pd.DataFrame) -> Floats:
        """The pooled score, then each member's own on its fold's rows."""
        logs = ensemble.predict(frame)
        pooled = np.exp([logs[own_fold == fold, row].mean() for row, fold in enumerate(folds)])
        own = [
            log_rmse(target[folds == fold], np.exp(line[folds == fold]))
            for fold, line in zip(own_fold, logs, strict=True)
        ]
        return np.array([log_rmse(target, pooled), *own])

    base = scores(table.features)
    assert found.baseline == pytest.approx(base[0], rel=1e-6)
    assert found.baseline == pytest.approx(made.run.record["scores"]["networks_oof"], rel=1e-5)
    recorded = [member["validation"] for member in made.run.record["members"]]
    assert base[1:] == pytest.approx(recorded, rel=1e-4)
    for column in found.columns:
        changed = [permuted(table.features, folds, column.column, r) for r in range(REPEATS)]
        increases = np.array([scores(frame) for frame in changed]) - base
        assert column.increase == pytest.approx(increases[:, 0].mean(), abs=1e-6)
        assert column.repeat_sd == pytest.approx(increases[:, 0].std(ddof=1), abs=1e-6)
        members = increases[:, 1:].mean(axis=0)
        assert column.member_mean == pytest.approx(members.mean(), abs=1e-6)
        assert column.member_sd == pytest.approx(members.std(ddof=1), abs=1e-6)


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
    squared = np.zeros(table.features.shape[1])
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        judged = permutation_importance(
            Networks(ensemble, fold),
            table.features.iloc[rows],
            np.log(table.known_target[rows]),
            scoring="neg_mean_squared_error",
            n_repeats=30,
            random_state=fold,
        )
        squared += judged.importances_mean * len(rows) / len(folds)
    found = measure(repeats=30)
    for column in found.columns:
        growth = squared[list(table.features).index(column.column)]
        expected = np.sqrt(found.baseline**2 + growth) - found.baseline
        # Two means of 30 permutations each; six standard errors of their difference.
        noise = 6 * (column.repeat_sd or 0.0) * np.sqrt(2 / 30)
        assert column.increase == pytest.approx(expected, rel=0.02, abs=noise + 1e-9)
        if column.column == "Size":
            assert noise < column.increase / 4


def test_what_decides_is_first_and_what_never_varies_is_exactly_nothing(found: Importance) -> None:
    by_name = {c.column: c for c in found.columns}
    assert found.columns[0].column == "Size"
    assert by_name["Size"].increase > 10 * abs(by_name["Noise"].increase)
    still = by_name["Still"]
    assert (still.increase, still.repeat_sd, still.member_mean, still.member_sd) == (0, 0, 0, 0)
    assert found.columns == sorted(found.columns, key=lambda c: -c.increase)


def test_rows_are_not_predicted_by_members_of_other_folds(
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


def test_options(measure: Callable[..., Importance], found: Importance) -> None:
    assert measure() == found
    assert measure(seed=SEED + 1) != found
    assert {c.repeat_sd for c in measure(repeats=1).columns} == {None}
    few = measure(most_rows=50)
    assert (few.rows, few.columns[0].column) == (50, "Size")


def test_engineered_features_move_with_their_column(tmp_path: Path) -> None:
    """The sample's engineering makes totals of areas: permuting one has to change them."""
    source = workflow.DatasetRef(get_competition("sample"), tmp_path / "data")
    settings = make_settings(
        options={"k": 2, "portfolio": (), "seeds": 1, "epochs": 1, "hidden": (4,)}
    )
    runtime = workflow.RuntimeConfig(tmp_path / "runs", "cpu", 1)
    run, result = workflow.cross_validate(source, settings, runtime)
    table = load(source).tables.train
    add = tables.ENGINEERINGS["ames"].load()
    seen: list[pd.DataFrame] = []

    def watch(frame: pd.DataFrame) -> pd.DataFrame:
        seen.append(add(frame))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tables.ENGINEERINGS, "ames", SimpleNamespace(load=lambda: watch))  # type: ignore[arg-type]
        measure_importance(
            run.ensemble(),
            source.competition,
            table,
            result.split,
            result.scale,
            how=None,
            repeats=1,
            most_rows=40,
            executor=Threads(CPU, 1, 1),
        )
    moved = seen[1 + list(table.features).index("1stFlrSF")]
    expected = moved["TotalBsmtSF"].fillna(0.0) + moved["1stFlrSF"] + moved["2ndFlrSF"].fillna(0.0)
    np.testing.assert_allclose(moved["TotalSF"], expected)
