"""Adversarial validation: can a classifier tell training from test rows, and by which columns?

Where it can, test rows are not like training rows, and a score of folds drawn at random may promise
more than they give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_doc import Doc
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from kaggleprice.competitions.tables import Tables

# Below, trees tell files apart that were split at random about as well.
SUSPICIOUS = 0.65
_MOST_ROWS = 4000
_FOLDS = 3
# A column counts that lowers the area by this much when its values are shuffled.
_MATTERS = 0.01
# What scikit-learn's trees take as categories; more levels are ordered by their names.
_MOST_LEVELS = 255


@dataclass(frozen=True)
class Separation:
    """How well training and test rows are told apart.

    Attributes:
        auc: area under the ROC curve on rows that the classifier did not see; 0.5 is chance.
        columns: that tell them apart, the most telling first; empty where the area is not
            above `SUSPICIOUS`.
    """

    auc: Annotated[float, Doc("Area under the ROC curve; 0.5 is chance.")]
    columns: Annotated[
        tuple[str, ...], Doc("Columns that tell the files apart, the most telling first.")
    ] = ()

    def warning(self) -> str:
        """Say what it means for the score; empty where the files are alike."""
        if self.auc <= SUSPICIOUS:
            return ""
        by = f", by {', '.join(map(repr, self.columns[:3]))}" if self.columns else ""
        return (
            f"training and test rows are told apart{by} (AUC {self.auc:.2f}; 0.5 is chance): "
            "folds drawn at random may promise a better score than the test rows give."
        )


def separate(tables: Tables, seed: int = 0) -> Separation:
    """Train boosted trees to tell training from test rows, in three folds.

    Args:
        tables: both files.
        seed: of everything random.
    """
    parts = [_draw(table.features, seed) for table in (tables.train, tables.test)]
    rows = pd.concat(parts, ignore_index=True)
    frame = pd.DataFrame({str(name): _values(rows[name]) for name in rows})
    is_test = np.repeat([0, 1], [len(part) for part in parts])
    if min(map(len, parts)) < 2 * _FOLDS:
        return Separation(0.5)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    areas: list[float] = []
    tried: list[tuple[HistGradientBoostingClassifier, pd.DataFrame, NDArray[np.int64]]] = []
    for fitted, held in folds.split(frame, is_test):
        trees = HistGradientBoostingClassifier(
            categorical_features="from_dtype", max_iter=50, early_stopping=False, random_state=seed
        )
        trees.fit(frame.iloc[fitted], is_test[fitted])
        tried.append((trees, frame.iloc[held], is_test[held]))
        areas.append(roc_auc_score(is_test[held], trees.predict_proba(frame.iloc[held])[:, 1]))
    auc = float(np.mean(areas))
    if auc <= SUSPICIOUS:
        return Separation(auc)
    # The columns of one fold are enough.
    shuffled = permutation_importance(*tried[0], scoring="roc_auc", n_repeats=1, random_state=seed)
    telling = sorted(zip(shuffled.importances_mean, frame, strict=True), key=lambda pair: -pair[0])
    return Separation(auc, tuple(str(name) for loss, name in telling if loss >= _MATTERS))


def _draw(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    if len(frame) <= _MOST_ROWS:
        return frame
    return frame.sample(_MOST_ROWS, random_state=seed)


def _values(column: pd.Series) -> pd.Series:
    """Return a column as the trees take it."""
    if pd.api.types.is_numeric_dtype(column):
        # A column of nothing but missing values, as one of few rows may be, cannot be cut in bins.
        values = column.astype(np.float64)
        lowest = values.min()
        return values.fillna(0.0 if np.isnan(lowest) else lowest - 1)
    column = column.astype("category")
    if len(column.cat.categories) > _MOST_LEVELS:
        return column.cat.codes.astype(np.float64)
    return column
