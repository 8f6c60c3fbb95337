"""Findings: everything a report says of one run, as numbers."""

from __future__ import annotations

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
from kaggleprice.core.errors import RunFolderError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation.ensemble import Ensemble, WeightedPredictions
from kaggleprice.reports.drift import Drift, measure_drift
from kaggleprice.reports.importance import Importance, by_association, measure_importance
from kaggleprice.reports.out_of_fold import Expected, OutOfFold, expect, read_out_of_fold
from kaggleprice.runs.reading import Run
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.run import DEFAULT_PRESET, flat_settings, make_settings

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
        fold: counted from 1.
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
        run: of which run.
        competition: of which competition.
        data: both tables.
        transform: of the target.
        rows: the out-of-fold rows.
        history: a line per member and recorded epoch, as in history.csv.
        predictions: shape (n_test,), of the test rows, in the target's own unit.
        expected: the score to expect.
        importance: of all columns; None where it was not measured.
        order: all columns, the most important first, or the most telling where importance was
            not measured.
        logged: numeric columns whose logs the networks get.
        errors: the largest ones.
        drift: of all columns, those above chance first, by size.
        changes: option, its value in the default preset, its value in this run.
    """

    run: Run
    competition: Competition
    data: Dataset
    transform: TargetTransform
    rows: OutOfFold
    history: pd.DataFrame
    predictions: Floats
    expected: Expected
    importance: Importance | None
    order: list[str]
    logged: frozenset[str]
    errors: list[LargeError]
    drift: list[Drift]
    changes: list[tuple[str, str, str]]


def find(
    run: Run,
    competition: Competition,
    data: Dataset,
    ensemble: Ensemble,
    *,
    repeats: int,
    progress: Progress = SILENT,
) -> Findings:
    """Look at a run from all sides.

    Args:
        run: a finished one.
        competition: whose run it is.
        data: the data that it was trained on.
        ensemble: its members, on the device that predicts.
        repeats: permutations of each column for its importance; 0 measures none.
        progress: told after every column.

    Raises:
        RunFolderError: where a file of the run cannot be read.
    """
    seed, train = run.settings.seed, data.tables.train
    transform: TargetTransform = TARGET_TRANSFORMS[competition.target_transform].load()
    rows = read_out_of_fold(run, train, transform)
    importance, order = None, by_association(train, transform.forward(rows.true))
    if repeats:
        importance = measure_importance(
            ensemble,
            competition,
            train,
            rows.fold_of_row,
            how=run.settings.combine,
            repeats=repeats,
            seed=seed,
            progress=progress,
        )
        order = [column.column for column in importance.columns]
    return Findings(
        run=run,
        competition=competition,
        data=data,
        transform=transform,
        rows=rows,
        history=_read_history(run),
        predictions=_predict_test(run, ensemble, data, transform),
        expected=expect(competition, rows, len(data.tables.test), seed),
        importance=importance,
        order=order,
        logged=_logged(ensemble),
        errors=_large_errors(rows, train, order[:_INSPECTED_COLUMNS]),
        drift=measure_drift(data.tables, seed),
        changes=_changes(run),
    )


def _predict_test(
    run: Run, ensemble: Ensemble, data: Dataset, transform: TargetTransform
) -> Floats:
    """Predict the test rows as `predict` does; shape (n_test,)."""
    voices = WeightedPredictions(ensemble.members, ensemble.predict(data.tables.test.features))
    votes = run.votes()
    if votes is not None:
        voices = WeightedPredictions.with_partners(
            voices.members, voices.predictions, votes.test, run.settings
        )
    return voices.combine(transform, run.settings.combine)


def _read_history(run: Run) -> pd.DataFrame:
    path = run.path / "history.csv"
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}; train the run again.") from None


def _logged(ensemble: Ensemble) -> frozenset[str]:
    """Return the columns of which most folds took logs."""
    recipes = ensemble.encoding.recipes
    votes = Counter(state.name for recipe in recipes for state in recipe.numeric if state.log)
    return frozenset(name for name, count in votes.items() if 2 * count > len(recipes))


def _large_errors(rows: OutOfFold, table: Table, columns: list[str]) -> list[LargeError]:
    return [
        LargeError(
            id=str(rows.ids[row]),
            true=float(rows.true[row]),
            predicted=float(rows.predicted[row]),
            residual=float(rows.residual[row]),
            relative=float(rows.predicted[row] / rows.true[row] - 1) if rows.true[row] else None,
            fold=int(rows.fold_of_row[row]) + 1,
            columns={name: _plain(table.features[name].iloc[row]) for name in columns},
        )
        for row in rows.largest(_LARGEST_ERRORS)
    ]


def _plain(value: object) -> float | str | None:
    if isinstance(value, str):
        return value
    return None if pd.isna(value) else float(value)  # type: ignore[call-overload, arg-type]


def _changes(run: Run) -> list[tuple[str, str, str]]:
    default, own = flat_settings(make_settings(DEFAULT_PRESET)), flat_settings(run.settings)
    return [
        (name, show_value(default[name]), show_value(own[name]))
        for name in own
        if own[name] != default[name]
    ]
