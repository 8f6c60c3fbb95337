"""Learning a recipe's state from rows: one state, or one per fold.

A column is learned step by step, in the order in which `fitted` applies the steps: log, fill,
clip, scale. The numbers are those of scikit-learn's transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.tables import Table
from kaggleprice.preprocessing.distribution import (
    Distribution,
    Floats,
    FoldCounts,
    factorized,
)
from kaggleprice.preprocessing.fitted import (
    CategoricalState,
    FittedRecipe,
    NumericState,
    log_of_amounts,
)
from kaggleprice.preprocessing.group_context import learn_context
from kaggleprice.preprocessing.places import learn_places
from kaggleprice.preprocessing.target_statistics import learn_target, targets_of
from kaggleprice.preprocessing.text import hashed, learn_text
from kaggleprice.settings.recipe import IMPUTES, SCALES, Recipe

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Rows = NDArray[np.int64]
_MAX_QUANTILES = 1000
# Numbers of so few values are levels.
_FEW_VALUES = 10
# So many interquartile ranges from the median are beyond any distribution of use.
_WILD = 20.0
# Of a category that has target statistics: the most frequent levels stay one-hot beside them.
_MOST_ONE_HOT = 1000
_EPS = float(np.finfo(np.float64).eps)


def fit(recipe: Recipe, *tables: Table, target: Floats | None = None) -> FittedRecipe:
    """Learn a recipe from all rows of one or more tables with the same columns.

    Args:
        recipe: the settings.
        tables: n rows in all.
        target: shape (n,) or (T, n), transformed; None where nothing is to be learned from it.
    """
    frames = [table.features for table in tables]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    everything = [np.array([], dtype=np.int64)]
    return fit_folds(recipe, tables[0], frame, everything, target)[0]


def fit_folds(
    recipe: Recipe,
    table: Table,
    frame: pd.DataFrame,
    left_out: Sequence[Rows],
    target: Floats | None = None,
) -> list[FittedRecipe]:
    """Learn a recipe once per fold, from the rows that train in it.

    Args:
        recipe: the settings; its scope is the caller's business.
        table: says which columns are numeric and which categorical.
        frame: n rows of features.
        left_out: the numbers of the rows that do not train, for each of F folds.
        target: shape (n,) or (F * T, n), transformed; None where nothing is to be learned from it.
    """
    numeric = [_fit_numbers(recipe, frame[n], left_out) for n in table.numeric_columns]
    categorical = [_fit_levels(recipe, frame[n], left_out) for n in table.categorical_columns]
    texts = {name: _hashed_texts(frame[name]) for name in table.texts}
    fitted = []
    for i, rest in enumerate(left_out):
        trained = np.ones(len(frame), dtype=bool)
        trained[rest] = False
        states = tuple(column[i] for column in numeric), tuple(column[i] for column in categorical)
        places = tuple(learn_places(frame.loc[trained, list(pair)], *pair) for pair in table.places)
        learned_texts = tuple(
            learn_text(name, codes[trained], counts) for name, (codes, counts) in texts.items()
        )
        by_column = FittedRecipe(
            recipe, int(trained.sum()), *states, texts=learned_texts, places=places
        )
        if target is not None:
            own = targets_of(target, i, len(left_out))
            by_column = _fit_target(by_column, frame, own, trained)
        fitted.append(by_column if recipe.affine else _fit_rows(by_column, frame[trained]))
    return fitted


def _hashed_texts(column: pd.Series) -> tuple[NDArray[np.integer[Any]], csr_matrix]:
    codes, levels = factorized(column)
    return codes, hashed(levels)


def _fit_numbers(recipe: Recipe, column: pd.Series, left_out: Sequence[Rows]) -> list[NumericState]:
    counted = FoldCounts.of(column, left_out)
    # Adding 0 makes -0 the 0 that it equals.
    values = counted.levels.to_numpy(dtype=np.float64) + 0.0
    states = []
    for counts, missing in counted.trained():
        seen = Distribution.of(values, counts, recipe.ddof)
        states.append(_learn_numbers(recipe, str(column.name), seen, missing))
    return states


def _learn_numbers(recipe: Recipe, name: str, values: Distribution, missing: int) -> NumericState:
    """Learn a numeric column from the distribution of its training rows."""
    indicator = recipe.indicators and missing > 0
    if not values.rows:
        # Nothing is known of a column without a value: later ones would come in a raw unit.
        fill = np.nan if recipe.impute == "knn" else 0.0
        return NumericState(name, False, missing, fill, 0.0, 0.0, 0.0, 1.0, indicator)
    # Of two values, such as 0 and 1, neither is an outlier, however rare it is.
    two_valued = len(values.values) == 2
    bit = recipe.bits and recipe.affine and two_valued
    skewed = recipe.log_skew is not None and values.skewness > recipe.log_skew
    log = skewed and values.lowest >= 0 and not two_valued
    if log:
        values = values.mapped(log_of_amounts)
    fill = IMPUTES[recipe.impute].learn(values)
    filled = values if np.isnan(fill) else values.with_rows(fill, missing)
    scaled = values if recipe.observed_statistics else filled
    low = high = None
    if recipe.clip is not None:
        low, high = _learn_bounds(recipe.clip, values, filled)
        scaled = scaled.mapped(lambda x: np.clip(x, low, high))
    center, scale = (values.lowest, values.range) if bit else _learn_scaling(recipe, scaled)
    return NumericState(name, log, missing, fill, low, high, center, scale, indicator, bit)


def _learn_bounds(clip: float, values: Distribution, filled: Distribution) -> tuple[float, float]:
    """Return bounds of a column's numbers, before and after missing ones are filled.

    Of few values each is a level, which must not become another one: all that were seen are left,
    and what comes later does not leave their range. One wild number among others must not set the
    scale of all: what is far beyond the middle half is no part of the standard deviation.
    """
    if 1 < len(values.values) <= _FEW_VALUES:
        return filled.lowest, filled.lowest + filled.range
    spread = filled.quantile(0.75) - filled.quantile(0.25)
    if spread > 0:
        middle, far = filled.quantile(0.5), _WILD * spread
        filled = filled.mapped(lambda x: np.clip(x, middle - far, middle + far))
    distance = clip * filled.deviation
    return filled.mean - distance, filled.mean + distance


def _learn_scaling(recipe: Recipe, values: Distribution) -> tuple[float, float]:
    # Neighbours are the nearest by columns of one scale, which quantiles come too late for.
    name = "standard" if (recipe.scale, recipe.impute) == ("quantile", "knn") else recipe.scale
    center, scale = SCALES[name].learn(values)
    # Less is what rounding leaves of a constant: scikit-learn's own rule.
    return center, scale if scale >= 10 * _EPS else 1.0


def _fit_target(
    fitted: FittedRecipe, frame: pd.DataFrame, target: Floats, trained: NDArray[np.bool_]
) -> FittedRecipe:
    """Add what the targets teach, shape (T, n), of training rows alone."""
    recipe, context = fitted.recipe, None
    wide = [c.name for c in fitted.categorical if _is_wide(recipe, len(c.levels) + len(c.rare))]
    targets = tuple(
        learn_target(frame[name], own, trained, number)
        for number, own in enumerate(target)
        for name in wide
    )
    if recipe.group_context is not None:
        context = learn_context(fitted, frame, target, trained, recipe.group_context)
    return replace(fitted, targets=targets, context=context)


def _fit_rows(fitted: FittedRecipe, frame: pd.DataFrame) -> FittedRecipe:
    """Add what is learned from whole rows, n of training, and not column by column."""
    if not fitted.numeric:
        return fitted
    if fitted.recipe.impute == "knn":
        fitted = replace(fitted, neighbours=fitted.numbers(frame))
    if fitted.recipe.scale == "quantile":
        fitted = replace(fitted, quantiles=_quantiles(fitted.numbers(frame)))
    return fitted


def _quantiles(values: Floats) -> Floats:
    from sklearn.preprocessing import QuantileTransformer

    transformer = QuantileTransformer(
        n_quantiles=min(_MAX_QUANTILES, len(values)), output_distribution="normal", subsample=None
    )
    quantiles: Floats = transformer.fit(values).quantiles_
    return quantiles


def _fit_levels(
    recipe: Recipe, column: pd.Series, left_out: Sequence[Rows]
) -> list[CategoricalState]:
    counted = FoldCounts.of(column, left_out)
    names = [str(level) for level in counted.levels]
    states = []
    for counts, missing in counted.trained():
        seen = sorted(
            (name, int(count)) for name, count in zip(names, counts, strict=True) if count
        )
        kept = frequent = {name for name, count in seen if count >= recipe.min_rows}
        if _is_wide(recipe, len(seen)):
            most = sorted(seen, key=lambda level: (-level[1], level[0]))
            kept = frequent & {name for name, _ in most[:_MOST_ONE_HOT]}
        states.append(
            CategoricalState(
                name=str(column.name),
                missing=missing,
                levels=tuple(name for name, _ in seen if name in kept),
                missing_level=recipe.always_missing_level or missing > 0,
                rare=tuple(name for name, _ in seen if name not in kept),
                more=tuple(sorted(frequent - kept)),
            )
        )
    return states


def _is_wide(recipe: Recipe, levels: int) -> bool:
    """Whether a category of so many levels gets target statistics."""
    most = recipe.target_encode_levels
    return most is not None and levels > most
