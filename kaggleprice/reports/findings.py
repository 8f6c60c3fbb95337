"""Findings: everything a report says of one run, as numbers."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.data import Dataset
from kaggleprice.competitions.metrics import TARGET_TRANSFORMS
from kaggleprice.competitions.tables import Table
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation.adversarial import Separation, separate
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.reports.drift import Drift, measure_drift
from kaggleprice.reports.importance import Importance, by_association, measure_importance
from kaggleprice.reports.out_of_fold import Expected, OutOfFold, expect
from kaggleprice.runs.describe import setting_text
from kaggleprice.runs.run import Run
from kaggleprice.settings.run import DEFAULT_PRESET, SETTINGS, flat_settings, make_settings
from kaggleprice.training.executors import Executor

Floats = NDArray[np.float64]

_LARGEST_ERRORS = 15
_INSPECTED_COLUMNS = 6


@dataclass(frozen=True)
class LargeError:
    """A training row that was predicted badly.

    Attributes:
        id: its id.
        true, predicted: in the target's own unit.
        residual: predicted less true on the transformed scale.
        relative: predicted / true - 1; None where true is 0.
        fold: that validates it, counted from 1; the first of several.
        columns: the most important columns' values; None is missing.
    """

    id: str
    true: float
    predicted: float
    residual: float
    relative: float | None
    fold: int
    columns: dict[str, float | str | None]


@dataclass(frozen=True)
class Findings:
    """What a report says.

    Attributes:
        run: the run that is reported.
        competition: of the run.
        data: both tables.
        transform: of the target.
        rows: the out-of-fold rows.
        history: one row per member and recorded epoch, as in history.csv.
        predictions: shape (n_test,), of the test rows, in the target's own unit; None without a
            test file.
        expected: the score to expect.
        importance: of all columns; None where it was not computed.
        order: all columns. The most important first, or, without importance, the one that explains
            most of the target by itself.
        logged: numeric columns whose logs the networks get.
        errors: the largest ones.
        drift: of all columns, those above chance first, by size; empty without a test file.
        separation: how well a classifier tells the two files apart; None without a test file.
        changes: setting, its value in the default preset, its value in this run.
    """

    run: Run
    competition: Competition
    data: Dataset
    transform: TargetTransform
    rows: OutOfFold
    history: pd.DataFrame
    predictions: Floats | None
    expected: Expected
    importance: Importance | None
    order: list[str]
    logged: frozenset[str]
    errors: list[LargeError]
    drift: list[Drift]
    separation: Separation | None
    changes: list[tuple[str, str, str]]

    @property
    def mean_curve(self) -> pd.DataFrame:
        """Mean training and validation RMSE of all folds: columns by name, rows by epoch."""
        folds = self.history.groupby(["fold", "epoch"])[["train", "validation"]].mean()
        return folds.groupby("epoch").mean()

    def scale(self, target: str) -> str:
        """Name the scale that networks predict, `log of Price`, given the target's name."""
        words = {
            "log": "log of {}",
            "log1p": "log(1 + {})",
            "sqrt": "square root of {}",
            "quantile": "normal quantile of {}",
            "yeo-johnson": "Yeo-Johnson of {}",
            "none": "{}",
        }
        return words[self.competition.target_transform].format(target)


def find(
    run: Run,
    competition: Competition,
    data: Dataset,
    ensemble: Ensemble,
    *,
    target: int = 0,
    repeats: int,
    executor: Executor,
    progress: Progress = SILENT,
) -> Findings:
    """Compute everything a report says of a run.

    Args:
        run: a finished one.
        competition: of the run, of the one target that is reported.
        data: the data that it was trained on, of that target.
        ensemble: the members of that target, on the device that predicts.
        target: which of the run's targets that is, counted from 0.
        repeats: permutations of each column for its importance; 0 leaves importance out.
        executor: what measures importance.
        progress: told after every column.

    Raises:
        RunFolderError: where a file of the run cannot be read.
    """
    seed, train = run.settings.seed, data.tables.train
    # Without a test file there may be as many new rows as training rows.
    tested, new_rows = len(data.tables.test) > 0, len(data.tables.test) or len(train)
    transform: TargetTransform = TARGET_TRANSFORMS[competition.target_transform].load()
    # What each fold learned of the target differs a little; figures have one axis.
    transform = transform.fitted(train.known_target)
    scale = run.target_scale(competition, train).of_target(target)
    rows = OutOfFold.of_run(run, transform, target)
    importance, order = None, by_association(train, transform.forward(train.known_target))
    if repeats:
        importance = measure_importance(
            ensemble,
            competition,
            train,
            rows.split,
            scale,
            how=run.settings.combine,
            repeats=repeats,
            seed=seed,
            executor=executor,
            progress=progress,
        )
        order = [column.column for column in importance.columns]
    return Findings(
        run=run,
        competition=competition,
        data=data,
        transform=transform,
        rows=rows,
        history=_history(run, target),
        predictions=_predict_test(run, ensemble, data, scale, target) if tested else None,
        expected=expect(competition, rows, new_rows, seed),
        importance=importance,
        order=order,
        logged=_logged(ensemble),
        errors=_large_errors(rows, train, order[:_INSPECTED_COLUMNS]),
        drift=measure_drift(data.tables, seed) if tested else [],
        separation=separate(data.tables, seed) if tested else None,
        changes=_changes(run),
    )


def _predict_test(
    run: Run, ensemble: Ensemble, data: Dataset, scale: TargetScale, target: int
) -> Floats:
    """Predict the test rows as `predict` does; shape (n_test,)."""
    base_models = run.base_models()
    if base_models is not None:
        base_models = base_models.of_target(target, len(run.targets))
    predicted = ensemble.predict_beside(data.tables.test.features, base_models)
    return predicted.of_new_rows(run.folds()).combine(scale, run.settings.combine)


def _history(run: Run, target: int) -> pd.DataFrame:
    """Return the training history of the networks of one target."""
    history = pd.read_csv(io.BytesIO(run.content("history.csv")))
    if "target" not in history:
        return history
    return history[history["target"] == target + 1].reset_index(drop=True)


def _logged(ensemble: Ensemble) -> frozenset[str]:
    """Return the columns of which most folds took logs."""
    recipes = ensemble.encoding.recipes
    counts = Counter(state.name for recipe in recipes for state in recipe.numeric if state.log)
    return frozenset(name for name, count in counts.items() if 2 * count > len(recipes))


def _large_errors(rows: OutOfFold, table: Table, columns: list[str]) -> list[LargeError]:
    return [
        LargeError(
            id=str(rows.ids[row]),
            true=float(rows.true[row]),
            predicted=float(rows.predicted[row]),
            residual=float(rows.residual[row]),
            relative=float(rows.predicted[row] / rows.true[row] - 1) if rows.true[row] else None,
            fold=rows.folds_of(row)[0],
            columns={
                name: _plain(table.features[name].iloc[rows.split.scored[row]]) for name in columns
            },
        )
        for row in rows.largest(_LARGEST_ERRORS)
    ]


def _plain(value: object) -> float | str | None:
    if isinstance(value, str):
        return value
    return None if pd.isna(value) else float(value)  # type: ignore[call-overload, arg-type]


def _in_words(name: str, value: object) -> str:
    return SETTINGS[name].show(None) if value is None else setting_text(name, value)


def _changes(run: Run) -> list[tuple[str, str, str]]:
    default, own = flat_settings(make_settings(DEFAULT_PRESET)), flat_settings(run.settings)
    return [
        (name, _in_words(name, default[name]), _in_words(name, value))
        for name, value in own.items()
        if value != default[name]
    ]
